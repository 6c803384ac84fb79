package presence_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/presence"
	"posthouse/socketio/sockettest"
)

var sub = socketio.NewKey[string]("sub")

// serve runs a server whose rooms topic:* and hall have presence; the auth object names
// the user.
func serve(t *testing.T) *sockettest.Server {
	t.Helper()
	rooms, err := access.Matching("topic:*", "hall")
	if err != nil {
		t.Fatal(err)
	}
	here, err := presence.New(&presence.Options{Rooms: rooms})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	srv := sockettest.NewServer(t, nil)
	srv.Of("/").Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ User string }
		_ = s.Auth(&auth)
		sub.Set(s, auth.User)
		return nil
	})
	rules, err := access.New(&access.Options{Rooms: []string{"hall"}, Join: []string{"topic:*", "other"}, Presence: here, Other: access.RefuseUnknown})
	if err != nil {
		t.Fatal(err)
	}
	rules.Apply(srv.Of("/"))
	go func() { defer close(ended); here.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return srv
}

func as(user string) map[string]any { return map[string]any{"user": user} }

type answer struct {
	Room     string
	Presence []presence.Member
	Members  []presence.Member
	Stale    bool
	Error    struct{ Code string }
}

func call(t *testing.T, c *sockettest.Client, event string, arg any) (a answer) {
	t.Helper()
	if err := c.Call(event, arg).Bind(0, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func names(list []presence.Member) (text string) {
	for _, m := range list {
		text += fmt.Sprint(m.User, m.Connections, " ")
	}
	return text
}

func expectNotice(t *testing.T, c *sockettest.Client, want string) {
	t.Helper()
	if got := c.Expect("presence").Args.JSON(0); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestPresence_JoinsAndLeaves_AreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t)
		time.Sleep(1500 * time.Millisecond)
		ada := srv.Connect("/", as("ada"))
		if a := call(t, ada, "join", "topic:1"); names(a.Presence) != "ada1 " || a.Stale {
			t.Errorf("%+v", a)
		}
		time.Sleep(2 * time.Second) // the hall has been read
		var others []*sockettest.Client
		for _, user := range []string{"bo", "cy", "bo"} {
			c := srv.Connect("/", as(user))
			call(t, c, "join", "topic:1")
			others = append(others, c)
		}
		if a := call(t, ada, "presence", "topic:1"); names(a.Members) != "ada1 bo2 cy1 " || time.Since(a.Members[0].Since) > time.Minute {
			t.Errorf("%+v", a)
		}
		if a := call(t, ada, "presence", "hall"); names(a.Members) != "ada1 bo2 cy1 " {
			t.Errorf("a room of the rules: %+v", a)
		}
		rooms := map[string]bool{}
		for range 2 { // all of a second in one notice to each room
			m := ada.Expect("presence")
			var notice struct {
				Room         string
				Joined, Left []string
			}
			_ = m.Args.Bind(0, &notice)
			rooms[notice.Room] = fmt.Sprint(notice.Joined, notice.Left) == "[bo cy] []"
		}
		if !rooms["hall"] || !rooms["topic:1"] {
			t.Errorf("%v", rooms)
		}
		call(t, others[1], "leave", "topic:1") // at once: this is no reload
		expectNotice(t, ada, `{"room":"topic:1","joined":[],"left":["cy"]}`)
		call(t, others[0], "leave", "topic:1") // bo has another connection
		time.Sleep(30 * time.Second)
		ada.Quiet()

		// A page that is loaded again within ten seconds is no news.
		others[2].Close()
		time.Sleep(8 * time.Second)
		if a := call(t, ada, "presence", "topic:1"); names(a.Members) != "ada1 bo0 " {
			t.Errorf("while a page is loaded again: %+v", a)
		}
		again := srv.Connect("/", as("bo"))
		call(t, again, "join", "topic:1")
		time.Sleep(30 * time.Second)
		ada.Quiet()

		again.Close()
		time.Sleep(9 * time.Second)
		ada.Quiet()
		time.Sleep(3 * time.Second)
		expectNotice(t, ada, `{"room":"topic:1","joined":[],"left":["bo"]}`)
	})
}

func TestPresence_Refusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t)
		time.Sleep(1500 * time.Millisecond)
		c := srv.Connect("/", as("ada"))
		call(t, c, "join", "other")
		for _, test := range []struct {
			arg  any
			code string
		}{{"topic:1", "forbidden"}, {c.ID, "forbidden"}, {"other", "bad_request"}, {"", "bad_request"}, {7, "bad_request"}} {
			if a := call(t, c, "presence", test.arg); a.Error.Code != test.code {
				t.Errorf("%v: %+v", test.arg, a)
			}
		}
		nameless := srv.Connect("/", nil) // has no user: it does not count, but may ask
		if a := call(t, nameless, "presence", "hall"); names(a.Members) != "ada1 " {
			t.Errorf("%+v", a)
		}
	})
}

func TestNew_Refusals(t *testing.T) {
	all := func(string) bool { return true }
	for _, o := range []*presence.Options{nil, {}, {Rooms: all, Grace: -1}, {Rooms: all, Interval: -1}} {
		if _, err := presence.New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
