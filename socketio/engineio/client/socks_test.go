package client_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/client"
)

// socksProxy is a SOCKS 5 proxy for those who know the password, when there is one. It
// answers the request for a connection with reply.
func socksProxy(t *testing.T, user, password string, reply string) (u *url.URL, tunnels *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tunnels = new(atomic.Int32)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer front.Close()
				read := func(n int) string {
					b := make([]byte, n)
					if _, err := io.ReadFull(front, b); err != nil {
						return strings.Repeat("\x00", n)
					}
					return string(b)
				}
				hello := read(3)
				io.WriteString(front, "\x05"+hello[2:])
				if hello[2] == 2 {
					name := read(int(read(2)[1]))
					if secret := read(int(read(1)[0])); name != user || secret != password {
						io.WriteString(front, "\x01\x01")
						return
					}
					io.WriteString(front, "\x01\x00")
				}
				host := read(int(read(5)[4]))
				port := read(2)
				if io.WriteString(front, reply); reply[1] != 0 {
					return
				}
				back, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(int(port[0])<<8+int(port[1]))))
				if err != nil {
					return
				}
				tunnels.Add(1)
				defer back.Close()
				var both sync.WaitGroup
				both.Go(func() { io.Copy(back, front); back.Close() })
				both.Go(func() { io.Copy(front, back); front.Close() })
				both.Wait()
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	u = &url.URL{Scheme: "socks5", Host: l.Addr().String()}
	if user != "" {
		u.User = url.UserPassword(user, password)
	}
	return u, tunnels
}

func TestOptions_Proxy_SOCKS5(t *testing.T) {
	t.Parallel()
	const granted = "\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"
	for name, test := range map[string]struct{ user, password, sent, reply, want string }{
		"open":              {"", "", "", granted, ""},
		"password":          {"me", "secret", "secret", granted, ""},
		"address by name":   {"", "", "", "\x05\x00\x00\x03\x02ab\x00\x50", ""},
		"address of IPv6":   {"", "", "", "\x05\x00\x00\x04" + strings.Repeat("\x00", 18), ""},
		"wrong password":    {"me", "secret", "guess", granted, "refuses the password"},
		"refused":           {"", "", "", "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", "reply 5"},
		"another version":   {"", "", "", "\x04\x00\x00\x01", "none of SOCKS 5"},
		"unknown address":   {"", "", "", "\x05\x00\x00\x09", "none of SOCKS 5"},
		"answer is cut off": {"", "", "", "\x05\x07", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, engineio.Options{}, nil)
			proxy, tunnels := socksProxy(t, test.user, test.password, test.reply)
			if test.user != "" {
				proxy.User = url.UserPassword(test.user, test.sent)
			}
			o := &client.Options{Transports: []string{"websocket"}, Proxy: http.ProxyURL(proxy)}
			if test.want != "" {
				if _, err := client.Dial(t.Context(), r.URL, o); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
				return
			}
			p := dial(t, r.URL, o)
			p.Send(engineio.Message{Data: []byte("through")})
			p.expect(t, "through", false)
			p.Close()
			wait(t, "the end", p.ended)
			if tunnels.Load() != 1 {
				t.Errorf("%d tunnels", tunnels.Load())
			}
		})
	}
}
