package socketio_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// docs/conformance.md behaviours 34 to 36, one by one.

// docs/conformance.md behaviour 34
func TestBroadcastOperator_EmitWithAck_CompletesPerClientAndTimesOutPartly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		answers, err := srv.Timeout(time.Second).EmitWithAck(bg, "q")
		noError(t, err) // no member: complete at once
		if len(answers) != 0 {
			t.Errorf("answers %v", answers)
		}
		a, b := srv.Connect("/", nil), srv.Connect("/", nil)
		type result struct {
			args []socketio.Args
			err  error
		}
		r := make(chan result, 1)
		ask := func() {
			args, err := srv.Timeout(time.Second).EmitWithAck(bg, "q", 7)
			r <- result{args, err}
		}
		go ask()
		a.Expect("q").Ack("a", "second is dropped")
		b.Expect("q").Ack([]byte{1}, []byte{2})
		got := <-r
		noError(t, got.err)
		all := fmt.Sprint(got.args)
		if len(got.args) != 2 || !strings.Contains(all, `["a"]`) || !strings.Contains(all, `[{"_placeholder":true,"num":0}]`) {
			t.Errorf("answers %s", all)
		}
		go ask()
		a.Expect("q").Ack("only")
		b.Expect("q")
		got = <-r
		var partial *socketio.PartialError
		if !errors.As(got.err, &partial) || partial.Expected != 2 || partial.Received != 1 || !errors.Is(got.err, socketio.ErrTimeout) {
			t.Errorf("error %v", got.err)
		}
		want(t, fmt.Sprint(got.args), `[["only"]]`)

		remote, err := srv.In(a.ID).FetchSockets(bg)
		noError(t, err)
		single := make(chan string, 1)
		go func() {
			v, err := socketio.Call[int](bg, remote[0].Timeout(time.Second), "one")
			single <- fmt.Sprint(v, err)
		}()
		a.Expect("one").Ack(42)
		want(t, <-single, "42 <nil>")
		all2, err := socketio.CallAll[int](bg, srv.To("nobody"), "x")
		noError(t, err)
		if len(all2) != 0 {
			t.Errorf("answers %v", all2)
		}
	})
}

// docs/conformance.md behaviour 35
func TestBroadcastOperator_ReusedOperatorGathersNoRooms(t *testing.T) {
	srv := serve(t, nil)
	sockets := make(chan *socketio.Socket, 3)
	srv.OnConnection(func(s *socketio.Socket) { sockets <- s })
	var clients []*sockettest.Client
	for _, room := range []string{"a", "b", "c"} {
		clients = append(clients, srv.Connect("/", nil))
		noError(t, receive(t, sockets).Join(room))
	}
	base := srv.To("a")
	ab := base.To("b")
	ac := base.To("c")
	base.Except("a")
	base.Volatile()
	noError(t, base.Emit("base"))
	noError(t, ab.Emit("ab"))
	noError(t, ac.Emit("ac"))
	for i, events := range [][]string{{"base", "ab", "ac"}, {"ab"}, {"ac"}} {
		for _, e := range events {
			want(t, clients[i].Next().Name, e)
		}
		clients[i].Quiet()
	}
}

// docs/conformance.md behaviour 36
func TestBroadcastOperator_ExceptByRoomAndSocketWithoutDuplicates(t *testing.T) {
	srv := serve(t, nil)
	sockets := make(chan *socketio.Socket, 4)
	srv.OnConnection(func(s *socketio.Socket) { sockets <- s })
	var clients []*sockettest.Client
	for _, rooms := range [][]string{{"x", "y"}, {"x"}, {"y", "muted"}, {}} {
		clients = append(clients, srv.Connect("/", nil))
		noError(t, receive(t, sockets).Join(rooms...))
	}
	noError(t, srv.To("x", "y", "x").Emit("union"))
	noError(t, srv.To("x").To("y").Except("muted").Emit("except room"))
	noError(t, srv.Except(clients[0].ID, "muted").Emit("except sid"))
	noError(t, srv.To("x", clients[3].ID).Emit("sid as room"))
	for i, events := range [][]string{
		{"union", "except room", "sid as room"},
		{"union", "except room", "except sid", "sid as room"},
		{"union"},
		{"except sid", "sid as room"},
	} {
		for _, e := range events {
			want(t, clients[i].Next().Name, e)
		}
		clients[i].Quiet()
	}
}
