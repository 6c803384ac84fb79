package webtransport_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
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

func TestSession(t *testing.T) {
	r := newRig(t, engineio.Options{})
	c := r.connect(t, "0")
	_, open, err := c.next()
	if err != nil {
		t.Fatal(err)
	}
	var data struct {
		SID        string   `json:"sid"`
		Upgrades   []string `json:"upgrades"`
		MaxPayload int      `json:"maxPayload"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(open, "0")), &data); err != nil || len(data.SID) != 20 ||
		data.Upgrades == nil || len(data.Upgrades) != 0 || data.MaxPayload != 1e6 {
		t.Errorf("open packet %q: %v", open, err)
	}
	c.send(false, "4héllo")
	c.want(false, "4héllo")
	c.send(true, "\x00\x01\xff")
	c.want(true, "\x00\x01\xff")
	big := strings.Repeat("x", 999_999)
	go c.send(false, "4"+big)
	c.want(false, "4"+big)
	go c.send(true, big)
	c.want(true, big)
	c.session.CloseWithError(0, "")
	if got := r.reason(t); got != "transport close" {
		t.Errorf("reason %q", got)
	}
}

// What was sent before Close arrives, and then the session ends within a second.
func TestCloseByTheServer(t *testing.T) {
	r := newRig(t, engineio.Options{})
	c := r.connect(t, "0")
	c.next()
	c.send(false, "4close")
	start := time.Now()
	c.want(false, "4bye")
	if _, _, err := c.next(); !errors.Is(err, io.EOF) {
		t.Errorf("err = %v, want EOF", err)
	}
	c.gone()
	if d := time.Since(start); d > 2*time.Second { // one more for a busy machine
		t.Errorf("took %v", d)
	}
	if got := r.reason(t); got != "forced close" {
		t.Errorf("reason %q", got)
	}
}

func TestHeartbeat(t *testing.T) {
	r := newRig(t, engineio.Options{PingInterval: 50 * time.Millisecond, PingTimeout: time.Second})
	c := r.connect(t, "0")
	c.next()
	for range 3 {
		c.want(false, "2")
		c.send(false, "3")
	}
	c.want(false, "2") // and no answer
	if got := r.reason(t); got != "ping timeout" {
		t.Errorf("reason %q", got)
	}
	c.gone()
}

// What comes with the opening packet is not lost, and the deadline of the
// opening does not outlive it.
func TestAfterTheOpening(t *testing.T) {
	r := newRig(t, engineio.Options{UpgradeTimeout: 700 * time.Millisecond, PingInterval: 900 * time.Millisecond})
	c := r.connect(t, "0")
	c.send(false, "4a")
	c.next()
	c.want(false, "4a")
	c.want(false, "2")
	c.send(false, "4b")
	c.want(false, "4b")

	_, session, err := r.dial(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := session.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	stream.SetDeadline(time.Now().Add(patience))
	stream.Write([]byte("\x010\x024x\x024y"))
	c = &client{t: t, session: session, stream: stream}
	c.next()
	c.want(false, "4x")
	c.want(false, "4y")
	session.CloseWithError(0, "")
}

// pollingSession opens a session over polling.
func (r *rig) pollingSession(t *testing.T) (sid, url string) {
	t.Helper()
	resp, err := r.http.Client().Get(r.http.URL + "/engine.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var data struct {
		SID      string   `json:"sid"`
		Upgrades []string `json:"upgrades"`
	}
	body, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(bytes.TrimPrefix(body, []byte("0")), &data); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if fmt.Sprint(data.Upgrades) != "[websocket webtransport]" {
		t.Errorf("upgrades %v", data.Upgrades)
	}
	return data.SID, r.http.URL + "/engine.io/?EIO=4&transport=polling&sid=" + data.SID
}

func TestUpgradeFromPolling(t *testing.T) {
	r := newRig(t, engineio.Options{})
	sid, url := r.pollingSession(t)
	post := func(body string) {
		t.Helper()
		resp, err := r.http.Client().Post(url, "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	post("4one\x1e4two") // the answers wait: no GET carries them
	c := r.connect(t, `0{"sid":"`+sid+`"}`)
	c.send(false, "2probe")
	c.want(false, "3probe")
	post("4three")
	c.send(false, "5")
	c.send(false, "4four")
	for _, want := range []string{"4one", "4two", "4three", "4four"} {
		c.want(false, want)
	}
	resp, err := r.http.Client().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), `"code":3`) {
		t.Errorf("a poll after the upgrade got %d %s", resp.StatusCode, body)
	}
	// A second upgrade does not disturb.
	second := r.connect(t, `0{"sid":"`+sid+`"}`)
	second.gone()
	c.send(false, "4five")
	c.want(false, "4five")
}

func TestOpeningsThatAreNone(t *testing.T) {
	r := newRig(t, engineio.Options{})
	for name, first := range map[string]string{
		"unknown sid":     `0{"sid":"AAAAAAAAAAAAAAAAAAAA"}`,
		"prototype":       `0{"sid":"__proto__"}`,
		"not JSON":        "0x",
		"another type":    "4hello",
		"sid not string":  `0{"sid":1}`,
		"deep nesting":    "0" + strings.Repeat("[", 20_000),
		"invalid UTF-8":   "0\xff",
		"probe right off": "2probe",
	} {
		t.Run(name, func(t *testing.T) {
			c := r.connect(t, first)
			c.gone()
		})
	}
	if n := r.engine.ClientsCount(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestOpeningThatNeverComes(t *testing.T) {
	r := newRig(t, engineio.Options{UpgradeTimeout: 50 * time.Millisecond})
	for name, act := range map[string]func(*wt.Session){
		"no stream":       func(*wt.Session) {},
		"an empty stream": func(s *wt.Session) { s.OpenStream() },
		"half a packet": func(s *wt.Session) {
			str, _ := s.OpenStream()
			str.Write([]byte{0x7f, 0})
		},
	} {
		_, session, err := r.dial(t, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		act(session)
		(&client{t: t, session: session}).gone()
	}
}

func TestBadFramesEndTheSessionWithAParseError(t *testing.T) {
	r := newRig(t, engineio.Options{MaxPayload: 1000})
	for name, frame := range map[string]string{
		"empty":     "\x00",
		"too long":  "\x7e\x03\xe9",
		"over 2^53": "\x7f\x00\x20\x00\x00\x00\x00\x00\x00",
		"no packet": "\x01x",
	} {
		c := r.connect(t, "0")
		c.next()
		c.stream.Write([]byte(frame))
		if got := r.reason(t); got != "parse error" {
			t.Errorf("%s: reason %q", name, got)
		}
		c.gone()
	}
}

func TestGate(t *testing.T) {
	for name, c := range map[string]struct {
		options engineio.Options
		origin  string
		status  int    // of the CONNECT; 200: refused later
		refusal string // as OnConnectionError sees it
	}{
		"transport not enabled": {options: engineio.Options{Transports: []string{"polling"}}, status: 400, refusal: "0 Transport unknown"},
		"AllowRequest": {options: engineio.Options{AllowRequest: func(*http.Request) error { return errors.New("not you") }},
			status: 200, refusal: "4 Forbidden"},
		"middleware": {options: engineio.Options{Middlewares: []func(http.Handler) http.Handler{func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
		}}}, status: http.StatusTeapot},
		"middleware that hides the writer": {options: engineio.Options{Middlewares: []func(http.Handler) http.Handler{func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(struct{ http.ResponseWriter }{w}, r) })
		}}}, status: 400, refusal: "3 Bad request"},
		"foreign origin": {origin: "https://evil.example", status: 403, refusal: "4 Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.options)
			h := http.Header{}
			if c.origin != "" {
				h.Set("Origin", c.origin)
			}
			resp, session, err := r.dial(t, h)
			if resp == nil || resp.StatusCode != c.status {
				t.Fatalf("answer %v, err %v", resp, err)
			}
			if c.status == 200 {
				str, err := session.OpenStream()
				if err != nil {
					t.Fatal(err)
				}
				str.Write([]byte("\x010"))
				(&client{t: t, session: session}).gone()
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if got := strings.Join(r.refused, ","); got != c.refusal {
				t.Errorf("reported %q, want %q", got, c.refusal)
			}
			if r.engine.ClientsCount() != 0 {
				t.Error("a session was opened")
			}
		})
	}
}

// wrapper is what most middlewares put around a ResponseWriter.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestMiddlewaresAreCalledAndMayWrapTheWriter(t *testing.T) {
	seen := make(chan string, 1)
	r := newRig(t, engineio.Options{Middlewares: []func(http.Handler) http.Handler{func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen <- r.Method + " " + r.URL.Path
			w.Header().Set("X-Seen", "yes")
			next.ServeHTTP(wrapper{w}, r)
		})
	}}})
	resp, session, err := r.dial(t, nil)
	if err != nil || resp.Header.Get("X-Seen") != "yes" {
		t.Fatalf("answer %v, err %v", resp, err)
	}
	if got := <-seen; got != "CONNECT /engine.io/" {
		t.Errorf("seen %q", got)
	}
	session.CloseWithError(0, "")
}

func TestRequestsThatAreNoSessions(t *testing.T) {
	r := newRig(t, engineio.Options{})
	tr := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // a loopback server of our own
	defer tr.Close()
	for path, status := range map[string]int{"/engine.io/": 400, "/engine.io/?EIO=4&transport=polling": 400, "/": 404} {
		resp, err := (&http.Client{Transport: tr}).Get("https://" + r.addr + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("GET %s: %d, want %d", path, resp.StatusCode, status)
		}
	}
}

// Messages of both sides, numbered, while the transport changes under them.
func TestUpgradeKeepsOrder(t *testing.T) {
	const n = 300
	r := newRig(t, engineio.Options{})
	for range 5 {
		sid, url := r.pollingSession(t)
		var got []string
		poll := func() {
			resp, err := r.http.Client().Get(url)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			for p := range strings.SplitSeq(string(body), "\x1e") {
				if strings.HasPrefix(p, "4") {
					got = append(got, p)
				}
			}
		}
		post := func(i int) {
			resp, err := r.http.Client().Post(url, "text/plain", strings.NewReader(fmt.Sprint("4", i)))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		for i := range n / 3 {
			post(i)
		}
		polled := make(chan struct{})
		go func() { poll(); poll(); close(polled) }() // the second waits for the noop
		c := r.connect(t, `0{"sid":"`+sid+`"}`)
		c.send(false, "2probe")
		c.want(false, "3probe")
		for i := n / 3; i < 2*n/3; i++ {
			post(i)
		}
		<-polled
		c.send(false, "5")
		for i := 2 * n / 3; i < n; i++ {
			c.send(false, fmt.Sprint("4", i))
		}
		for len(got) < n {
			_, p, err := c.next()
			if err != nil {
				t.Fatal(len(got), err)
			}
			got = append(got, p)
		}
		for i, p := range got {
			if p != fmt.Sprint("4", i) {
				t.Fatalf("message %d is %q", i, p)
			}
		}
		c.session.CloseWithError(0, "")
	}
}

func TestAllowRequestIsNotAskedForUpgrades(t *testing.T) {
	var asked atomic.Int32
	r := newRig(t, engineio.Options{AllowRequest: func(*http.Request) error { asked.Add(1); return nil }})
	sid, _ := r.pollingSession(t)
	c := r.connect(t, `0{"sid":"`+sid+`"}`)
	c.send(false, "2probe")
	c.want(false, "3probe")
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once, by the polling handshake", n)
	}
}

// GO-2026-4483: more streams are reset, and the session lives on.
func TestFurtherStreamsAreReset(t *testing.T) {
	r := newRig(t, engineio.Options{})
	c := r.connect(t, "0")
	c.next()
	for i := range 300 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		str, err := c.session.OpenStreamSync(ctx)
		if err != nil {
			t.Fatal(i, err)
		}
		uni, err := c.session.OpenUniStreamSync(ctx)
		cancel()
		if err != nil {
			t.Fatal(i, err)
		}
		str.SetDeadline(time.Now().Add(patience))
		str.Write([]byte("\x024x"))
		if _, err := str.Read(make([]byte, 1)); !errors.Is(err, &wt.StreamError{ErrorCode: 1, Remote: true}) {
			t.Fatalf("stream %d: %v", i, err)
		}
		uni.Write([]byte("\x024x"))
		uni.Close()
		str.CancelWrite(0)
	}
	c.session.SendDatagram([]byte("ignored"))
	c.send(false, "4still here")
	c.want(false, "4still here")
}

func TestShutdownEndsSessions(t *testing.T) {
	r := newRig(t, engineio.Options{})
	c := r.connect(t, "0")
	c.next()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	start := time.Now()
	for range 2 { // it is idempotent
		if err := r.wt.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v", d)
	}
	if got := r.reason(t); got != "transport close" {
		t.Errorf("reason %q", got)
	}
	c.gone()
}
