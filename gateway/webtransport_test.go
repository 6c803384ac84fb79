package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	engineclient "posthouse/socketio/engineio/client"
	"posthouse/socketio/engineio/webtransport"
)

func dialWebTransport(t *testing.T, a *App, cert []byte, transports []string, header http.Header) (*engineclient.Conn, error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	config := &tls.Config{RootCAs: roots}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return engineclient.Dial(ctx, "https://"+a.Addr().String(), &engineclient.Options{
		Path:       "/socket.io/",
		Transports: transports, Header: header, TLS: config,
		WebTransport: webtransport.Dial(&webtransport.DialOptions{TLS: config}),
	})
}

func TestWebTransport_Client_SameOriginsAndLimitsAsOtherTransports(t *testing.T) {
	cert, key := pemPair(t, 1)
	certFile, keyFile := writePair(t, t.TempDir(), cert, key)
	a := runApp(t, "--addr=127.0.0.1:0", "--tls-cert-file="+certFile, "--tls-key-file="+keyFile, "--webtransport=on",
		"--limit-connections-per-ip=2", "--limit-handshakes-per-ip=off", "--origins=https://page.example.com", "--spool="+filepath.Join(t.TempDir(), "s"))
	waitUntil(t, 20*time.Second, "a session", func() bool {
		c, err := dialWebTransport(t, a, cert, []string{"webtransport"}, nil)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if _, err := dialWebTransport(t, a, cert, []string{"webtransport"}, http.Header{"Origin": {"https://evil.example.com"}}); err == nil {
		t.Error("a foreign origin is let in")
	}
	waitUntil(t, 20*time.Second, "the end of the first sessions", func() bool { return a.admission.openConns.Load() == 0 })
	for range 2 {
		c, err := dialWebTransport(t, a, cert, []string{"webtransport"}, http.Header{"Origin": {"https://page.example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if _, err := dialWebTransport(t, a, cert, []string{"webtransport"}, nil); err == nil {
		t.Error("a third connection of the address is let in")
	}
	if n := a.admission.openConns.Load(); n != 2 {
		t.Errorf("%d connections are counted", n)
	}
}

func TestWebTransport_Settings_NeedTLS(t *testing.T) {
	problems := strings.Join(ReadSettings([]string{"--webtransport=on"}, nil, nil).Problems(), "\n")
	if !strings.Contains(problems, "POSTHOUSE_TLS_CERT_FILE") {
		t.Errorf("%q", problems)
	}
}
