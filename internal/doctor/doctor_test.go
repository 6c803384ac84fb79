package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseTarget_TakesWhatPeopleType(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://www.example.com":        "https://www.example.com /socket.io/ / https://www.example.com",
		"https://www.example.com:443/":   "https://www.example.com:443 /socket.io/ / https://www.example.com",
		"wss://www.example.com/chat":     "https://www.example.com /socket.io/ /chat https://www.example.com",
		"www.example.com":                "https://www.example.com /socket.io/ / https://www.example.com",
		"localhost:3000":                 "http://localhost:3000 /socket.io/ / http://localhost:3000",
		"127.0.0.1:80":                   "http://127.0.0.1:80 /socket.io/ / http://127.0.0.1",
		"http://[::1]:3000/room?token=x": "http://[::1]:3000 /socket.io/ /room http://[::1]:3000",
		"":                               "",
		"ftp://www.example.com":          "",
		"https://":                       "",
	} {
		got := ""
		if target, err := parseTarget(Options{URL: text}); err == nil {
			got = fmt.Sprint(target.site, " ", target.path, " ", target.namespace, " ", target.origin)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// A directive that is missing for one kind of hop leaves its operators alone.
func TestSettings_EveryFaultHasADirectiveForEveryHop(t *testing.T) {
	t.Parallel()
	for f := faultUnreachable; f <= faultWebhook; f++ {
		for _, h := range allHops {
			list := h.settings(f, openPacket{PingInterval: 25000, PingTimeout: 20000})
			if len(list) != len(allHops) || !strings.HasPrefix(list[0], string(h)+": ") || strings.Contains(strings.Join(list, ""), "SECONDS") {
				t.Errorf("fault %d, %s: %q", f, h, list)
			}
		}
	}
	if got := hopNginx.settings(faultIdle, openPacket{PingInterval: 25000, PingTimeout: 20000})[0]; !strings.Contains(got, "proxy_read_timeout 75s") {
		t.Errorf("%q", got)
	}
}

func TestHopOf_RecognizesProxiesByTheirAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header http.Header
		body   string
		want   hop
	}{
		{http.Header{"Server": {"nginx/1.26.0"}}, "", hopNginx},
		{http.Header{"Server": {"cloudflare"}}, "", hopCloudflare},
		{http.Header{"Cf-Ray": {"1"}, "Server": {"nginx"}}, "", hopCloudflare},
		{http.Header{"Server": {"awselb/2.0"}}, "", hopALB},
		{http.Header{"Set-Cookie": {"AWSALB=x; Path=/"}}, "", hopALB},
		{http.Header{}, "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n", hopHAProxy},
		{http.Header{}, "<hr><center>nginx</center>", hopNginx},
		{http.Header{"Server": {"Apache"}}, "<html><body><h1>x</h1></body></html>", hopUnknown},
		{http.Header{}, "404 page not found\n", hopUnknown},
	} {
		if got := hopOf(c.header, c.body); got != c.want {
			t.Errorf("%v %q: %q, want %q", c.header, c.body, got, c.want)
		}
	}
}

func TestPollingConn_DecodesBothRevisions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		revision int
		body     string
		want     []string // nil: no packets
	}{
		{4, "0{}\x1e40", []string{"0{}", "40"}},
		{4, "", nil},
		{3, "3:0{}2:40", []string{"0{}", "40"}},
		{3, "4:4é😀", []string{"4é😀"}}, // an astral character counts twice
		{3, "9:0{}", nil},
		{3, "x:0{}", nil},
		{3, "<html>", nil},
		{3, "-1:x", nil},
	} {
		got, err := (&pollingConn{revision: c.revision}).decode(c.body)
		if !slices.Equal(got, c.want) && err == nil || (err != nil) != (c.want == nil) {
			t.Errorf("%d %q: %q %v", c.revision, c.body, got, err)
		}
	}
}

// failure returns the only failure of a walk.
func failure(t *testing.T, o Options) Check {
	t.Helper()
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var failed []Check
	for _, c := range report.Checks {
		if c.Result == Fail {
			failed = append(failed, c)
		}
	}
	if len(failed) != 1 || report.Failed != 1 {
		t.Fatalf("%+v", failed)
	}
	return failed[0]
}

