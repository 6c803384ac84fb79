package history_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/history"
	"posthouse/socketio/sockettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server whose rooms topic:* have a history.
func serve(t *testing.T, o history.Options, io *socketio.Options) (*sockettest.Server, *history.History) {
	t.Helper()
	srv := sockettest.NewServer(t, io)
	rooms, err := access.Matching("topic:*")
	if err != nil {
		t.Fatal(err)
	}
	o.Rooms = rooms
	kept, err := history.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := access.New(&access.Options{Join: []string{"topic:*", "other"}, Relay: []string{"say"}, History: kept, Other: access.RefuseUnknown,
		Claim: func(s *socketio.Socket, name string) (string, bool) { return "ada", name == "sub" }})
	if err != nil {
		t.Fatal(err)
	}
	rules.Apply(srv.Of("/"))
	return srv, kept
}

// answer is that to "join" and to "history".
type answer struct {
	Room    string
	History []event
	Events  []event
	More    bool
	Gap     bool
	Error   struct{ Code string }
}

type event struct {
	ID    string
	Event string
	Args  []any
	Time  time.Time
	From  *string
}

func call(t *testing.T, c *sockettest.Client, name string, arg any) (a answer) {
	t.Helper()
	if err := c.Call(name, arg).Bind(0, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// told is the events as text: name and first argument.
func told(list []event) string {
	var words []string
	for _, e := range list {
		words = append(words, fmt.Sprint(e.Event, e.Args))
	}
	return strings.Join(words, " ")
}

type object = map[string]any

func TestHistory_JoinAndPage(t *testing.T) {
	srv, _ := serve(t, history.Options{Events: 5}, nil)
	room := srv.To("topic:1")
	for i := range 3 {
		_ = room.Record().Emit("n", i)
	}
	_ = room.Emit("not kept", 1)
	_ = room.Volatile().Record().Emit("volatile", 1)
	_ = room.Local().Record().Emit("local", 1)
	_ = room.Record().Emit("large", make([]byte, 64<<10+1))
	c := srv.Connect("/", nil)
	a := call(t, c, "join", object{"room": "topic:1", "history": 10})
	if told(a.History) != "n[0] n[1] n[2]" || a.Gap || a.Room != "topic:1" {
		t.Fatalf("%+v", a)
	}
	first := a.History[0]
	if first.From != nil || time.Since(first.Time) > time.Minute || first.ID == "" {
		t.Errorf("%+v", first)
	}
	for i := 3; i < 8; i++ {
		_ = room.Record().Emit("n", i)
		c.Expect("n")
	}
	for _, test := range []struct {
		name string
		arg  any
		want string
		gap  bool
		more bool
	}{
		{"all", object{"room": "topic:1", "limit": 10}, "n[3] n[4] n[5] n[6] n[7]", true, false},
		{"the newest", object{"room": "topic:1", "limit": 2}, "n[6] n[7]", false, true},
		{"as many as are kept", object{"room": "topic:1", "limit": 5}, "n[3] n[4] n[5] n[6] n[7]", false, false},
	} {
		a := call(t, c, "history", test.arg)
		if told(a.Events) != test.want || a.Gap != test.gap || a.More != test.more {
			t.Errorf("%s: %+v", test.name, a)
		}
	}
	page := call(t, c, "history", object{"room": "topic:1", "limit": 2})
	page = call(t, c, "history", object{"room": "topic:1", "limit": 2, "before": page.Events[0].ID})
	if told(page.Events) != "n[4] n[5]" || !page.More {
		t.Errorf("%+v", page)
	}
	page = call(t, c, "history", object{"room": "topic:1", "limit": 2, "before": page.Events[0].ID})
	if told(page.Events) != "n[3]" || page.More || !page.Gap {
		t.Errorf("the end of what is kept: %+v", page)
	}
}

func TestHistory_Binary_IsBinaryForClients(t *testing.T) {
	srv, kept := serve(t, history.Options{}, nil)
	_ = srv.To("topic:1").Record().Emit("b", object{"x": []byte{1, 2}}, object{"$binary": "no"})
	c := srv.Connect("/", nil)
	answer := c.Call("join", object{"room": "topic:1", "history": 1})
	var got struct {
		History []struct {
			Args []struct {
				X      []byte
				Binary string `json:"$binary"`
			}
		}
	}
	if err := answer.Bind(0, &got); err != nil || string(got.History[0].Args[0].X) != "\x01\x02" || got.History[0].Args[1].Binary != "no" {
		t.Fatalf("%+v %v", got, err)
	}
	page, err := kept.Read(t.Context(), srv.Of("/"), "topic:1", 1, "")
	if err != nil || string(page.Events[0].Args[0]) != `{"x":{"$binary":"AQI="}}` || string(page.Events[0].Args[1]) != `{"$object":{"$binary":"no"}}` {
		t.Fatalf("%v %v", page, err)
	}
}

func TestHistory_Refusals(t *testing.T) {
	srv, _ := serve(t, history.Options{}, nil)
	c := srv.Connect("/", nil)
	call(t, c, "join", "other")
	call(t, c, "join", "topic:1")
	for _, test := range []struct {
		event string
		arg   any
		code  string
	}{
		{"history", object{"room": "topic:2", "limit": 1}, "forbidden"},
		{"history", object{"room": c.ID, "limit": 1}, "forbidden"},
		{"history", object{"room": "other", "limit": 1}, "bad_request"},
		{"history", object{"room": "topic:1"}, "bad_request"},
		{"history", object{"room": "topic:1", "limit": 1001}, "bad_request"},
		{"history", object{"room": "topic:1", "limit": 1, "before": "x"}, "bad_request"},
		{"history", 7, "bad_request"},
		{"join", object{"room": "other", "history": 1}, "bad_request"},
		{"join", object{"room": "topic:1", "history": 1001}, "bad_request"},
		{"join", object{"room": "else", "history": 1}, "forbidden"},
	} {
		if a := call(t, c, test.event, test.arg); a.Error.Code != test.code {
			t.Errorf("%s %v: %+v", test.event, test.arg, a)
		}
	}
}

func TestHistory_Relay_IsKeptWithItsSender(t *testing.T) {
	srv, _ := serve(t, history.Options{}, nil)
	c := srv.Connect("/", nil)
	call(t, c, "join", "topic:1")
	c.Call("say", "topic:1", "hello")
	a := call(t, c, "history", object{"room": "topic:1", "limit": 1})
	if told(a.Events) != "say[topic:1 hello]" || a.Events[0].From == nil || *a.Events[0].From != "ada" {
		t.Fatalf("%+v", a)
	}
}

func TestHistory_Age_ForgetsAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, kept := serve(t, history.Options{Age: time.Minute}, nil)
		_ = srv.To("topic:1").Record().Emit("n", 1)
		time.Sleep(40 * time.Second)
		_ = srv.To("topic:1").Record().Emit("n", 2)
		time.Sleep(40 * time.Second)
		page, err := kept.Read(t.Context(), srv.Of("/"), "topic:1", 2, "")
		if err != nil || len(page.Events) != 1 || !page.Gap {
			t.Fatalf("%+v %v", page, err)
		}
		time.Sleep(time.Hour)
		if page, err = kept.Read(t.Context(), srv.Of("/"), "topic:1", 2, ""); err != nil || len(page.Events) != 0 || !page.Gap {
			t.Fatalf("%+v %v", page, err)
		}
		if page, err = kept.Read(t.Context(), srv.Of("/"), "topic:2", 2, ""); err != nil || page.Gap {
			t.Fatalf("a room that had no events: %+v %v", page, err)
		}
	})
}

