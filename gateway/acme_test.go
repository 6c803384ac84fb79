package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
)

func loopbackAddr(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// The challenge comes to the main address as a TLS handshake; the certificate outlives a
// restart in the directory, and pages are served with it.
func TestACME_Pebble_TLSALPNAndCacheDirectory(t *testing.T) {
	port := testenv.FreePort(t)
	p := startPebble(t, testenv.FreePort(t), port)
	cache := filepath.Join(t.TempDir(), "acme")
	args := append(p.args, "--addr="+loopbackAddr(port), "--acme-cache="+cache, "--spool="+filepath.Join(t.TempDir(), "s"))
	a := runApp(t, args...)
	first := p.certificateOf(t, loopbackAddr(port), 60*time.Second)
	if err := first.VerifyHostname(acmeHost); err != nil {
		t.Error(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{ServerName: acmeHost, RootCAs: p.roots}, DisableKeepAlives: true}}
	if w, body := getBody(t, client, "https://"+loopbackAddr(port)+"/healthz"); w.StatusCode != http.StatusOK || w.TLS.NegotiatedProtocol == "h2" {
		t.Errorf("%s %s %s", w.Status, w.TLS.NegotiatedProtocol, body)
	}
	files, err := os.ReadDir(cache)
	if err != nil || len(files) < 2 {
		t.Errorf("the cache: %v, %v", files, err)
	}
	if problems := a.health.acmeProblems(); problems != nil {
		t.Errorf("%v", problems)
	}
	// A name that is not configured gets no certificate, and asks no ACME server for one.
	if c, err := tls.Dial("tcp", loopbackAddr(port), &tls.Config{ServerName: "other.example.test", InsecureSkipVerify: true}); err == nil {
		c.Close()
		t.Error("a handshake for another name")
	}
	// Without Pebble, another gateway has the same certificate from the directory.
	p.process.Kill()
	second := testenv.FreePort(t)
	runApp(t, append(p.args, "--addr="+loopbackAddr(second), "--acme-cache="+cache, "--spool="+filepath.Join(t.TempDir(), "s"))...)
	if again := p.certificateOf(t, loopbackAddr(second), 20*time.Second); !bytes.Equal(again.Raw, first.Raw) {
		t.Error("another certificate")
	}
}

// A certificate is renewed before it ends, while handshakes go on; the cache has the new one.
func TestACME_Pebble_RenewsBeforeTheEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for two thirds of a certificate's life")
	}
	t.Parallel()
	port := testenv.FreePort(t)
	p := startPebbleFor(t, testenv.FreePort(t), port, 45*time.Second, 0)
	cache := filepath.Join(t.TempDir(), "acme")
	a := runApp(t, append(p.args, "--addr="+loopbackAddr(port), "--acme-cache="+cache, "--spool="+filepath.Join(t.TempDir(), "s"))...)
	first := p.certificateOf(t, loopbackAddr(port), 50*time.Second)
	var renewed time.Time
	var second *x509.Certificate
	testenv.Until(t, time.Until(first.NotAfter), "another certificate before the first one ends", func() bool {
		c, err := tls.Dial("tcp", loopbackAddr(port), &tls.Config{ServerName: acmeHost, RootCAs: p.roots})
		if err != nil {
			t.Errorf("a handshake meanwhile: %v", err)
			return true
		}
		defer c.Close()
		second, renewed = c.ConnectionState().PeerCertificates[0], time.Now()
		return second.SerialNumber.Cmp(first.SerialNumber) != 0
	})
	if t.Failed() {
		return
	}
	if left := first.NotAfter.Sub(renewed); left <= 0 || !second.NotAfter.After(first.NotAfter) {
		t.Errorf("the first ends at %v, the second at %v, seen at %v", first.NotAfter, second.NotAfter, renewed)
	}
	t.Logf("renewed %v before the end", first.NotAfter.Sub(renewed).Round(time.Second))
	if problems := a.health.acmeProblems(); problems != nil {
		t.Errorf("%v", problems)
	}
	p.process.Kill()
	again := testenv.FreePort(t)
	runApp(t, append(p.args, "--addr="+loopbackAddr(again), "--acme-cache="+cache, "--spool="+filepath.Join(t.TempDir(), "s"))...)
	if kept := p.certificateOf(t, loopbackAddr(again), 10*time.Second); !bytes.Equal(kept.Raw, second.Raw) {
		t.Error("the cache has another certificate")
	}
}

