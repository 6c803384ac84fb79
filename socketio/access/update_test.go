package access_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/sockettest"
)

// An Update holds for sockets that are connected, in namespaces of a pattern that exist
// already too; what a rule no longer names goes to Other.
func TestRules_Update_HoldsForConnectedSockets(t *testing.T) {
	for _, name := range []string{"/app", "/team/*"} {
		t.Run(name, func(t *testing.T) {
			o := access.Options{Join: []string{"topic:*"}, Relay: []string{"typing"}, Claim: claimOf, Other: access.RefuseUnknown}
			srv, _ := serve(t, access.Options{})
			rules, err := access.New(&o)
			if err != nil {
				t.Fatal(err)
			}
			connectTo := name
			if strings.Contains(name, "*") {
				rules.Apply(srv.OfPattern(name))
				connectTo = "/team/7"
			} else {
				rules.Apply(srv.Of(name))
			}
			c, other := srv.Connect(connectTo, user("ada")), srv.Connect(connectTo, user("bob"))
			ask := func(want, event string, args ...any) {
				t.Helper()
				if got := c.Call(event, args...).String(); !strings.Contains(got, want) {
					t.Errorf("%s %v: %s, want %s", event, args, got, want)
				}
			}
			update := func(o access.Options) {
				t.Helper()
				if err := rules.Update(&o); err != nil {
					t.Fatal(err)
				}
			}
			const unknown = "unknown_event"
			ask(`{"room":"topic:1"}`, "join", "topic:1")
			other.Call("join", "topic:1")
			ask(`{}`, "typing", "topic:1")
			other.Expect("typing")
			other.Quiet()
			ask(unknown, "cheer", "topic:1")

			update(access.Options{Rooms: []string{"all"}, Join: []string{"news:*"}, Relay: []string{"cheer"}, MaxRooms: 2})
			ask(`forbidden`, "join", "topic:2")
			ask(`{"room":"news:1"}`, "join", "news:1")
			ask(`forbidden`, "join", "news:2") // MaxRooms
			ask(unknown, "typing", "topic:1")
			other.Quiet()
			ask(`{}`, "cheer", "topic:1") // it is still in the room
			other.Expect("cheer")
			other.Quiet()
			if late := srv.Connect(connectTo, user("eve")); !srv.Of(connectTo).Socket(late.ID).InRoom("all") {
				t.Error("a new socket is not in the new rooms")
			}

			update(access.Options{})
			ask(unknown, "join", "news:3")
			ask(unknown, "leave", "news:1")
			update(access.Options{Join: []string{"*"}, Relay: []string{"typing"}})
			ask(`{"room":"x"}`, "join", "x")
			ask(`{}`, "typing", "x")

			if err := rules.Update(&access.Options{Join: []string{"{"}}); err == nil {
				t.Error("a wrong pattern was taken")
			}
			ask(`{"room":"y"}`, "join", "y")
			if err := rules.Update(nil); err != nil {
				t.Error(err)
			}
			ask(unknown, "join", "z")
		})
	}
}

// Rules that began without a join list and without relays can have them later.
func TestRules_Update_FirstJoinAndRelay(t *testing.T) {
	srv, rules := serve(t, access.Options{Other: access.RefuseUnknown})
	c := srv.Connect("/", user("ada"))
	if err := rules.Update(&access.Options{Join: []string{"{sub}:*"}, Relay: []string{"typing"}}); err != nil {
		t.Fatal(err)
	}
	if got := c.Call("join", "ada:1").String(); !strings.Contains(got, `{"room":"ada:1"}`) {
		t.Error(got)
	}
	if got := c.Call("typing", "ada:1").String(); !strings.Contains(got, `{}`) {
		t.Error(got)
	}
	if got := c.Call("leave", "ada:1").String(); !strings.Contains(got, `{"room":"ada:1"}`) {
		t.Error(got)
	}
}

// The rate of events changes for sockets that connect later, and goes back to the
// server's bound.
func TestRules_Update_RateOfEvents(t *testing.T) {
	srv, _ := serve(t, access.Options{})
	rules, err := access.New(&access.Options{Other: access.RefuseUnknown, Claim: claimOf, EventsPerSecond: 0.001, EventsBurst: 1})
	if err != nil {
		t.Fatal(err)
	}
	rules.Apply(srv.OfPattern("/team/*"))
	limited := func() bool {
		c := srv.Connect("/team/1", user("ada"))
		defer c.Disconnect()
		c.Call("one")
		return strings.Contains(c.Call("two").String(), "rate_limited")
	}
	keep := srv.Connect("/team/1", nil) // the namespace stays
	defer keep.Disconnect()
	if !limited() {
		t.Error("the first rate does not hold")
	}
	for _, step := range []struct {
		options access.Options
		limited bool
	}{{access.Options{EventsPerSecond: 1000}, false}, {access.Options{EventsPerSecond: 0.001, EventsBurst: 1}, true}, {access.Options{}, false}} {
		if err := rules.Update(&step.options); err != nil {
			t.Fatal(err)
		}
		if got := limited(); got != step.limited {
			t.Errorf("%v: limited %v", step.options.EventsPerSecond, got)
		}
	}
}

// Rules without a rate of their own leave the server's in force, also after an Update.
func TestRules_Update_WithoutARate_TheServersHolds(t *testing.T) {
	srv := sockettest.NewServer(t, &socketio.Options{Logger: slog.New(slog.DiscardHandler), Limits: socketio.Limits{EventsPerSecond: 0.001, EventsBurst: 1}})
	rules, err := access.New(&access.Options{Other: access.RefuseUnknown, EventsPerSecond: 1000})
	if err != nil {
		t.Fatal(err)
	}
	rules.Apply(srv)
	if err := rules.Update(nil); err != nil {
		t.Fatal(err)
	}
	c := srv.Connect("/", nil)
	c.Call("one")
	if got := c.Call("two").String(); !strings.Contains(got, "rate_limited") {
		t.Error(got)
	}
}

func TestRules_Update_NeedsOther(t *testing.T) {
	_, rules := serve(t, access.Options{Join: []string{"*"}})
	if err := rules.Update(&access.Options{Join: []string{"x"}}); !errors.Is(err, access.ErrUpdate) {
		t.Error(err)
	}
}

var _ access.Namespace = (*socketio.ParentNamespace)(nil)
