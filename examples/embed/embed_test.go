package embed

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"posthouse/socketio"
	"posthouse/socketio/clientdist"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode) // it is talkative otherwise
	goleak.VerifyTestMain(m)
}

var recipes = map[string]func(*socketio.Server) http.Handler{
	"net/http": NetHTTP, "Echo v4": Echo4, "Echo v5": Echo5, "chi": Chi, "gin": Gin,
}

// The client does as a browser does: it polls, upgrades to a WebSocket, and is answered.
func TestAClientPollsAndUpgrades(t *testing.T) {
	for name, mount := range recipes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t, mount)
			open := b.do(t, "GET", "", "")
			sid := between(t, open, `"sid":"`, `"`)
			if !strings.HasPrefix(open, "0{") || !strings.Contains(open, `"upgrades":["websocket"`) {
				t.Fatalf("handshake: %s", open)
			}
			if got := b.do(t, "POST", "&sid="+sid, `40{"name":"Ada"}`); got != "ok" {
				t.Fatalf("POST: %s", got)
			}
			for got := ""; !strings.Contains(got, "welcome"); { // CONNECT and the event come in one answer or two
				got += b.do(t, "GET", "&sid="+sid, "")
			}
			ws := b.websocket(t, "&sid="+sid)
			ws.say(t, "2probe")
			ws.expect(t, "3probe")
			ws.say(t, "5")
			ws.say(t, `420["add",1,2]`)
			ws.expect(t, `430[3]`)
		})
	}
}

func TestAClientStartsWithAWebSocket(t *testing.T) {
	for name, mount := range recipes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := serve(t, mount).websocket(t, "")
			ws.expect(t, `0{"sid":`)
			ws.say(t, `40{"name":"Bo"}`)
			ws.expect(t, `40{"sid":`)
			ws.expect(t, `42["welcome","Bo"]`)
			ws.say(t, `420["add",2,3]`)
			ws.expect(t, `430[5]`)
		})
	}
}

// The other routes of the path: the client's own file, a request with another
// method, and one from a page of another origin.
func TestTheWholePathIsMounted(t *testing.T) {
	for name, mount := range recipes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t, mount)
			for _, c := range []struct {
				method, path, origin string
				status               int
			}{
				{"GET", "socket.io.esm.min.js", "", 200},
				{"HEAD", "socket.io.min.js", "", 200},
				{"PUT", "?EIO=4&transport=polling", "", 400},
				{"GET", "?EIO=4&transport=polling", "https://elsewhere.example", 403},
			} {
				req, err := http.NewRequestWithContext(t.Context(), c.method, b.url+"/socket.io/"+c.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if c.origin != "" {
					req.Header.Set("Origin", c.origin)
				}
				resp, err := b.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != c.status {
					t.Errorf("%s %s: %s, want %d", c.method, c.path, resp.Status, c.status)
				}
			}
		})
	}
}

// browser is a client of a server that has a framework around io.
type browser struct {
	url    string
	client *http.Client
}

func serve(t *testing.T, mount func(*socketio.Server) http.Handler) *browser {
	t.Helper()
	sio := socketio.NewServer(&socketio.Options{Bundles: clientdist.FS()})
	sio.OnConnection(func(s *socketio.Socket) {
		var auth struct{ Name string }
		_ = s.Auth(&auth)
		_ = s.Emit("welcome", auth.Name)
	})
	sio.OnEvent("add", func(e *socketio.Event) {
		var a, b int
		if e.Bind(&a, &b) == nil {
			_ = e.Ack(a + b)
		}
	})
	server := httptest.NewServer(mount(sio))
	b := &browser{server.URL, &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := sio.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
		b.client.CloseIdleConnections()
	})
	return b
}

func (b *browser) do(t *testing.T, method, query, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+"/socket.io/?EIO=4&transport=polling"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s (%v)", method, resp.Status, text, err)
	}
	return string(text)
}

type conn struct{ *websocket.Conn }

func (b *browser) websocket(t *testing.T, query string) conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, b.url+"/socket.io/?EIO=4&transport=websocket"+query, &websocket.DialOptions{HTTPClient: b.client})
	if err != nil {
		t.Fatal(fmt.Errorf("%w (%+v)", err, resp))
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return conn{ws}
}

func (c conn) say(t *testing.T, text string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func (c conn) expect(t *testing.T, start string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, got, err := c.Read(ctx)
	if err != nil || !strings.HasPrefix(string(got), start) {
		t.Fatalf("%s (%v), want %s…", got, err, start)
	}
}

func between(t *testing.T, text, before, after string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, before)
	found, _, ok2 := strings.Cut(rest, after)
	if !ok || !ok2 {
		t.Fatalf("%q has no %s…%s", text, before, after)
	}
	return found
}
