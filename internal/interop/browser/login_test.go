// Package browser_test drives the built gateway as its users do: with the real
// socket.io-client and with a browser.
package browser_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.RemoveBinaries()
	os.Exit(code)
}

type seen struct {
	Answer struct {
		Ticket, URL, ImageURL, Resume, Account string
		ExpiresIn                              int
	}
	Transport string
	Scan      struct {
		Status int
		Body   struct {
			OpenID, Event string
			Deliveries    []struct {
				Status int
				Body   string
			}
		}
	}
	Claims map[string]any
	Events [][]string
}

// The main job, end to end, by the clients people have.
func TestLoginWithTheRealClient(t *testing.T) {
	testenv.NodeDir(t)
	base, _ := testenv.Gateway(t)
	for _, c := range []struct{ name, transports, client string }{
		{"polling with upgrade", "polling,websocket", "socket.io-client"},
		{"websocket only", "websocket", "socket.io-client"},
		{"polling only", "polling", "socket.io-client"},
		{"a client of version 3", "polling,websocket", "sioc-3.1"},
		{"a client of version 2", "polling,websocket", "sioc-2.5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := testenv.Node(t, 30*time.Second, filepath.Join("testdata", "client.cjs"), base, "/socket.io", c.transports, c.client)
			var s seen
			if err := json.Unmarshal([]byte(out), &s); err != nil {
				t.Fatalf("%v in %q", err, out)
			}
			if s.Answer.Ticket == "" || s.Answer.URL == "" || s.Answer.ImageURL == "" || s.Answer.ExpiresIn < 200 || s.Answer.Account != "default" {
				t.Errorf("answer of qrcode: %+v", s.Answer)
			}
			if s.Scan.Status != 200 || len(s.Scan.Body.Deliveries) != 1 || s.Scan.Body.Deliveries[0].Status != 200 {
				t.Errorf("scan: %+v", s.Scan)
			}
			if s.Claims["openid"] != s.Scan.Body.OpenID || s.Claims["iss"] != "posthouse" {
				t.Errorf("claims %v, scanned by %s", s.Claims, s.Scan.Body.OpenID)
			}
			events := []string{}
			for _, e := range s.Events {
				events = append(events, strings.Join(e[:min(len(e), 2)], " "))
			}
			last := strings.Join(events[len(events)-2:], ", ")
			if last != "token, disconnect io server disconnect" {
				t.Errorf("the end: %v", events)
			}
			if want := c.transports[strings.LastIndex(c.transports, ",")+1:]; s.Transport != want {
				t.Errorf("transport %q, want %q", s.Transport, want)
			}
		})
	}
}

// SIGTERM with open polls and sockets ends cleanly, and the port is free at once.
func TestStopAndStartAgain(t *testing.T) {
	testenv.NodeDir(t)
	port := testenv.FreePort(t)
	base, p := testenv.GatewayAt(t, port)
	hold := testenv.Start(t, []string{"NODE_PATH=" + filepath.Join(testenv.NodeDir(t), "node_modules")}, "node", filepath.Join("testdata", "hold.cjs"), base, "20")
	testenv.Until(t, 15*time.Second, "held connections", func() bool { return strings.Contains(hold.Output(), "holding") })
	began := time.Now()
	_ = p.Process.Signal(syscall.SIGTERM)
	if err := p.Wait(12 * time.Second); err != nil {
		t.Fatalf("SIGTERM: %v\n%s", err, p.Output())
	}
	t.Logf("ended after %v", time.Since(began))
	testenv.GatewayAt(t, port)
}

// The front ends of the first article work unchanged: a raw WebSocket with JSON, and
// socket.io-client with path /ws that listens for the token.
func TestTheFirstFrontEnds(t *testing.T) {
	testenv.NodeDir(t)
	base, _ := testenv.Gateway(t, "POSTHOUSE_SOCKETIO_PATH=/ws")
	for _, kind := range []string{"raw", "socket.io-client", "sioc-2.0"} {
		t.Run(kind, func(t *testing.T) {
			if out := testenv.Node(t, 30*time.Second, filepath.Join("testdata", "first.cjs"), base, kind); !strings.Contains(out, "ok") {
				t.Fatal(out)
			}
		})
	}
	t.Run("the article's text", func(t *testing.T) {
		if out := testenv.Node(t, 30*time.Second, filepath.Join("testdata", "article.cjs"), base); !strings.Contains(out, "ok") {
			t.Fatal(out)
		}
	})
}

// A person's hands: the login page, the phone, success.
func TestLoginInTheBrowser(t *testing.T) {
	testenv.NodeDir(t, "axe-core")
	testenv.Need(t, "chromium")
	base, _ := testenv.Gateway(t)
	shots := os.Getenv("POSTHOUSE_TEST_SCREENSHOTS")
	if out := testenv.Node(t, 3*time.Minute, filepath.Join("testdata", "browser.mjs"), base, shots); !strings.Contains(out, "ok") {
		t.Fatal(out)
	}
}

