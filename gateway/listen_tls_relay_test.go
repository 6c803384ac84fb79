package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Replicas that speak TLS themselves, each with a certificate of its own that the other does
// not know, relay polls and WebSockets of each other's sessions: they do it by plain HTTP at
// an address beside the main one (docs/operations.md, TLS without a proxy).
func TestTLS_Replicas_RelayPollingAndWebSocketsToEachOther(t *testing.T) {
	t.Parallel()
	redis := startRedis(t).addr()
	roots := x509.NewCertPool()
	var bases []string
	var apps []*App
	for i := range 2 {
		cert, key := pemPair(t, int64(i+1))
		roots.AppendCertsFromPEM(cert)
		certFile, keyFile := writePair(t, t.TempDir(), cert, key)
		a := runApp(t, "--addr=127.0.0.1:0", "--tls-cert-file="+certFile, "--tls-key-file="+keyFile, "--redis-url=redis://"+redis,
			"--spool="+filepath.Join(t.TempDir(), "spool"))
		apps, bases = append(apps, a), append(bases, a.Addr().String())
	}
	c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer c.CloseIdleConnections()
	const polling = "/socket.io/?EIO=4&transport=polling"
	_, body := getBody(t, c, "https://"+bases[0]+polling)
	var handshake struct{ SID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(body, "0")), &handshake); err != nil || handshake.SID == "" {
		t.Fatal(body, err)
	}
	post := func(base, text string) {
		t.Helper()
		w, err := c.Post("https://"+base+polling+"&sid="+handshake.SID, "text/plain;charset=UTF-8", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		if answer, _ := io.ReadAll(w.Body); w.StatusCode != 200 || string(answer) != "ok" {
			t.Fatalf("POST: %s %s", w.Status, answer)
		}
	}
	// The session is the first replica's; all of these requests meet the second.
	post(bases[1], "40")
	if w, text := getBody(t, c, "https://"+bases[1]+polling+"&sid="+handshake.SID); w.StatusCode != 200 || !strings.HasPrefix(text, `40{"sid"`) {
		t.Fatalf("GET: %s %s", w.Status, text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "https://"+bases[1]+"/socket.io/?EIO=4&transport=websocket&sid="+handshake.SID, &websocket.DialOptions{HTTPClient: &http.Client{Transport: c.Transport}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	say := func(text, want string) {
		t.Helper()
		if err := ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := ws.Read(ctx); err != nil || !strings.HasPrefix(string(got), want) {
			t.Fatalf("%s: %s %v", text, got, err)
		}
	}
	say("2probe", "3probe")
	if err := ws.Write(ctx, websocket.MessageText, []byte("5")); err != nil {
		t.Fatal(err)
	}
	say(`421["rtt"]`, "431")
	waitUntil(t, 10*time.Second, "the numbers of the relay", func() bool { return apps[1].relay.Stats().Sockets == 1 })
	if n := apps[0].ioServer.Engine().ClientsCount() + apps[1].ioServer.Engine().ClientsCount(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}
