package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// pemPair is a self-signed certificate of 127.0.0.1 and its key.
func pemPair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func writePair(t *testing.T, dir string, cert, key []byte) (certFile, keyFile string) {
	t.Helper()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, data := range map[string][]byte{certFile: cert, keyFile: key} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// runApp runs a gateway with these flags until the test ends.
func runApp(t *testing.T, args ...string) *App {
	t.Helper()
	s := ReadSettings(args, nil, nil)
	if p := s.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	a, err := New(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return a
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func getBody(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); { // the second address is bound by Run
		resp, err := c.Get(url)
		if err != nil {
			last = err
			continue
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	t.Fatal(last)
	return nil, ""
}

func TestTLS_CertificateFiles_MainAddressSpeaksTLSOnly(t *testing.T) {
	cert, key := pemPair(t, 1)
	certFile, keyFile := writePair(t, t.TempDir(), cert, key)
	plain := freeAddr(t)
	a := runApp(t, "--addr=127.0.0.1:0", "--tls-cert-file="+certFile, "--tls-key-file="+keyFile, "--http-addr="+plain)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	c := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer c.CloseIdleConnections()
	base := "https://" + a.Addr().String()

	resp, body := getBody(t, c, base+"/socket.io/?EIO=4&transport=polling")
	if resp.StatusCode != 200 || resp.ProtoMajor != 1 || !strings.HasPrefix(body, `0{"sid"`) {
		t.Errorf("handshake: %s %s %s", resp.Proto, resp.Status, body)
	}
	if resp, _ := getBody(t, c, "http://"+a.Addr().String()+"/healthz"); resp.StatusCode != 400 {
		t.Errorf("plain HTTP on the main address: %s", resp.Status)
	}
	resp, _ = getBody(t, c, "http://"+plain+"/login?a=1")
	if resp.StatusCode != 308 || resp.Header.Get("Location") != base+"/login?a=1" {
		t.Errorf("plain address: %s to %q", resp.Status, resp.Header.Get("Location"))
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if resp, _ := getBody(t, c, "http://"+plain+path); resp.StatusCode != 200 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	// The page's own origin has the scheme of the connection.
	req, _ := http.NewRequest("GET", base+"/socket.io/?EIO=4&transport=polling", nil)
	req.Header.Set("Origin", "http://"+a.Addr().String())
	if resp, err := c.Do(req); err != nil || resp.StatusCode != 403 {
		t.Errorf("origin of another scheme: %v %v", resp, err)
	} else {
		resp.Body.Close()
	}
}

func TestTLS_SettingsThatDoNotFit_AreRefused(t *testing.T) {
	cert, key := pemPair(t, 1)
	_, other := pemPair(t, 2)
	certFile, keyFile := writePair(t, t.TempDir(), cert, key)
	wrongCert, wrongKey := writePair(t, t.TempDir(), cert, other)
	for want, args := range map[string][]string{
		"--tls-cert-file: ":                   {"--tls-cert-file=" + wrongCert, "--tls-key-file=" + wrongKey},
		"POSTHOUSE_TLS_KEY_FILE: is missing":  {"--tls-cert-file=" + certFile},
		"POSTHOUSE_TLS_CERT_FILE: is missing": {"--tls-key-file=" + keyFile},
		"--http-addr: ":                       {"--http-addr=127.0.0.1:80"},
		"--advertise: ":                       {"--addr=127.0.0.1:3000", "--advertise=127.0.0.1:3000", "--tls-cert-file=" + certFile, "--tls-key-file=" + keyFile},
	} {
		p := ReadSettings(args, nil, nil).Problems()
		if len(p) != 1 || !strings.HasPrefix(p[0], want) {
			t.Errorf("%q: %q", want, p)
		}
	}
}

func TestTLS_ChangedFiles_AreTakenWithinTenSeconds(t *testing.T) {
	dir := t.TempDir()
	cert, key := pemPair(t, 1)
	certFile, keyFile := writePair(t, dir, cert, key)
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c, err := newCertificate(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		go c.watch(ctx)
		serial := func() int64 {
			time.Sleep(10 * time.Second) // of the bubble
			synctest.Wait()
			return c.current.Load().Leaf.SerialNumber.Int64()
		}
		cert, key := pemPair(t, 2)
		writePair(t, dir, cert, key)
		if got := serial(); got != 2 {
			t.Errorf("serial %d", got)
		}
		_, key = pemPair(t, 3)
		writePair(t, dir, cert, key)
		for range 3 {
			if got := serial(); got != 2 {
				t.Errorf("a pair that does not fit: serial %d", got)
			}
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d lines:\n%s", n, &log)
		}
		cancel()
		synctest.Wait()
	})
}

func TestAddr_UnixSocket_IsServedAndTakenOverFromADeadProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	runApp(t, "--addr=unix:"+path, "--trusted-proxies=127.0.0.1")
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer c.CloseIdleConnections()
	if resp, body := getBody(t, c, "http://x/socket.io/?EIO=4&transport=polling"); resp.StatusCode != 200 || !strings.HasPrefix(body, `0{"sid"`) {
		t.Errorf("%s %s", resp.Status, body)
	}
	if _, err := listenMain("unix:" + path); err == nil {
		t.Error("the socket of a living process was taken")
	}
}

// An idle WebSocket of a Unix socket is read by an event loop, as one of TCP is: it holds no
// goroutine.
func TestAddr_UnixSocket_WebSocketsAreReadByTheEventLoop(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("event loops are Linux'")
	}
	path := filepath.Join(t.TempDir(), "p.sock")
	runApp(t, "--addr=unix:"+path, "--limit-connections-per-ip=off", "--limit-handshakes-per-ip=off")
	overUnix := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer overUnix.CloseIdleConnections()
	const n = 20
	for range n {
		c, _, err := websocket.Dial(t.Context(), "http://x/socket.io/?EIO=4&transport=websocket", &websocket.DialOptions{HTTPClient: overUnix})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		if _, text, err := c.Read(t.Context()); err != nil || !strings.HasPrefix(string(text), `0{"sid"`) {
			t.Fatal(string(text), err)
		}
		if err := c.Write(t.Context(), websocket.MessageText, []byte("40")); err != nil {
			t.Fatal(err)
		}
		if _, text, err := c.Read(t.Context()); err != nil || !strings.HasPrefix(string(text), `40{"sid"`) {
			t.Fatal(string(text), err)
		}
	}
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if got := strings.Count(string(stacks), "wsTransport).readLoop("); got != 0 {
		t.Errorf("%d of %d WebSockets are read by goroutines", got, n)
	}
}

func TestSystemd_NotifySocket_HearsReadyWatchdogAndStopping(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n.sock")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_ = l.SetReadDeadline(time.Now().Add(30 * time.Second))
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "100000")
	ctx, cancel := context.WithCancel(context.Background())
	a, err := New(ReadSettings([]string{"--addr=127.0.0.1:0"}, nil, nil).Config)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	heard := map[string]bool{}
	in := l
	for !heard["STOPPING=1"] {
		buf := make([]byte, 64)
		n, err := in.Read(buf)
		if err != nil {
			t.Fatal(err, heard)
		}
		if heard[string(buf[:n])] = true; heard["READY=1"] && heard["WATCHDOG=1"] {
			cancel()
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	cancel()
}
