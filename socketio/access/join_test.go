package access_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/history"
	"posthouse/socketio/parser"
	"posthouse/socketio/presence"
	"posthouse/socketio/sockettest"
)

var quiet = slog.New(slog.DiscardHandler)

func isTopic(room string) bool { return strings.HasPrefix(room, "topic:") }

func keeping(t *testing.T, o history.Options) *history.History {
	t.Helper()
	o.Rooms, o.Logger = isTopic, quiet
	h, err := history.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestRules_JoinWithHistory_SaysWhenEventsAreMissing(t *testing.T) {
	srv, _ := serve(t, access.Options{Join: []string{"*"}, Relay: []string{"say"}, History: keeping(t, history.Options{Events: 2})})
	writer := srv.Connect("/", user("ada"))
	writer.Call("join", "topic:1")
	join := func(n int) string {
		c := srv.Connect("/", user("bob"))
		return c.Call("join", map[string]any{"room": "topic:1", "history": n}).JSON(0)
	}
	for i, gap := range []bool{false, false, true} {
		writer.Call("say", "topic:1", i)
		got := join(3)
		if strings.Contains(got, `"gap":true`) != gap || !strings.Contains(got, fmt.Sprintf(`"args":["topic:1",%d]`, i)) || !strings.Contains(got, `"from":"ada"`) {
			t.Errorf("after %d events: %s", i+1, got)
		}
	}
	if got := join(2); strings.Contains(got, "gap") {
		t.Errorf("no more than are kept: %s", got)
	}
	c := srv.Connect("/", user("bob"))
	if got := c.Call("join", "topic:1").JSON(0); got != `{"room":"topic:1"}` {
		t.Errorf("without history: %s", got)
	}
	if got := c.Call("join", map[string]any{"room": "other", "history": 1}).JSON(0); !strings.Contains(got, "bad_request") || srv.Socket(c.ID).InRoom("other") {
		t.Errorf("a room without history: %s", got)
	}
}

// The answer to a join tells who is there; a list that may be old says so.
func TestRules_JoinWithPresence(t *testing.T) {
	for name, test := range map[string]struct {
		store       presence.Store
		user        string
		want, stale bool
	}{
		"known":            {nil, "ada", true, false},
		"the store away":   {awayStore{}, "ada", true, true},
		"nothing is known": {awayStore{}, "", false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			here, err := presence.New(&presence.Options{Rooms: isTopic, Store: test.store, Logger: quiet,
				User: func(s *socketio.Socket) string { sub, _ := claimOf(s, "sub"); return sub }})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			go here.Run(ctx) // the bubble waits for its end
			time.Sleep(time.Minute)
			srv, _ := serve(t, access.Options{Join: []string{"*"}, Presence: here})
			c := srv.Connect("/", user(test.user))
			got := c.Call("join", "topic:1").JSON(0)
			if strings.Contains(got, `"presence":[{"user":"ada",`) != test.want || strings.Contains(got, `"stale":true`) != test.stale || !strings.Contains(got, `"room":"topic:1"`) {
				t.Errorf("%s: %s", name, got)
			}
			if got := c.Call("join", "other").JSON(0); got != `{"room":"other"}` {
				t.Errorf("%s: a room without presence: %s", name, got)
			}
		})
	}
}

var errAway = errors.New("canary")

// awayStore is a store of presence that cannot be reached.
type awayStore struct{ presence.Store }

func (awayStore) Write(context.Context, []presence.Change) error          { return errAway }
func (awayStore) Read(context.Context, string) ([]presence.Member, error) { return nil, errAway }
func (awayStore) Renew(context.Context) (bool, error)                     { return false, errAway }
func (awayStore) Changed(context.Context) ([]string, bool, error)         { return nil, false, errAway }
func (awayStore) Sweep(context.Context) error                             { return errAway }
func (awayStore) Lease() time.Duration                                    { return time.Minute }

// troubled is an adapter that does not publish, and has a store of history that calls last.
type troubled struct {
	*socketio.LocalAdapter
	publish error
	last    func() error
}

func (a *troubled) HistoryStore() history.Store { return a }

func (a *troubled) Last(context.Context, string) (socketio.RecordID, error) {
	return socketio.RecordID{}, a.last()
}

func (a *troubled) Read(context.Context, history.Query) (*history.Slice, error) {
	return &history.Slice{}, nil
}

func (a *troubled) Broadcast(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) error {
	if a.publish != nil {
		return a.publish
	}
	return a.LocalAdapter.Broadcast(ctx, p, o)
}

// A failure of the store, too much that comes while it is read, and an event that cannot be
// passed on are told as "unavailable", without a reason; the socket is in no room more.
func TestRules_Unavailable(t *testing.T) {
	var a *troubled
	srv := sockettest.NewServer(t, &socketio.Options{Logger: quiet, NewAdapter: func(l *socketio.LocalAdapter) (socketio.Adapter, error) {
		t := &troubled{LocalAdapter: l, last: func() error { return errAway }}
		if l.Namespace() == "/" {
			a = t
		}
		return t, nil
	}})
	rules, err := access.New(&access.Options{Join: []string{"*"}, Relay: []string{"say"}, Claim: claimOf, History: keeping(t, history.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	rules.Apply(srv)
	c := srv.Connect("/", user("ada"))
	refused := func(what string, event string, args ...any) {
		t.Helper()
		if got := c.Call(event, args...).JSON(0); !strings.Contains(got, `"code":"unavailable"`) || strings.Contains(got, "canary") {
			t.Errorf("%s: %s", what, got)
		}
	}
	withHistory := map[string]any{"room": "topic:1", "history": 1}
	refused("the store is away", "join", withHistory)
	a.last = func() error {
		for range 4097 {
			if err := srv.To("topic:1").Emit("flood"); err != nil {
				return err
			}
		}
		return nil
	}
	refused("more events than are held", "join", withHistory)
	c.Quiet()
	if srv.Socket(c.ID).InRoom("topic:1") {
		t.Error("the socket is in the room")
	}
	c.Call("join", "topic:1")
	a.publish = errAway
	refused("not published", "say", "topic:1")
	if stats := rules.Stats(); stats != (access.Stats{Unavailable: 3}) {
		t.Errorf("%+v", stats)
	}
}

// Errors of a Joiner that are none of the protocol are counted too.
func TestRules_Stats_CountsOtherErrors(t *testing.T) {
	for want, fail := range map[access.Stats]error{
		{Other: 1}: errAway, {Unavailable: 1}: &socketio.EventError{Code: "unavailable"},
	} {
		srv, rules := serve(t, access.Options{Join: []string{"*"}, Joiner: noted{fail}})
		if got := srv.Connect("/", nil).Call("join", "x").JSON(0); strings.Contains(got, "canary") {
			t.Errorf("%s", got)
		}
		if stats := rules.Stats(); stats != want {
			t.Errorf("%+v, want %+v", stats, want)
		}
	}
	srv, rules := serve(t, access.Options{Join: []string{"*"}, Joiner: noted{&socketio.EventError{Code: "mine"}}})
	srv.Connect("/", nil).Call("join", "x")
	if stats := rules.Stats(); stats != (access.Stats{Other: 1}) {
		t.Errorf("%+v", stats)
	}
}
