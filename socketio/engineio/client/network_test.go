package client_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/client"
)

// httpProxy forwards requests and tunnels, for those who know the password.
func httpProxy(t *testing.T, asTLS bool) (u *url.URL, tunnels, requests *atomic.Int32, trust *tls.Config) {
	t.Helper()
	tunnels, requests = new(atomic.Int32), new(atomic.Int32)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("me:secret")) {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		if r.Method != http.MethodConnect {
			requests.Add(1)
			r.RequestURI = ""
			r.Header.Del("Proxy-Authorization")
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			w.WriteHeader(resp.StatusCode)
			io.Copy(w, resp.Body)
			return
		}
		tunnels.Add(1)
		back, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer back.Close()
		front, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer front.Close()
		front.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n"))
		var both sync.WaitGroup
		both.Go(func() { io.Copy(back, bufio.NewReader(buffered)); back.Close() })
		both.Go(func() { io.Copy(front, back); front.Close() })
		both.Wait()
	}))
	if asTLS {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("me", "secret")
	trust = new(tls.Config)
	if asTLS {
		trust.RootCAs = x509.NewCertPool()
		trust.RootCAs.AddCert(s.Certificate())
	}
	return u, tunnels, requests, trust
}

func TestOptions_Proxy_CarriesPollingAndWebSocket(t *testing.T) {
	t.Parallel()
	for _, asTLS := range []bool{false, true} {
		r := newRig(t, engineio.Options{}, nil)
		proxy, tunnels, requests, trust := httpProxy(t, asTLS)
		for _, transport := range []string{"polling", "websocket"} {
			p := dial(t, r.URL, &client.Options{Transports: []string{transport}, Proxy: http.ProxyURL(proxy), TLS: trust})
			p.Send(engineio.Message{Data: []byte("through")})
			p.expect(t, "through", false)
		}
		if tunnels.Load() != 1 || requests.Load() < 3 {
			t.Errorf("%d tunnels, %d requests", tunnels.Load(), requests.Load())
		}
		stranger := *proxy
		stranger.User = nil
		for _, transport := range []string{"polling", "websocket"} {
			_, err := client.Dial(t.Context(), r.URL, &client.Options{Transports: []string{transport}, Proxy: http.ProxyURL(&stranger), TLS: trust})
			if err == nil || !strings.Contains(err.Error(), "407") {
				t.Errorf("%s without a password: %v", transport, err)
			}
		}
	}
}

func TestOptions_TLS_VerifiesByDefault(t *testing.T) {
	t.Parallel()
	r := newRig(t, engineio.Options{}, nil)
	s := httptest.NewTLSServer(r.Config.Handler)
	defer s.Close()
	trust := &tls.Config{RootCAs: x509.NewCertPool()}
	trust.RootCAs.AddCert(s.Certificate())
	for _, transport := range []string{"polling", "websocket"} {
		if _, err := client.Dial(t.Context(), s.URL, &client.Options{Transports: []string{transport}}); err == nil {
			t.Errorf("%s: a self-signed certificate is trusted", transport)
		}
		p := dial(t, strings.Replace(s.URL, "https", "wss", 1), &client.Options{Transports: []string{transport}, TLS: trust})
		p.Send(engineio.Message{Data: []byte("secret")})
		p.expect(t, "secret", false)
		p.Close()
		wait(t, "the end", p.ended)
	}
}

// One goroutine for an idle WebSocket, whether it began as one or was upgraded.
func TestServe_IdleWebSocket_OneGoroutine(t *testing.T) {
	const n = 100
	for name, o := range map[string]*client.Options{"websocket": {Transports: []string{"websocket"}}, "upgrade": {}} {
		r := newRig(t, engineio.Options{}, nil)
		upgraded := make(chan string, n)
		var all sync.WaitGroup
		var conns []*client.Conn
		for range n {
			c, err := client.Dial(t.Context(), r.URL, o)
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
			all.Go(func() {
				c.Serve(context.Background(), client.Handler{Upgrade: func(to string) { upgraded <- to }})
			})
		}
		for range n {
			if name == "upgrade" {
				wait(t, "the upgrade", upgraded)
			}
		}
		until(t, name+": more than one goroutine for an idle connection", func() bool { return goroutinesOfClients() == n })
		for _, c := range conns {
			c.Close()
		}
		all.Wait()
	}
}

// goroutinesOfClients counts the goroutines that have client code or HTTP client code on
// their stacks: the server's are not ours to count.
func goroutinesOfClients() (n int) {
	buf := make([]byte, 16<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "engineio/client.") || strings.Contains(stack, "http.(*persistConn)") || strings.Contains(stack, "http.(*Transport)") ||
			strings.Contains(stack, "workers.(*Pool).work") {
			n++
		}
	}
	return n
}

// SendNow writes before it returns; what the operating system does not take is queued
// behind it, whole and in order.
func TestSendNow_WritesAtOnce_AndQueuesTheRest(t *testing.T) {
	t.Parallel()
	r := newRig(t, engineio.Options{MaxPayload: 8 << 20}, nil)
	p := dial(t, r.URL, &client.Options{Transports: []string{"websocket"}})
	for i := range 8 {
		text := strconv.Itoa(i) + strings.Repeat("x", i<<19) // more than the buffers of a socket hold
		if err := p.SendNow(engineio.Message{Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
		if err := p.Send(engineio.Message{Data: []byte("between")}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 8 {
		p.expect(t, strconv.Itoa(i)+strings.Repeat("x", i<<19), false)
		p.expect(t, "between", false)
	}
}