// The challenge comes to the second address, of any replica: here to one that did not ask
// for the certificate. Redis holds no key in the clear.
func TestACME_Pebble_HTTP01AndRedisOfAllReplicas(t *testing.T) {
	plain := testenv.FreePort(t)
	p := startPebble(t, plain, testenv.FreePort(t)) // nothing listens for TLS-ALPN-01 there
	keyFile := filepath.Join(t.TempDir(), "jwt.key")
	if err := os.WriteFile(keyFile, []byte("hs256:"+strings.Repeat("A", 43)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := startRedis(t).addr()
	one, two := testenv.FreePort(t), testenv.FreePort(t)
	args := append(p.args, "--redis-url=redis://"+server, "--jwt-key-file="+keyFile)
	runApp(t, append(args, "--addr="+loopbackAddr(two), "--http-addr="+loopbackAddr(plain), "--spool="+filepath.Join(t.TempDir(), "s"))...)
	runApp(t, append(args, "--addr="+loopbackAddr(one), "--http-addr="+loopbackAddr(testenv.FreePort(t)), "--spool="+filepath.Join(t.TempDir(), "s"))...)
	first := p.certificateOf(t, loopbackAddr(one), 90*time.Second)
	p.certificateOf(t, loopbackAddr(two), 90*time.Second)

	noRedirects := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	q, _ := http.NewRequest(http.MethodGet, "http://"+loopbackAddr(plain)+"/login", nil)
	q.Host = acmeHost
	w, err := noRedirects.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	if w.StatusCode != http.StatusPermanentRedirect || !strings.HasPrefix(w.Header.Get("Location"), "https://"+acmeHost) {
		t.Errorf("%s %q", w.Status, w.Header.Get("Location"))
	}
	p.process.Kill()
	third := testenv.FreePort(t)
	runApp(t, append(args, "--addr="+loopbackAddr(third), "--spool="+filepath.Join(t.TempDir(), "s"))...)
	shared := p.certificateOf(t, loopbackAddr(third), 20*time.Second)
	if other := p.certificateOf(t, loopbackAddr(two), time.Second); !bytes.Equal(shared.Raw, first.Raw) && !bytes.Equal(shared.Raw, other.Raw) {
		t.Error("the third replica has a certificate of its own")
	}
	rdb := redis.NewClient(&redis.Options{Addr: server})
	defer rdb.Close()
	keys, err := rdb.Keys(t.Context(), "*-acme:*").Result()
	if err != nil || len(keys) < 2 {
		t.Fatalf("%v, %v", keys, err)
	}
	for _, key := range keys {
		if text, _ := rdb.Get(t.Context(), key).Result(); strings.Contains(text, "PRIVATE KEY") || strings.Contains(key+text, "example") {
			t.Errorf("%s stands in the clear", key)
		}
	}
}

// A certificate that the ACME server does not give is one line in the log and a reason of
// /readyz.
func TestACME_ServerAway_IsNamed(t *testing.T) {
	port := testenv.FreePort(t)
	var lines logBuffer
	s := ReadSettings([]string{
		"--addr=" + loopbackAddr(port), "--acme-hosts=" + acmeHost, "--acme-cache=" + t.TempDir(), "--acme-directory=https://" + loopbackAddr(testenv.FreePort(t)) + "/dir",
		"--spool=" + filepath.Join(t.TempDir(), "s"),
	}, nil, nil)
	if p := s.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	a, err := New(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	source := a.certificate.(*acmeCertificates)
	source.log = NewLogger(&lines, "info", "json")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	waitUntil(t, 30*time.Second, "the reason", func() bool { return len(source.listProblems()) == 1 })
	if text := lines.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "POSTHOUSE_ACME_DIRECTORY") || !strings.Contains(text, acmeHost) {
		t.Errorf("%s", text)
	}
	if r := a.health.checkAll(t.Context()); !r.Ready || r.Status != "degraded" || !strings.Contains(strings.Join(r.Reasons, " "), acmeHost) {
		t.Errorf("%+v", r)
	}
}

func TestACME_WrongSettings_AreRefused(t *testing.T) {
	certFile, keyFile := writePair(t, t.TempDir(), []byte("x"), []byte("y"))
	dir := "--acme-cache=" + t.TempDir()
	for name, c := range map[string]struct {
		args []string
		key  string
	}{
		"an address":          {[]string{"--acme-hosts=127.0.0.1", dir}, "POSTHOUSE_ACME_HOSTS"},
		"a star":              {[]string{"--acme-hosts=*.example.com", dir}, "POSTHOUSE_ACME_HOSTS"},
		"a port":              {[]string{"--acme-hosts=a.example.com:443", dir}, "POSTHOUSE_ACME_HOSTS"},
		"a URL":               {[]string{"--acme-hosts=https://a.example.com", dir}, "POSTHOUSE_ACME_HOSTS"},
		"files too":           {[]string{"--acme-hosts=a.example.com", dir, "--tls-cert-file=" + certFile, "--tls-key-file=" + keyFile}, "POSTHOUSE_ACME_HOSTS"},
		"nowhere to keep":     {[]string{"--acme-hosts=a.example.com"}, "POSTHOUSE_ACME_CACHE"},
		"no secret for Redis": {[]string{"--acme-hosts=a.example.com", "--redis-url=redis://127.0.0.1:1"}, "POSTHOUSE_ACME_CACHE"},
		"cache of a file":     {[]string{"--acme-hosts=a.example.com", "--acme-cache=" + certFile}, "POSTHOUSE_ACME_CACHE"},
		"plain directory":     {[]string{"--acme-hosts=a.example.com", dir, "--acme-directory=http://a.example.com"}, "POSTHOUSE_ACME_DIRECTORY"},
		"no address":          {[]string{"--acme-hosts=a.example.com", dir, "--acme-email=me"}, "POSTHOUSE_ACME_EMAIL"},
		"no roots":            {[]string{"--acme-hosts=a.example.com", dir, "--acme-ca-file=" + certFile}, "POSTHOUSE_ACME_CA_FILE"},
		"cache without hosts": {[]string{dir}, "POSTHOUSE_ACME_CACHE"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := ReadSettings(c.args, nil, nil).Problems()
			var all strings.Builder
			for _, p := range problems {
				all.WriteString(p + "\n")
			}
			flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(c.key, "POSTHOUSE_"), "_", "-"))
			if !strings.Contains(all.String(), c.key) && !strings.Contains(all.String(), flag) {
				t.Errorf("%q does not name %s", all.String(), c.key)
			}
		})
	}
}
