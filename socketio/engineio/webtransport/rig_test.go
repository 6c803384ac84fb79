package webtransport_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	wt "github.com/quic-go/webtransport-go"
	"go.uber.org/goleak"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/webtransport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// certificate is self-signed as browsers accept it by hash: ECDSA P-256 and
// valid for less than 14 days.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(10 * 24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// app is the layer above the engine: it sends every message back, and notes how
// sessions end.
type app struct {
	s      *engineio.Session
	closed chan string
}

func (a *app) Receive(m engineio.Message) error {
	switch {
	case string(m.Data) == "close":
		a.s.SendMessages(engineio.Message{Data: []byte("bye")})
		a.s.Close()
	default:
		return a.s.SendMessages(m)
	}
	return nil
}

func (a *app) Closed(r engineio.Reason, _ error) { a.closed <- string(r) }

// rig is an engine that serves polling over TCP and sessions over QUIC.
type rig struct {
	engine  *engineio.Server
	wt      *webtransport.Server
	http    *httptest.Server
	addr    string // of the UDP socket
	cert    tls.Certificate
	closed  chan string
	mu      sync.Mutex
	refused []string
}

func newRig(t *testing.T, o engineio.Options) *rig {
	t.Helper()
	return newRigWithPages(t, o, func(_ *rig, engine http.Handler) http.Handler { return engine })
}

func newRigWithPages(t *testing.T, o engineio.Options, pages func(r *rig, engine http.Handler) http.Handler) *rig {
	t.Helper()
	r := &rig{closed: make(chan string, 100), cert: certificate(t)}
	if o.Transports == nil {
		o.Transports = []string{"polling", "websocket", "webtransport"}
	}
	o.Accept = func(s *engineio.Session, _ *http.Request) (engineio.Handler, error) {
		return &app{s: s, closed: r.closed}, nil
	}
	o.OnConnectionError = func(e *engineio.ConnectionError) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.refused = append(r.refused, fmt.Sprint(e.Code, " ", e.Message))
	}
	r.engine = engineio.NewServer(&o)
	r.http = httptest.NewServer(pages(r, r.engine))
	r.wt = webtransport.NewServer(r.engine, &webtransport.Options{TLS: &tls.Config{Certificates: []tls.Certificate{r.cert}}})
	// The same port number: it is one host to a browser then.
	r.addr = r.http.Listener.Addr().String()
	pc, err := net.ListenPacket("udp", r.addr)
	for tries := 0; err != nil && tries < 20; tries++ { // taken by another program
		r.http.Close()
		r.http = httptest.NewServer(pages(r, r.engine))
		r.addr = r.http.Listener.Addr().String()
		pc, err = net.ListenPacket("udp", r.addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.wt.Serve(pc) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.engine.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := r.wt.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
		pc.Close()
		r.http.Close()
	})
	return r
}

// client is one WebTransport session of a browser, without the browser.
type client struct {
	t       *testing.T
	session *wt.Session
	stream  *wt.Stream
}

func (r *rig) dial(t *testing.T, header http.Header) (*http.Response, *wt.Session, error) {
	t.Helper()
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(r.cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	d := &wt.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, NextProtos: []string{http3.NextProtoH3}},
		QUICConfig:      &quic.Config{EnableDatagrams: true, EnableStreamResetPartialDelivery: true},
	}
	t.Cleanup(func() { d.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return d.Dial(ctx, "https://"+r.addr+"/engine.io/", header)
}

// connect opens a session and sends its first packet.
func (r *rig) connect(t *testing.T, first string) *client {
	t.Helper()
	_, session, err := r.dial(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.CloseWithError(0, "") })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := session.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	stream.SetDeadline(time.Now().Add(patience))
	c := &client{t: t, session: session, stream: stream}
	c.send(false, first)
	return c
}

func header(isBinary bool, n int) []byte {
	b := []byte{byte(n)}
	if n >= 1<<16 {
		b = binary.BigEndian.AppendUint64([]byte{127}, uint64(n))
	} else if n >= 126 {
		b = binary.BigEndian.AppendUint16([]byte{126}, uint16(n))
	}
	if isBinary {
		b[0] |= 0x80
	}
	return b
}

func (c *client) send(isBinary bool, payload string) {
	c.t.Helper()
	if _, err := c.stream.Write(append(header(isBinary, len(payload)), payload...)); err != nil {
		c.t.Error(err)
	}
}

func (c *client) next() (isBinary bool, payload string, err error) {
	var h [9]byte
	if _, err := io.ReadFull(c.stream, h[:1]); err != nil {
		return false, "", err
	}
	n := int(h[0] & 0x7f)
	switch n {
	case 126:
		if _, err = io.ReadFull(c.stream, h[1:3]); err == nil {
			n = int(binary.BigEndian.Uint16(h[1:]))
		}
	case 127:
		if _, err = io.ReadFull(c.stream, h[1:9]); err == nil {
			n = int(binary.BigEndian.Uint64(h[1:]))
		}
	}
	b := make([]byte, n)
	if err == nil {
		_, err = io.ReadFull(c.stream, b)
	}
	return h[0]&0x80 != 0, string(b), err
}

func (c *client) want(isBinary bool, payload string) {
	c.t.Helper()
	bin, got, err := c.next()
	if err != nil || bin != isBinary || got != payload {
		c.t.Fatalf("got %.100q (binary %v, err %v), want %.100q", got, bin, err, payload)
	}
}

// gone waits until the server has closed the session.
func (c *client) gone() {
	c.t.Helper()
	select {
	case <-c.session.Context().Done():
	case <-time.After(patience):
		c.t.Fatal("the session is still open")
	}
}

func (r *rig) reason(t *testing.T) string {
	t.Helper()
	select {
	case s := <-r.closed:
		return s
	case <-time.After(patience):
		t.Fatal("no session ended")
		return ""
	}
}