// A server that speaks no Socket.IO has one failure, where the way ends.
func TestRun_NoServerOfSocketIO_FailsOnce(t *testing.T) {
	t.Parallel()
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, c := range []struct{ name, url, check, seen string }{
		{"nothing listens", "http://" + closed.Addr().String(), "http", "refused"},
		{"a page", serve(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>hello</html>") }), "handshake-eio4", "no handshake"},
		{"a page that is not there", serve(http.NotFound), "handshake-eio4", "404"},
		{"a redirect", serve(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://www.example.com", http.StatusMovedPermanently)
		}), "http", "https://www.example.com"},
		{"a gateway without its server", serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }), "http", "502"},
		{"a server that refuses everyone", serve(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"code":4,"message":"Forbidden"}`)
		}), "handshake-eio4", "Forbidden"},
		{"a name that is none", "http://posthouse-doctor.invalid", "dns", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := failure(t, Options{URL: c.url}); got.Name != c.check || !strings.Contains(got.Seen, c.seen) || got.Blame == "" || len(got.Settings) == 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A listener that says nothing costs one answer's time.
func TestRun_SilentServer_EndsSoon(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	began := time.Now()
	if got := failure(t, Options{URL: "http://" + l.Addr().String()}); got.Name != "http" || !strings.Contains(got.Seen, "no answer in time") {
		t.Errorf("%+v", got)
	}
	if took := time.Since(began); took > 5*answerTimeout {
		t.Errorf("it took %v", took)
	}
}

// certificate makes one for 127.0.0.1, signed by issuer or by itself.
func certificate(t *testing.T, name string, end time.Time, issuer *tls.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: end.Add(-48 * time.Hour), NotAfter: end,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	parent, signer := template, any(key)
	if issuer != nil {
		parent, signer = issuer.Leaf, issuer.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestRun_WrongCertificate_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(24 * time.Hour)
	root := certificate(t, "root", later, nil)
	middle := certificate(t, "middle", later, root)
	roots := x509.NewCertPool()
	roots.AddCert(root.Leaf)
	for _, c := range []struct {
		name string
		cert *tls.Certificate
		host string
		seen string
	}{
		{"a chain without its middle", certificate(t, "leaf", later, middle), "127.0.0.1", "the chain is incomplete: the certificate of CN=middle"},
		{"an issuer that is unknown", certificate(t, "self", later, nil), "127.0.0.1", "no browser knows the issuer"},
		{"one that has ended", certificate(t, "old", time.Now().Add(-time.Hour), root), "127.0.0.1", "the certificate ended on"},
		{"one of another name", certificate(t, "leaf", later, root), "localhost", "localhost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.NotFoundHandler())
			s.TLS = &tls.Config{Certificates: []tls.Certificate{*c.cert}}
			s.Config.ErrorLog = nil
			s.StartTLS()
			defer s.Close()
			url := "https://" + strings.Replace(s.Listener.Addr().String(), "127.0.0.1", c.host, 1)
			got := failure(t, Options{URL: url, Roots: roots})
			if got.Name != "tls" || !strings.Contains(got.Seen, c.seen) || !strings.Contains(got.Settings[0], "ssl_certificate") {
				t.Errorf("%+v", got)
			}
		})
	}
	// The right one leads on, by HTTP/2 as well.
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate(t, "leaf", later, root)}}
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	report, err := Run(t.Context(), Options{URL: s.URL, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	if c := report.Checks[1]; c.Result != OK || !strings.Contains(c.Seen, "renew it soon") {
		t.Errorf("%+v", c)
	}
	if c := report.Checks[2]; c.Result != OK || !strings.Contains(c.Seen, "HTTP/2") {
		t.Errorf("%+v", c)
	}
}

// A report line is one line, with the hop's own setting, or with all when the hop is unknown.
func TestReport_WriteText_OneLineEach(t *testing.T) {
	t.Parallel()
	w := &walk{target: &target{}, hop: hopNginx}
	w.results = map[string]Check{}
	w.fail("websocket", faultUpgrade, "400 %s", clip("two\nlines"))
	w.hop = hopUnknown
	w.fail("sticky", faultSticky, "lost")
	r := &Report{Checks: []Check{w.results["websocket"], w.results["sticky"], {Name: "dns", Result: OK, Seen: "192.0.2.1"}}}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 4 || strings.Contains(lines[0], "HAProxy") || !strings.Contains(lines[0], "proxy_set_header Upgrade") ||
		!strings.Contains(lines[1], "ip_hash") || !strings.Contains(lines[1], "Traefik: ") || !strings.HasPrefix(lines[2], "✓ dns") {
		t.Errorf("%s", b.String())
	}
}