// Every state that the page can show, each reached the way people reach it.
// In each both themes, all windows and twice the size of letters are looked at: axe has
// nothing to say, nothing is cut off or moves, the code reads, the state was spoken.
func TestEveryStateOfTheLoginPage(t *testing.T) {
	testenv.NodeDir(t, "axe-core", "jsqr")
	testenv.Need(t, "chromium")
	for _, c := range []struct {
		name string
		env  []string
	}{
		{"expired", []string{"POSTHOUSE_TICKET_TTL=2s", "POSTHOUSE_LIMIT_QRCODES_PER_SOCKET=off"}},
		{"confirm", []string{"POSTHOUSE_CONFIRM=always"}},
		{"limited", []string{"POSTHOUSE_LIMIT_QRCODES_PER_IP=1/m"}},
		{"moved", nil},
		{"refused", nil},
		{"plain", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			base, gateway := testenv.Gateway(t, c.env...)
			if c.name == "refused" {
				base = bareProxy(t, base)
				defer func() { // the operator reads what to do
					for _, want := range []string{`"origin":"` + base + `"`, `"host":`, "POSTHOUSE_ORIGINS"} {
						if !strings.Contains(gateway.Output(), want) {
							t.Errorf("no %q in the log:\n%s", want, gateway.Output())
						}
					}
				}()
			}
			out := testenv.Node(t, 4*time.Minute, filepath.Join("testdata", "states.mjs"), os.Getenv("POSTHOUSE_TEST_SCREENSHOTS"), `{"`+c.name+`":"`+base+`"}`)
			if !strings.Contains(out, c.name+": ok") {
				t.Fatal(out)
			}
		})
	}
}

// bareProxy is nginx with nothing but proxy_pass: the gateway sees another Host than
// the browser.
func bareProxy(t *testing.T, gateway string) string {
	t.Helper()
	testenv.Need(t, "nginx")
	addr, dir := "127.0.0.1:"+strconv.Itoa(testenv.FreePort(t)), t.TempDir()
	conf := "daemon off;\nerror_log stderr warn;\npid nginx.pid;\nevents {}\nhttp {\n access_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		conf += kind + "_temp_path " + kind + ";\n"
	}
	conf += "server { listen " + addr + "; location / { proxy_pass " + gateway + "; } }\n}\n"
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.Start(t, nil, "nginx", "-c", file, "-p", dir).Ready(t, "http://"+addr+"/healthz")
	return "http://" + addr
}

// People use the page by keyboard, by ear, on phones, in background tabs,
// over bad networks.
func TestTheLoginPageForEverybody(t *testing.T) {
	testenv.NodeDir(t, "axe-core", "jsqr")
	testenv.Need(t, "chromium")
	for name, env := range map[string][]string{
		"keyboard": nil, "clock": nil, "leads": nil, "network": nil, "phones": nil, "noscript": nil,
		"long":       {"POSTHOUSE_WECHAT_TITLE=The Honourable Company of Couriers, Post Houses & Messengers 中华驿传邮驿信使总会服务号"},
		"background": {"POSTHOUSE_TICKET_TTL=3s"},
		"limited":    {"POSTHOUSE_LIMIT_QRCODES_PER_IP=1/s", "POSTHOUSE_LIMIT_QRCODES_PER_SOCKET=off"},
	} {
		t.Run(name, func(t *testing.T) {
			base, _ := testenv.Gateway(t, env...)
			if out := testenv.Node(t, 3*time.Minute, filepath.Join("testdata", "care.mjs"), `{"`+name+`":"`+base+`"}`); !strings.Contains(out, name+": ok") {
				t.Fatal(out)
			}
		})
	}
}

// The gateway goes away and comes back: the page says so and goes on.
func TestTheLoginPageSurvivesARestart(t *testing.T) {
	node := testenv.NodeDir(t, "axe-core", "jsqr")
	testenv.Need(t, "chromium")
	port := testenv.FreePort(t)
	base, p := testenv.GatewayAt(t, port)
	page := testenv.Start(t, []string{"NODE_PATH=" + filepath.Join(node, "node_modules")}, "node",
		filepath.Join("testdata", "states.mjs"), os.Getenv("POSTHOUSE_TEST_SCREENSHOTS"), `{"restart":"`+base+`"}`)
	testenv.Until(t, 30*time.Second, "the page", func() bool { return strings.Contains(page.Output(), "kill") })
	p.Kill()
	testenv.Until(t, 90*time.Second, "the banner", func() bool { return strings.Contains(page.Output(), "start") })
	testenv.GatewayAt(t, port)
	testenv.Until(t, 40*time.Second, "the page again", func() bool { return strings.Contains(page.Output(), "restart: ok") })
}
