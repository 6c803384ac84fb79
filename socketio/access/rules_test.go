package access_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/sockettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// claimOf takes the claims from the auth object: a stand-in for tokens.
func claimOf(s *socketio.Socket, name string) (string, bool) {
	var claims map[string]string
	if s.Auth(&claims) != nil {
		return "", false
	}
	v, ok := claims[name]
	return v, ok
}

func serve(t *testing.T, o access.Options) (*sockettest.Server, *access.Rules) {
	t.Helper()
	srv := sockettest.NewServer(t, &socketio.Options{Logger: slog.New(slog.DiscardHandler)})
	o.Claim = claimOf
	rules, err := access.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	rules.Apply(srv)
	return srv, rules
}

func user(sub string) map[string]string { return map[string]string{"sub": sub} }

func TestRules_Rooms_JoinedAtConnectOrRefused(t *testing.T) {
	srv, _ := serve(t, access.Options{Rooms: []string{"user:{sub}", "everyone"}})
	c := srv.Connect("/", user("a*{x}"))
	if rooms := srv.Socket(c.ID).Rooms(); !slices.Equal(rooms[1:], []string{"user:a*{x}", "everyone"}) {
		t.Errorf("rooms %v", rooms)
	}
	// A name that is too long with its claim refuses as well.
	long, _ := serve(t, access.Options{Rooms: []string{strings.Repeat("x", 200) + "{sub}"}})
	long.Connect("/", user("a"))
	if _, err := long.TryConnect("/", user(strings.Repeat("a", 255)), nil); err == nil || !strings.Contains(err.Error(), "unauthorized") {
		t.Errorf("a room of 455 bytes: %v", err)
	}
	for name, auth := range map[string]any{"absent": map[string]string{}, "empty": user(""), "too long": user(strings.Repeat("x", 256)), "no object": nil} {
		_, err := srv.TryConnect("/", auth, nil)
		var refusal *socketio.ConnectError
		if !errors.As(err, &refusal) || refusal.Message != "unauthorized" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRules_JoinAndLeave(t *testing.T) {
	srv, rules := serve(t, access.Options{Rooms: []string{"topic:all"}, Join: []string{"topic:*", "doc:{sub}:*"}, MaxRooms: 3})
	c := srv.Connect("/", user("ada"))
	for _, test := range []struct {
		event string
		arg   any
		want  string
	}{
		{"join", "topic:1", `{"room":"topic:1"}`},
		{"join", "topic:1", `{"room":"topic:1"}`},
		{"join", map[string]any{"room": "doc:ada:7"}, `{"room":"doc:ada:7"}`},
		{"join", "doc:bob:7", "forbidden"},
		{"join", "topic:", "forbidden"},
		{"join", "other", "forbidden"},
		{"join", "", "bad_request"},
		{"join", 7, "bad_request"},
		{"join", map[string]any{"room": "topic:1", "history": 10}, "bad_request"},
		{"join", map[string]any{"room": "topic:1", "history": -1}, "bad_request"},
		{"join", "topic:2", "forbidden"}, // the fourth
		{"leave", "topic:1", `{"room":"topic:1"}`},
		{"leave", "topic:1", `{"room":"topic:1"}`},
		{"leave", "topic:all", "forbidden"},
		{"leave", "other", "forbidden"},
		{"leave", 7, "bad_request"},
		{"join", "topic:2", `{"room":"topic:2"}`},
	} {
		got := c.Call(test.event, test.arg).JSON(0)
		if got != test.want && !strings.Contains(got, `"code":"`+test.want+`"`) {
			t.Errorf("%s %v: %s, want %s", test.event, test.arg, got, test.want)
		}
	}
	if rooms := srv.Socket(c.ID).Rooms(); !slices.Equal(rooms[1:], []string{"topic:all", "doc:ada:7", "topic:2"}) {
		t.Errorf("rooms %v", rooms)
	}
	c.Emit("join", "other") // without an acknowledgement: counted only
	c.Call("join", "topic:2")
	if stats := rules.Stats(); stats != (access.Stats{Forbidden: 7, BadRequest: 5}) {
		t.Errorf("%+v", stats)
	}
}

func TestRules_Relay_ToTheOtherMembersWithTheSameArguments(t *testing.T) {
	srv, _ := serve(t, access.Options{Join: []string{"topic:*"}, Relay: []string{"typing"}})
	a, b, other := srv.Connect("/", user("a")), srv.Connect("/", user("b")), srv.Connect("/", user("c"))
	a.Call("join", "topic:1")
	b.Call("join", "topic:1")
	if got := a.Call("typing", "topic:1", 1, []byte{7}, nil).JSON(0); got != "{}" {
		t.Errorf("ack %s", got)
	}
	m := b.Expect("typing")
	var data []byte
	if err := m.Args.Bind(2, &data); err != nil || m.Args.JSON(0) != `"topic:1"` || m.Args.JSON(1) != "1" || string(data) != "\x07" || m.Args.JSON(3) != "null" {
		t.Errorf("relayed %v %v", m.Args, err)
	}
	a.Quiet()
	other.Quiet()
	for room, code := range map[any]string{"topic:2": "forbidden", a.ID: "forbidden", "": "bad_request", 1: "bad_request"} {
		if got := a.Call("typing", room, 1).JSON(0); !strings.Contains(got, code) {
			t.Errorf("%v: %s", room, got)
		}
	}
	if got := other.Call("typing", "topic:1").JSON(0); !strings.Contains(got, "forbidden") {
		t.Errorf("not a member: %s", got)
	}
	b.Quiet()
}

func TestRules_Other_GetsWhatNothingNames(t *testing.T) {
	srv, _ := serve(t, access.Options{Relay: []string{"typing"}, Known: []string{"mine"}, Other: access.RefuseUnknown})
	srv.OnEvent("mine", func(e *socketio.Event) { _ = e.Ack("ok") })
	c := srv.Connect("/", nil)
	for event, want := range map[string]string{"mine": "ok", "say": "unknown_event", "join": "unknown_event", "leave": "unknown_event", "typing": "bad_request"} {
		if got := c.Call(event).JSON(0); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", event, got, want)
		}
	}
}

func TestRules_EventsPerSecond_RateLimited(t *testing.T) {
	srv, _ := serve(t, access.Options{Join: []string{"topic:*"}, EventsPerSecond: 0.001, EventsBurst: 2})
	c := srv.Connect("/", nil)
	var got string
	for range 3 {
		got = c.Call("join", "topic:1").JSON(0)
	}
	if !strings.Contains(got, `"code":"rate_limited"`) || !strings.Contains(got, `"retryAfter":`) {
		t.Errorf("%s", got)
	}
}

// noted is a feature that adds to joins.
type noted struct{ fail error }

func (n noted) Join(_ context.Context, _ *socketio.Socket, r access.JoinRequest, join func() error) (map[string]any, error) {
	if n.fail != nil {
		return nil, n.fail
	}
	return map[string]any{"history": r.History}, join()
}

func TestRules_Joiner_AddsToTheAnswerAndDecides(t *testing.T) {
	srv, _ := serve(t, access.Options{Join: []string{"topic:*"}, Joiner: noted{}})
	c := srv.Connect("/", nil)
	if got := c.Call("join", map[string]any{"room": "topic:1", "history": 5}).JSON(0); got != `{"history":5,"room":"topic:1"}` {
		t.Errorf("%s", got)
	}
	srv, _ = serve(t, access.Options{Join: []string{"topic:*"}, Joiner: noted{&socketio.EventError{Code: "unavailable"}}})
	c = srv.Connect("/", nil)
	if got := c.Call("join", "topic:1").JSON(0); !strings.Contains(got, "unavailable") || srv.Socket(c.ID).InRoom("topic:1") {
		t.Errorf("%s", got)
	}
}

func TestNew_NamesTheOptionThatIsWrong(t *testing.T) {
	for want, o := range map[string]access.Options{
		"Options.Rooms":         {Rooms: []string{"topic:*"}},
		"Options.Join":          {Join: []string{"a{b"}},
		"Options.Claim":         {Rooms: []string{"user:{sub}"}},
		"Options.Relay":         {Relay: []string{"join"}},
		`event ""`:              {Relay: []string{""}},
		"MaxRooms":              {MaxRooms: -1},
		"EventsPerSecond":       {EventsPerSecond: -1},
		"EventsBurst":           {EventsBurst: -1},
		"more than MaxRooms, 1": {MaxRooms: 1, Rooms: []string{"a", "b"}},
		"empty":                 {Join: []string{""}},
	} {
		if _, err := access.New(&o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := access.New(&access.Options{MaxRooms: 2, Rooms: []string{"a", "b"}}); err != nil {
		t.Error(err)
	}
	if _, err := access.New(nil); err != nil {
		t.Error(err)
	}
}
