package engineio_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// nodeModules returns where the real packages are, or skips.
func nodeModules(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../internal/interop/node/node_modules")
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "engine.io-client"))
	}
	if err == nil {
		_, err = exec.LookPath("node")
	}
	if err != nil {
		if os.Getenv("POSTHOUSE_TEST_ALL") == "1" {
			t.Fatalf("node and the packages of internal/interop/node are needed: %v", err)
		}
		t.Skipf("node and the packages of internal/interop/node are missing: %v", err)
	}
	return dir
}

func TestNodeClients(t *testing.T) {
	modules := nodeModules(t)
	list := func(s ...string) []string { return s }
	tests := []struct {
		name      string
		client    int
		options   map[string]any
		server    engineio.Options
		big       int
		transport string
	}{
		{name: "6.6 polling", client: 6, options: map[string]any{"transports": list("polling")}, big: 1e6, transport: "polling"},
		{name: "6.6 websocket", client: 6, options: map[string]any{"transports": list("websocket")}, big: 1e6, transport: "websocket"},
		{name: "6.6 upgrade", client: 6, big: 1e6, transport: "websocket"},
		{name: "6.6 base64", client: 6, options: map[string]any{"forceBase64": true}, big: 1e6, transport: "websocket"},
		{name: "6.6 websocket base64", client: 6, options: map[string]any{"forceBase64": true, "transports": list("websocket")}, big: 1e5, transport: "websocket"},
		{name: "6.6 permessage-deflate", client: 6, options: map[string]any{"transports": list("websocket"), "perMessageDeflate": map[string]any{"threshold": 10}},
			server: engineio.Options{PerMessageDeflate: &engineio.PerMessageDeflate{Threshold: 10}}, big: 1e6, transport: "websocket"},
		{name: "6.6 upgrade and permessage-deflate", client: 6, options: map[string]any{"perMessageDeflate": map[string]any{"threshold": 10}},
			server: engineio.Options{PerMessageDeflate: &engineio.PerMessageDeflate{}}, big: 1e6, transport: "websocket"},
		{name: "6.6 permessage-deflate with context takeover", client: 6, options: map[string]any{"transports": list("websocket"), "perMessageDeflate": map[string]any{"threshold": 10}},
			server: engineio.Options{PerMessageDeflate: &engineio.PerMessageDeflate{Threshold: 10, ContextTakeover: 1024}}, big: 1e6, transport: "websocket"},
		{name: "3.5 polling", client: 3, options: map[string]any{"transports": list("polling")}, big: 1e6, transport: "polling"},
		{name: "3.5 websocket", client: 3, options: map[string]any{"transports": list("websocket")}, big: 1e6, transport: "websocket"},
		{name: "3.5 upgrade", client: 3, big: 1e6, transport: "websocket"},
		{name: "3.5 base64", client: 3, options: map[string]any{"forceBase64": true}, big: 1e6, transport: "websocket"},
		{name: "3.5 polling base64", client: 3, options: map[string]any{"forceBase64": true, "transports": list("polling")}, big: 1e6, transport: "polling"},
		{name: "3.5 permessage-deflate", client: 3, options: map[string]any{"transports": list("websocket"), "perMessageDeflate": map[string]any{"threshold": 10}},
			server: engineio.Options{PerMessageDeflate: &engineio.PerMessageDeflate{Threshold: 10}}, big: 1e6, transport: "websocket"},
		{name: "3.5 permessage-deflate with context takeover", client: 3, options: map[string]any{"transports": list("websocket"), "perMessageDeflate": map[string]any{"threshold": 10}},
			server: engineio.Options{PerMessageDeflate: &engineio.PerMessageDeflate{Threshold: 10, ContextTakeover: 8192}}, big: 1e6, transport: "websocket"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := tt.server
			o.AllowEIO3 = true
			o.MaxPayload = 4e6
			o.MaxBuffered = 16 << 20
			o.PingInterval, o.PingTimeout = 500*time.Millisecond, 10*time.Second
			o.Accept = func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
				p := &peer{s: s}
				echo(p)
				return p, s.Send(text("hi"))
			}
			addr, stop := reading{serve: true}.start(t, o)
			defer stop()
			if tt.options == nil {
				tt.options = map[string]any{}
			}
			arg, _ := json.Marshal(map[string]any{"url": "http://" + addr, "client": tt.client, "options": tt.options, "big": tt.big, "stay": 50})
			cmd := exec.Command("node", "testdata/interop.js", string(arg))
			cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
			cmd.Stderr = os.Stderr
			b, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			var got struct {
				Open, Upgraded               bool
				Echoed                       int
				Wrong                        []any
				Close, Transport, Extensions string
			}
			if err := json.Unmarshal(b, &got); err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			if got.Echoed != 302 || len(got.Wrong) > 0 || got.Close != "forced close" || got.Transport != tt.transport {
				t.Errorf("the client saw %+v", got)
			}
			if o.PerMessageDeflate != nil && got.Extensions != "permessage-deflate" {
				t.Errorf("extensions: %q", got.Extensions)
			}
		})
	}
}
