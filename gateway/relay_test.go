package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRelaySecrets_AreWhatRedisDoesNotKnow(t *testing.T) {
	t.Parallel()
	hs := "hs256:" + strings.Repeat("A", 44)
	for name, c := range map[string]struct {
		cfg  Config
		want []string // how the secrets begin
	}{
		"nothing":      {Config{RedisURL: []string{"redis://h"}}, nil},
		"redis alone":  {Config{RedisURL: []string{"redis://u:pw@h"}}, []string{"posthouse redis-password pw"}},
		"key":          {Config{JWTKey: Secret(hs), RedisURL: []string{"redis://u:pw@h"}}, []string{"posthouse jwt-key " + hs}},
		"two keys":     {Config{JWTKey: Secret(hs + "\n" + hs + "B")}, []string{"posthouse jwt-key " + hs, "posthouse jwt-key " + hs + "B"}},
		"key and app":  {Config{JWTKey: Secret(hs), Accounts: []Account{{AppID: "wx1", Secret: "s"}}}, []string{"posthouse jwt-key " + hs, "posthouse wechat-secret wx1 s"}},
		"many of both": {Config{JWTKey: Secret(strings.Repeat(hs+"\n", 20)), Accounts: make([]Account, 20)}, make([]string, maxKeySecrets+2)},
	} {
		got := relaySecrets(&c.cfg)
		if len(got) != len(c.want) {
			t.Errorf("%s: %d secrets", name, len(got))
			continue
		}
		for i, want := range c.want {
			if want != "" && string(got[i]) != want {
				t.Errorf("%s: %q", name, got[i])
			}
		}
	}
}

// With Redis every family of the cluster is there from the start.
func TestMetrics_ShowTheAdaptersAndTheRelay(t *testing.T) {
	t.Parallel()
	app, err := New(Config{
		Addr: "127.0.0.1:0", SocketIOPath: "/socket.io", RedisURL: []string{"redis://127.0.0.1:1"}, Adapter: "redis",
		JWTKey: Secret("hs256:" + strings.Repeat("A", 44)), JWTTTL: Duration(60e9), TicketTTL: Duration(60e9), Spool: t.TempDir() + "/spool",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.releaseBound)
	t.Cleanup(func() { _ = app.ioServer.Shutdown(t.Context()) })
	w := httptest.NewRecorder()
	app.metrics.handler(false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		"socketio_adapter_published_total ", "socketio_adapter_received_total ", "socketio_adapter_reconnects_total ", "socketio_adapter_lag_seconds ",
		"socketio_adapter_gaps_total ", `socketio_adapter_dropped_total{reason="malformed"} `, `socketio_adapter_requests_total{kind="fetchSockets",result="failed"} `,
		`socketio_relay_requests_total{result="relayed"} `, "socketio_relay_sockets ", "socketio_cluster_nodes 1",
	} {
		if !strings.Contains(w.Body.String(), "\n"+line) {
			t.Errorf("no %s", line)
		}
	}
}