// Joins at random moments of a fast writer: what was before and what comes after meet.
func TestHistory_JoinsWhileEventsCome_MeetWithoutGapOrRepeat(t *testing.T) {
	for name, o := range map[string]*socketio.Options{"plain": nil, "with recovery": {Recovery: &socketio.Recovery{MaxDisconnection: time.Minute}}} {
		t.Run(name, func(t *testing.T) {
			srv, _ := serve(t, history.Options{Events: 20}, o)
			stop := make(chan struct{})
			var writers sync.WaitGroup
			for w := range 2 {
				writers.Go(func() {
					tick := time.NewTicker(time.Millisecond)
					defer tick.Stop()
					for i := 0; ; i++ {
						_ = srv.To("topic:1").Record().Emit("n", w, i)
						select {
						case <-stop:
							return
						case <-tick.C:
						}
					}
				})
			}
			for i := range 200 {
				c := srv.Connect("/", nil)
				a := call(t, c, "join", object{"room": "topic:1", "history": 1 + i%30})
				next := map[float64]float64{}
				check := func(where string, w, n float64) {
					if want, seen := next[w]; seen && n != want {
						t.Fatalf("join %d: %s: writer %v: %v, want %v", i, where, w, n, want)
					}
					next[w] = n + 1
				}
				for _, e := range a.History {
					check("history", e.Args[0].(float64), e.Args[1].(float64))
				}
				for range 5 {
					m := c.Expect("n")
					var w, n float64
					_, _ = m.Args.Bind(0, &w), m.Args.Bind(1, &n)
					check("live", w, n)
				}
				c.Close()
			}
			close(stop)
			writers.Wait()
		})
	}
}

func TestNew_Refusals(t *testing.T) {
	all := func(string) bool { return true }
	for _, o := range []*history.Options{nil, {}, {Rooms: all, Events: 1001}, {Rooms: all, Events: -1}, {Rooms: all, Age: time.Millisecond}} {
		if _, err := history.New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	io := socketio.NewServer(nil)
	defer io.Shutdown(b.Context())
	kept, err := history.New(&history.Options{Rooms: func(string) bool { return true }})
	if err != nil {
		b.Fatal(err)
	}
	kept.Apply(io.Of("/"))
	arg := json.RawMessage(`{"text":"hello, how are you?","at":1732700000123}`)
	for _, mode := range []string{"off", "on"} {
		b.Run(mode, func(b *testing.B) {
			op := io.To("room")
			if mode == "on" {
				op = op.Record()
			}
			b.ReportAllocs()
			for b.Loop() {
				_ = op.Emit("said", arg)
			}
		})
	}
}
