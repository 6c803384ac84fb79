package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/auth"
	"posthouse/socketio/sockettest"
)

// A configured namespace, exact or by a pattern, has presence and history for its clients
// and for the API.
func TestNamespaces_PresenceAndHistory(t *testing.T) {
	for _, name := range []string{"/app", "/team/*"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { presenceAndHistory(t, name) })
		})
	}
}

func presenceAndHistory(t *testing.T, name string) {
	srv := sockettest.NewServer(t, &socketio.Options{Logger: slog.New(slog.DiscardHandler)})
	cfg := loginConfig()
	cfg.APIKey = "0123456789abcdef"
	cfg.Namespaces = []Namespace{{Name: name, Auth: "open", Join: []string{"topic:*"}, Relay: []string{"say"}, Presence: []string{"topic:*"},
		History: &NamespaceHistory{Rooms: []string{"topic:*"}, Events: 3, age: time.Hour}}}
	a := &App{config: *cfg, log: slog.New(slog.DiscardHandler), ioServer: srv.Server, admission: newAdmission(cfg, newMetrics(func() float64 { return 0 })), health: &healthChecks{}}
	as := func(_ context.Context, s *socketio.Socket) error { auth.Subject.Set(s, "ada"); return nil }
	if name == "/app" {
		srv.Of(name).Use(as)
	} else {
		srv.OnNamespace(func(n *socketio.Namespace) { n.Use(as) })
	}
	if err := a.buildNamespaces(); err != nil {
		t.Fatal(err)
	}
	if err := a.buildAPI(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); a.namespaces.presences[0].here.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	time.Sleep(1500 * time.Millisecond)

	namespace := strings.Replace(name, "*", "7", 1)
	c := srv.Connect(namespace, nil)
	c.Call("join", "topic:1")
	c.Call("say", "topic:1", "hello")
	ask := func(method, path, body string) (int, string) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer 0123456789abcdef")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		a.apiHandler.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	emit := func(fields string) int {
		code, _ := ask(http.MethodPost, "/api/emit", fmt.Sprintf(`{"namespace":%q,"to":["topic:1"],"event":"news"%s}`, namespace, fields))
		return code
	}
	for fields, want := range map[string]int{
		`,"args":[1]`:                                200,
		`,"args":[2],"history":false`:                200,
		`,"args":[3],"volatile":true`:                200,
		`,"args":[4],"history":true,"volatile":true`: 422,
		`,"args":[5],"history":true,"local":true`:    422,
		`,"history":true,"ack":{"timeout":1}`:        422,
		`,"to":["other"],"history":true`:             422,
	} {
		if got := emit(fields); got != want {
			t.Errorf("%s: %d, want %d", fields, got, want)
		}
	}
	emit(`,"args":[6],"history":true`)
	var joined struct {
		History []struct {
			Event string
			Args  []any
			From  *string
		}
		Presence []struct {
			User        string
			Connections int
		}
	}
	second := srv.Connect(namespace, nil)
	if err := second.Call("join", map[string]any{"room": "topic:1", "history": 5}).Bind(0, &joined); err != nil {
		t.Fatal(err)
	}
	if h := joined.History; len(h) != 3 || h[0].Event != "say" || *h[0].From != "ada" || h[2].From != nil || fmt.Sprint(h[1].Args, h[2].Args) != "[1] [6]" {
		t.Errorf("history %+v", h)
	}
	if p := joined.Presence; len(p) != 1 || p[0].User != "ada" || p[0].Connections != 2 {
		t.Errorf("presence %+v", p)
	}
	query := "?namespace=" + url.QueryEscape(namespace) + "&room=topic:1"
	code, body := ask(http.MethodGet, "/api/history"+query+"&limit=2", "")
	var page struct {
		Events []struct {
			ID   string
			Time time.Time
		}
		More bool
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil || code != 200 || len(page.Events) != 2 || !page.More {
		t.Fatalf("%d %s", code, body)
	}
	if code, body = ask(http.MethodGet, "/api/history"+query+"&before="+page.Events[0].ID, ""); code != 200 || !strings.Contains(body, `"say"`) || strings.Contains(body, "news") {
		t.Errorf("%d %s", code, body)
	}
	if code, body = ask(http.MethodGet, "/api/presence"+query, ""); code != 200 || !strings.Contains(body, `"user":"ada"`) || !strings.Contains(body, `"connections":2`) ||
		!regexp.MustCompile(`"since":"[-0-9]{10}T[:0-9]{8}\.[0-9]{3}Z"`).MatchString(body) {
		t.Errorf("%d %s", code, body)
	}
	for path, want := range map[string]int{
		"/api/history" + query + "&before=x":                                    422,
		"/api/history" + query + "&limit=1001":                                  422,
		"/api/history?room=other&namespace=" + url.QueryEscape(namespace):       404,
		"/api/presence?room=other&namespace=" + url.QueryEscape(namespace):      404,
		"/api/presence?room=topic:1&namespace=" + url.QueryEscape("/none"):      404,
		"/api/presence?namespace=" + url.QueryEscape(namespace):                 422,
		"/api/history?room=topic:1&namespace=" + url.QueryEscape("/sockettest"): 404,
	} {
		if code, body := ask(http.MethodGet, path, ""); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}
