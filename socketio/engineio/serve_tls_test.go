package engineio_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	stdlog "log"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/internal/ws"
)

var makeCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// testCertificate is the configuration of a server.
func testCertificate() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{makeCertificate()}}
}

func http1Only() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// dialTLS is tls.Dial for a server with testCertificate.
func dialTLS(network, addr string) (net.Conn, error) {
	return tls.Dial(network, addr, &tls.Config{InsecureSkipVerify: true})
}

func (w *tcp) scheme() string {
	if w.tls {
		return "https"
	}
	return "http"
}

// plainTCP is what lies below c.
func plainTCP(c net.Conn) *net.TCPConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return c.(*net.TCPConn)
}

// An idle connection over TLS has no goroutine either.
func TestServeTLS_IdleWebSocketsHaveNoGoroutines(t *testing.T) {
	if !engineio.HasLoops {
		t.Skip("there are no event loops here")
	}
	const n = 50
	addr, stop := startTCP(t, reading{tls: true}, engineio.Options{}, echo)
	defer stop()
	before := runtime.NumGoroutine()
	for range n {
		c, err := dialTLS("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		openRaw(t, c)
	}
	got := 0
	eventually(t, "the goroutines of the handshakes are gone", func() bool {
		got = runtime.NumGoroutine() - before
		return got <= runtime.GOMAXPROCS(0)+5
	})
}

var closeFrame = ws.AppendMaskedFrame(nil, ws.Close, []byte{3, 232}, [4]byte{1, 2, 3, 4})

// The end of a session ends TLS too, so that a client knows that nothing was cut off.
func TestServeTLS_WebSocketEndsWithCloseNotify(t *testing.T) {
	for name, closedByServer := range map[string]bool{"closed by the server": true, "closed by the client": false} {
		t.Run(name, func(t *testing.T) {
			opened := make(chan *peer, 1)
			addr, stop := startTCP(t, reading{tls: true}, engineio.Options{}, func(p *peer) { opened <- p })
			defer stop()
			plain, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			var seen bytes.Buffer // TLS 1.2 shows the types of records
			c := tls.Client(teeConn{plain, &seen}, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
			br := openRaw(t, c)
			if p := <-opened; closedByServer {
				p.s.Close()
			}
			c.Write(closeFrame)
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			if rest, err := io.ReadAll(br); len(rest) == 0 || err != nil {
				t.Fatalf("%q, %v", rest, err)
			}
			const alert = 5 + 8 + 2 + 16
			if b := seen.Bytes(); !bytes.HasPrefix(b[len(b)-alert:], []byte{21, 3, 3, 0, alert - 5}) {
				t.Fatalf("the last bytes are % x", b[len(b)-alert:])
			}
		})
	}
}

// teeConn keeps what is read.
type teeConn struct {
	net.Conn
	seen *bytes.Buffer
}

// Read implements net.Conn.
func (c teeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.seen.Write(p[:n])
	return n, err
}

// Handshakes are resumed, so that a client that comes back costs less.
func TestServeTLS_ResumesSessions(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		addr, stop := reading{tls: true}.start(t, engineio.Options{})
		config := &tls.Config{InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1), ServerName: "x"}
		for i := range 2 {
			c, err := tls.Dial("tcp", addr, config)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
			io.ReadAll(c)
			c.Close()
			if got := c.ConnectionState().DidResume; got != (i == 1) {
				t.Errorf("%#x: connection %d: resumed %v", version, i, got)
			}
		}
		stop()
	}
}

// A peer that stops in the middle of the handshake is given up by ReadHeaderTimeout.
func TestServeTLS_StalledHandshakeEnds(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := engineio.NewServer(nil)
	var log logged
	hs := &http.Server{Handler: srv, ReadHeaderTimeout: 200 * time.Millisecond, ErrorLog: stdlog.New(&log, "", 0), TLSConfig: testCertificate(), Protocols: http1Only()}
	served := reading{tls: true}.run(srv, lis, hs)
	defer func() { hs.Close(); <-served }()
	c, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc")) // the head of a ClientHello
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end is told", func() bool { return strings.Contains(log.String(), "TLS handshake error") })
}

// A ConnLimiter counts a connection until it is a WebSocket, over TLS as without.
func TestServeTLS_ConnLimiterReleasesWebSockets(t *testing.T) {
	for name, goroutines := range map[string]bool{"loop": false, "goroutine": true} {
		t.Run(name, func(t *testing.T) {
			count := &connCount{max: 5}
			addr, stop := reading{tls: true, goroutines: goroutines}.start(t, engineio.Options{ConnLimiter: count})
			defer stop()
			c, err := dialTLS("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			s := dialSocket(t, c, "EIO=4&transport=websocket", nil)
			s.recv()
			eventually(t, "the WebSocket is released", func() bool { open, admitted := count.now(); return open == 0 && admitted == 1 })
		})
	}
}
