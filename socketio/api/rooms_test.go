package api_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/api"
	"posthouse/socketio/history"
	"posthouse/socketio/presence"
)

func isTopic(room string) bool { return strings.HasPrefix(room, "topic:") }

func TestHandler_PresenceAndHistory(t *testing.T) {
	here, err := presence.New(&presence.Options{Rooms: isTopic})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := history.New(&history.Options{Rooms: isTopic})
	if err != nil {
		t.Fatal(err)
	}
	srv, h := served(t, &api.Options{Presence: func(n *socketio.Namespace) *presence.Presence {
		if n.Name() == "/app" {
			return here
		}
		return nil
	}})
	here.Apply(srv.Of("/app"))
	kept.Apply(srv.Of("/app"))
	srv.Connect("/app", obj{"user": "ada", "room": "topic:1"})
	for i := range 3 {
		call(t, h, "POST", "/api/emit", full, fmt.Sprintf(`{"namespace":"/app","to":["topic:1"],"event":"e","args":[%d]}`, i))
	}
	for query, want := range map[string]struct {
		status int
		text   string // in the answer; of a problem, the location
	}{
		"presence?namespace=/app&room=topic:1":              {200, `{"members":[{"user":"ada","since":"`},
		"presence?namespace=/app&room=other":                {404, "query.room"},
		"presence?namespace=/team/7&room=topic:1":           {404, "query.room"},
		"presence?namespace=/none&room=topic:1":             {404, "query.namespace"},
		"presence?namespace=/app":                           {422, "query.room"},
		"history?namespace=/app&room=topic:1":               {200, `"args":[0]`},
		"history?namespace=/app&room=topic:1&limit=2":       {200, `"more":true`},
		"history?namespace=/app&room=topic:1&before=0-0":    {200, `"events":[]`},
		"history?namespace=/app&room=topic:1&before=x":      {422, "query.before"},
		"history?namespace=/app&room=topic:1&limit=0":       {422, "query.limit"},
		"history?namespace=/app&room=topic:1&limit=1001":    {422, "query.limit"},
		"history?namespace=/app&room=other":                 {404, "query.room"},
		"history?namespace=/team/7&room=topic:1":            {404, "query.room"},
		"history?namespace=/none&room=topic:1":              {404, "query.namespace"},
		"sockets?namespace=/none":                           {404, "query.namespace"},
		"sockets/none/x":                                    {404, "path.namespace"},
		"rooms?namespace=/none":                             {404, "query.namespace"},
		"rooms?namespace=/app&limit=1&cursor=topic:1":       {200, `"rooms":[]`},
		"history?namespace=/app&room=topic:1&before=0-0&x=": {422, ""},
	} {
		a := call(t, h, "GET", "/api/"+query, full, "")
		if a.Code != want.status || want.status == 200 && !strings.Contains(a.Body.String(), want.text) ||
			want.status != 200 && want.text != "" && (len(a.problem.Errors) != 1 || a.problem.Errors[0].Location != want.text) {
			t.Errorf("%s: %d %s", query, a.Code, a.Body)
		}
	}
	const rooms = `,"rooms":["x"]`
	for path, more := range map[string]string{"join": rooms, "leave": rooms, "disconnect": ""} {
		body := `{"namespace":"/none","to":["r"]` + more + `}`
		if a := call(t, h, "POST", "/api/"+path, full, body); a.Code != 404 || a.problem.Errors[0].Location != "body.namespace" {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
	_, without := served(t, &api.Options{})
	if a := call(t, without, "GET", "/api/presence?namespace=/app&room=topic:1", full, ""); a.Code != 404 {
		t.Errorf("without presence: %d %s", a.Code, a.Body)
	}
}

var errAway = errors.New("canary")

// awayStore is a store of presence that cannot be reached.
type awayStore struct{ presence.Store }

func (awayStore) Read(context.Context, string) ([]presence.Member, error) { return nil, errAway }
func (awayStore) Lease() time.Duration                                    { return time.Minute }

// awayHistory is an adapter whose store of history cannot be reached.
type awayHistory struct{ *socketio.LocalAdapter }

func (a awayHistory) HistoryStore() history.Store { return a }

func (awayHistory) Last(context.Context, string) (socketio.RecordID, error) {
	return socketio.RecordID{}, errAway
}

func (awayHistory) Read(context.Context, history.Query) (*history.Slice, error) { return nil, errAway }

func TestHandler_PresenceAndHistory_StoreAway(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	here, err := presence.New(&presence.Options{Rooms: isTopic, Store: awayStore{}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := history.New(&history.Options{Rooms: isTopic, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	srv, h := servedBy(t, func(l *socketio.LocalAdapter) socketio.Adapter { return awayHistory{l} },
		&api.Options{Presence: func(*socketio.Namespace) *presence.Presence { return here }})
	kept.Apply(srv.Of("/app"))
	for _, path := range []string{"presence", "history"} {
		if a := call(t, h, "GET", "/api/"+path+"?namespace=/app&room=topic:1", full, ""); a.Code != 503 || strings.Contains(a.Body.String(), "canary") {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
}

// Lists are in the order of their names, and a page that is just full is the last.
func TestHandler_Lists_AreOrdered(t *testing.T) {
	srv, h := served(t, &api.Options{})
	c := srv.Connect("/app", nil)
	if err := srv.Of("/app").Socket(c.ID).Join("c", "a", "e", "b", "d"); err != nil {
		t.Fatal(err)
	}
	if a := call(t, h, "GET", "/api/rooms?namespace=/app&limit=5", full, ""); strings.TrimSpace(a.Body.String()) != `{"rooms":["a","b","c","d","e"]}` {
		t.Errorf("%s", a.Body)
	}
	if a := call(t, h, "GET", "/api/sockets?namespace=/app&limit=1", full, ""); !strings.Contains(a.Body.String(), `"rooms":["a","b","c","d","e"]`) || strings.Contains(a.Body.String(), "cursor") {
		t.Errorf("%s", a.Body)
	}
}
