package adapter_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// expectNext fails unless the next events of c are these.
func expectNext(t *testing.T, c client, events ...string) {
	t.Helper()
	for _, want := range events {
		if got := c.next(t); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// operations performs every operation of the adapters on a, and looks at what the
// clients of b see of it.
// subscribed, if given, waits until the rooms are subscribed to.
func operations(t *testing.T, kind string, a, b replica, subscribed ...func(rooms ...string)) {
	const nothing = "null"
	kind, anyOrder := strings.CutSuffix(kind, " in any order")
	anyOrder = anyOrder || kind == "sharded" // rooms may overtake each other
	c1, c2, own := b.connect(t, "/"), b.connect(t, "/"), a.connect(t, "/")
	chat := b.connect(t, "/chat")
	must(t, b, command{Cmd: "join", SID: c1.id(), Rooms: []string{"room1", "room2"}})
	must(t, b, command{Cmd: "join", SID: c2.id(), Rooms: []string{"room1"}})
	testenv.Until(t, 10*time.Second, "both nodes know of each other", func() bool {
		if kind == "old" { // has no serverCount
			return strings.Count(must(t, a, command{Cmd: "fetchSockets"}), `"id"`) == 3 &&
				strings.Count(must(t, b, command{Cmd: "fetchSockets"}), `"id"`) == 3
		}
		return must(t, a, command{Cmd: "serverCount"}) == "2" && must(t, b, command{Cmd: "serverCount"}) == "2"
	})
	for _, wait := range subscribed {
		wait("room1", "room2")
	}
	settle(t, a, b, c1, c2, own)

	t.Run("broadcast to all", func(t *testing.T) {
		must(t, a, command{Cmd: "emit", Args: []any{"hello", 1, "2", map[string]any{"a": []any{true, nil}}}})
		for _, c := range []client{c1, c2, own} {
			expectNext(t, c, `hello[1,"2",{"a":[true,null]}]`)
		}
	})
	t.Run("rooms and except", func(t *testing.T) {
		must(t, a, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"one"}})
		must(t, a, command{Cmd: "emit", To: []string{"room1", "room2"}, Args: []any{"both once"}})
		must(t, a, command{Cmd: "emit", To: []string{"room1"}, Except: []string{"room2"}, Args: []any{"except"}})
		must(t, a, command{Cmd: "emit", To: []string{c1.id()}, Args: []any{"single"}})
		must(t, a, command{Cmd: "emit", To: []string{"nobody"}, Args: []any{"nobody"}})
		must(t, a, command{Cmd: "emit", Except: []string{c1.id()}, Args: []any{"not c1"}})
		must(t, a, command{Cmd: "emit", Local: true, Args: []any{"local"}})
		must(t, a, command{Cmd: "emit", Args: []any{"end"}})
		sameEvents(t, anyOrder, c1, "one[]", "both once[]", "single[]", "end[]")
		sameEvents(t, anyOrder, c2, "one[]", "both once[]", "except[]", "not c1[]", "end[]")
		// (Node's sharded and streams adapters deliver here only after Redis has answered.)
		_, isNode := a.(*nodeReplica)
		sameEvents(t, anyOrder || isNode && kind == "streams", own, `not c1[]`, `local[]`, `end[]`)
	})
	t.Run("namespace", func(t *testing.T) {
		must(t, a, command{Cmd: "emit", NSP: "/chat", Args: []any{"to chat", "x"}})
		expectNext(t, chat, `to chat["x"]`)
	})
	t.Run("values", func(t *testing.T) {
		must(t, a, command{Cmd: "emit", To: []string{"room2"}, Args: []any{
			"v", bin(1, 2, 3), map[string]any{"deep": []any{bin()}}, date(1700000000123), date(-1),
			uint64(9007199254740991), int64(-9007199254740991), 4294967296, 1.5, -0.1, "ü€😀\u2028\"", strings.Repeat("x", 300)}})
		expectNext(t, c1, `v[{"$bin":"010203"},{"deep":[{"$bin":""}]},"2023-11-14T22:13:20.123Z","1969-12-31T23:59:59.999Z",`+
			`9007199254740991,-9007199254740991,4294967296,1.5,-0.1,"ü€😀`+"\u2028"+`\"","`+strings.Repeat("x", 300)+`"]`)
	})
	t.Run("volatile", func(t *testing.T) {
		must(t, a, command{Cmd: "emit", To: []string{"room2"}, Volatile: true, Args: []any{"maybe"}})
		must(t, a, command{Cmd: "emit", To: []string{"room2"}, Args: []any{"surely"}})
		if got := c1.next(t); got == `maybe[]` { // may be dropped while the connection is busy
			expectNext(t, c1, `surely[]`)
		} else if got != `surely[]` {
			t.Errorf("got %s", got)
		}
	})
	t.Run("broadcast with acks", func(t *testing.T) {
		if kind == "old" || kind == "emitter" {
			t.Skip("not part of this version")
		}
		result := background(func() (string, error) {
			return a.do(command{Cmd: "emitWithAck", NSP: "/", Timeout: 5000, Args: []any{"ask", "q"}})
		})
		for _, c := range []client{c1, c2, own} {
			c.answer(t)
		}
		if got := result(t); got != `["answer of q","answer of q","answer of q"]` {
			t.Errorf("answers: %s", got)
		}
		result = background(func() (string, error) {
			return a.do(command{Cmd: "emitWithAck", NSP: "/", To: []string{"room2"}, Timeout: 5000, Args: []any{"askbin", "q"}})
		})
		c1.answer(t)
		if got := result(t); got != `[{"$bin":"010203"}]` {
			t.Errorf("binary answer: %s", got)
		}
		if got := must(t, a, command{Cmd: "emitWithAck", To: []string{"nobody"}, Timeout: 5000, Args: []any{"ask", "q"}}); got != `[]` {
			t.Errorf("nobody answers: %s", got)
		}
		result = background(func() (string, error) {
			return a.do(command{Cmd: "remoteEmitWithAck", NSP: "/", To: []string{c1.id()}, Args: []any{"ask", "me"}})
		})
		c1.answer(t)
		if got := result(t); got != `"answer of me"` {
			t.Errorf("remote socket: %s", got)
		}
	})
	t.Run("fetchSockets", func(t *testing.T) {
		must(t, b, command{Cmd: "data", SID: c1.id(), Data: map[string]any{"user": "bob"}})
		got := must(t, a, command{Cmd: "fetchSockets", To: []string{"room2"}})
		if !strings.HasPrefix(got, `[{"id":"`+c1.id()+`","rooms":[`) || !strings.Contains(got, `"data":{"user":"bob"}`) || !strings.Contains(got, `"auth":{}`) {
			t.Errorf("got %s", got)
		}
		if got := must(t, a, command{Cmd: "fetchSockets"}); strings.Count(got, `"id"`) != 3 {
			t.Errorf("all sockets: %s", got)
		}
		if got := must(t, a, command{Cmd: "fetchSockets", Local: true}); strings.Count(got, `"id"`) != 1 {
			t.Errorf("local sockets: %s", got)
		}
	})
	t.Run("join and leave", func(t *testing.T) {
		must(t, a, command{Cmd: "socketsJoin", To: []string{"room2"}, Rooms: []string{"room3", "room4"}})
		testenv.Until(t, 5*time.Second, "join", func() bool {
			return strings.Contains(must(t, b, command{Cmd: "fetchSockets", Local: true, To: []string{"room3"}}), c1.id())
		})
		for _, wait := range subscribed {
			wait("room4")
		}
		must(t, a, command{Cmd: "emit", To: []string{"room4"}, Args: []any{"joined"}})
		expectNext(t, c1, `joined[]`)
		must(t, a, command{Cmd: "socketsLeave", Rooms: []string{"room3"}})
		testenv.Until(t, 5*time.Second, "leave", func() bool {
			return must(t, b, command{Cmd: "fetchSockets", Local: true, To: []string{"room3"}}) == "[]"
		})
	})
	t.Run("allRooms", func(t *testing.T) {
		if kind != "classic" && kind != "old" {
			t.Skip("only the classic adapter has it")
		}
		got := must(t, a, command{Cmd: "allRooms"})
		for _, want := range []string{`"room1"`, `"room4"`, `"` + c2.id() + `"`, `"` + own.id() + `"`} {
			if !strings.Contains(got, want) {
				t.Errorf("%s is not in %s", want, got)
			}
		}
	})
	t.Run("serverSideEmit", func(t *testing.T) {
		if kind == "old" {
			t.Skip("not part of this version")
		}
		must(t, a, command{Cmd: "serverSideEmit", Args: []any{"hi", "world", 1}})
		if got := must(t, b, command{Cmd: "nextServerSide"}); got != `hi["world",1]` {
			t.Errorf("got %s", got)
		}
		if got := must(t, a, command{Cmd: "serverSideEmitWithAck", Args: []any{"hi", "q"}}); got != `["hello from go"]` && got != `["hello from node"]` {
			t.Errorf("answers: %s", got)
		}
		must(t, b, command{Cmd: "nextServerSide"})
		got := must(t, a, command{Cmd: "serverSideEmitWithAck", Args: []any{"hibin", bin(7)}})
		heard := must(t, b, command{Cmd: "nextServerSide"})
		if kind == "classic" { // JSON only
			if got != `[{"b":{"type":"Buffer","data":[9,8]}}]` || heard != `hibin[{"type":"Buffer","data":[7]}]` {
				t.Errorf("binary: %s, heard %s", got, heard)
			}
		} else if got != `[{"b":{"$bin":"0908"}}]` || heard != `hibin[{"$bin":"07"}]` {
			t.Errorf("binary: %s, heard %s", got, heard)
		}
	})
	t.Run("remoteDisconnect", func(t *testing.T) {
		if kind != "classic" && kind != "old" {
			t.Skip("only the classic adapter has it")
		}
		if _, isNode := a.(*nodeReplica); isNode && kind == "classic" {
			t.Skip("redis-adapter 8 answers, but does not ask")
		}
		victim := b.connect(t, "/")
		must(t, a, command{Cmd: "remoteDisconnect", SID: victim.id(), Close: true})
		if got := must(t, b, command{Cmd: "fetchSockets", Local: true, To: []string{victim.id()}}); got != "[]" {
			t.Errorf("still here: %s", got)
		}
	})
	t.Run("disconnectSockets", func(t *testing.T) {
		if got := must(t, a, command{Cmd: "disconnectSockets", To: []string{"room2"}}); got != nothing {
			t.Error(got)
		}
		testenv.Until(t, 5*time.Second, "disconnect", func() bool {
			return must(t, b, command{Cmd: "fetchSockets", Local: true, To: []string{"room1"}}) != "" &&
				!strings.Contains(must(t, b, command{Cmd: "fetchSockets", Local: true}), c1.id())
		})
		must(t, a, command{Cmd: "disconnectSockets", Close: true})
		testenv.Until(t, 5*time.Second, "disconnect all", func() bool {
			return must(t, a, command{Cmd: "fetchSockets"}) == "[]"
		})
	})
}

// settle waits until messages from a reach the clients of b.
func settle(t *testing.T, a, _ replica, clients ...client) {
	t.Helper()
	must(t, a, command{Cmd: "emit", Args: []any{"settle"}})
	for _, c := range clients {
		expectNext(t, c, "settle[]")
	}
}

// sameEvents reads as many events as wanted and compares them.
func sameEvents(t *testing.T, anyOrder bool, c client, want ...string) {
	t.Helper()
	got := make([]string, len(want))
	for i := range want {
		got[i] = c.next(t)
	}
	if anyOrder {
		slices.Sort(got)
		slices.Sort(want)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// background runs fn; the function it returns waits for its result.
func background(fn func() (string, error)) func(t *testing.T) string {
	type result struct {
		s   string
		err error
	}
	ch := make(chan result, 1)
	go func() {
		s, err := fn()
		ch <- result{s, err}
	}()
	return func(t *testing.T) string {
		t.Helper()
		r := <-ch
		if r.err != nil {
			t.Fatal(r.err)
		}
		return r.s
	}
}
