package history_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"posthouse/internal/interop/history"
	"posthouse/socketio"
	"posthouse/socketio/client"
)

// actor is a client that does one thing after the other and notes what it sees.
type actor struct {
	name    string
	random  *rand.Rand
	run     *run
	socket  *client.Socket
	changed chan struct{} // capacity 1: connected or not any more

	mu       sync.Mutex // guards what follows
	dials    *rand.Rand // of dial, which runs beside the rest
	session  string
	node     string // that was dialled last
	conn     *actorConn
	attempt  func(history.Phase, func(*history.Entry))
	asked    int
	marks    int
	halfOpen []net.Conn
}

// actorConn can be left open when its client has done with it: to the server the
// client has fallen silent.
type actorConn struct {
	net.Conn
	owner *actor

	mu    sync.Mutex // guards what follows
	leave bool
}

func (c *actorConn) Close() error {
	c.mu.Lock()
	leave := c.leave
	c.mu.Unlock()
	if !leave {
		return c.Conn.Close()
	}
	_ = c.SetDeadline(time.Unix(1, 0)) // ends the reads that wait
	c.owner.mu.Lock()
	defer c.owner.mu.Unlock()
	c.owner.halfOpen = append(c.owner.halfOpen, c.Conn)
	return nil
}

func newActor(r *run, i int) (*actor, error) {
	a := &actor{name: fmt.Sprint("client ", i), random: r.newRandom(), dials: r.newRandom(), run: r, changed: make(chan struct{}, 1)}
	s, err := client.New("http://history.test", &client.Options{
		Transports: []string{"websocket"}, DialContext: a.dial, Timeout: 5 * time.Second,
		ReconnectDelay: 20 * time.Millisecond, ReconnectDelayMax: 300 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	a.socket = s
	s.OnConnect(a.connected)
	s.OnDisconnect(a.lost)
	s.On("event", a.receive)
	return a, nil
}

// dial goes to any node: each connection is a WebSocket of its own.
func (a *actor) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	a.mu.Lock()
	n := a.run.anyNode(a.dials)
	if a.attempt != nil {
		a.attempt(history.Info, nil)
	}
	a.attempt = a.run.log.invoke(history.Entry{Process: a.name, Action: history.Connect, Node: n.name})
	a.mu.Unlock()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, n.listen)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.node, a.conn = n.name, &actorConn{Conn: conn, owner: a}
	return a.conn, nil
}

func (a *actor) connected() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.session = a.socket.ID()
	if a.attempt != nil {
		a.attempt(history.OK, func(e *history.Entry) {
			e.Session, e.Recovered, e.Node = a.session, a.socket.Recovered(), a.node
		})
		a.attempt = nil
	}
	a.wake()
}

func (a *actor) lost(reason socketio.Reason, _ error) {
	a.mu.Lock()
	a.run.log.add(history.Entry{Process: a.name, Phase: history.Note, Action: history.Lost, Session: a.session, Reason: string(reason)})
	a.wake()
	a.mu.Unlock()
	if reason == client.ReasonServerDisconnect {
		a.socket.Manager().Drop()
		_ = a.socket.Open()
	}
}

func (a *actor) wake() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

func (a *actor) receive(e *client.Event) {
	var sender, room string
	var seq int
	if err := e.Bind(&sender, &room, &seq); err != nil {
		return // the checker misses it
	}
	a.mu.Lock()
	session := a.session
	a.run.log.add(history.Entry{Process: a.name, Phase: history.Note, Action: history.Receive, Session: session, Sender: sender, Room: room, Seq: seq})
	a.mu.Unlock()
	if e.WantsAck() {
		_ = e.Ack(session)
	}
}

// act does things until stop.
func (a *actor) act(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-a.changed:
		case <-time.After(time.Duration(a.random.IntN(60)) * time.Millisecond):
		}
		if !a.socket.Connected() {
			continue
		}
		switch n := a.random.IntN(100); {
		case n < 20:
			a.change(history.Join, "join", a.run.anyRoom(a.random))
		case n < 30:
			a.change(history.Leave, "leave", a.run.anyRoom(a.random))
		case n < 40:
			a.rooms("", false)
		case n < 80:
			a.ask()
		case n < 84:
			a.remote(history.Join, a.run.anyRoom(a.random))
		case n < 86:
			a.remote(history.Leave, a.run.anyRoom(a.random))
		case n < 91:
			a.drop(a.random.IntN(3) == 0)
		}
	}
}

// operate is an operation that the server acknowledges to the session that asked.
func (a *actor) operate(e history.Entry, event string, args []any, fill func(*history.Entry, socketio.Args)) bool {
	a.mu.Lock()
	session := a.session
	a.mu.Unlock()
	e.Process, e.Session = a.name, session
	end := a.run.log.invoke(e)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answer, err := a.socket.EmitWithAck(ctx, event, args...)
	var now string
	a.await(func() bool { // an answer may come before connected is called for the session that gave it
		a.mu.Lock()
		defer a.mu.Unlock()
		now = a.session
		id := a.socket.ID()
		return id == "" || id == now
	})
	if err != nil || now != session {
		end(history.Info, func(e *history.Entry) { e.Reason = fmt.Sprint(err) })
		if now != session {
			// The question may have gone to the session that the client had just got.
			e.Session = now
			a.run.log.invoke(e)(history.Info, nil)
		}
		return false
	}
	end(history.OK, func(e *history.Entry) {
		if fill != nil {
			fill(e, answer)
		}
	})
	return true
}

func (a *actor) change(action history.Action, event, room string) {
	a.operate(history.Entry{Action: action, Room: room}, event, []any{room}, nil)
}

// rooms reads the rooms, and reports whether room is among them as it should be.
func (a *actor) rooms(room string, want bool) (as bool) {
	a.operate(history.Entry{Action: history.Rooms}, "rooms", nil, func(e *history.Entry, answer socketio.Args) {
		_ = answer.Bind(&e.Names)
		found := false
		for _, name := range e.Names {
			found = found || name == room
		}
		as = found == want
	})
	return as
}

func (a *actor) ask() {
	a.asked++
	a.operate(history.Entry{Action: history.Ask, Seq: a.asked}, "ask", []any{a.asked}, func(e *history.Entry, answer socketio.Args) {
		var seq int
		_ = answer.Bind(&seq, &e.Seen)
		e.Names = []string{fmt.Sprint(seq)}
	})
}

// remote has any node change the rooms, and waits until its own server tells so.
func (a *actor) remote(action history.Action, room string) {
	a.mu.Lock()
	session := a.session
	a.mu.Unlock()
	n := a.run.anyNode(a.random)
	a.marks++
	mark := fmt.Sprint("mark", a.marks) // joined by the same message, or by the next of the same node
	end := a.run.log.invoke(history.Entry{Process: a.name, Action: action, Node: n.name, Session: session, Room: room, Reason: history.Remote})
	if n.tell(do{Action: action, Room: room, Mark: mark, To: session, Limit: 3 * time.Second}) && a.sees(session, mark) {
		end(history.OK, nil)
		return
	}
	end(history.Info, nil)
}

// sees waits until the server tells that the session is in a room.
func (a *actor) sees(session, room string) bool {
	limit := time.After(3 * time.Second)
	for !a.rooms(room, true) {
		a.mu.Lock()
		same := a.session == session
		a.mu.Unlock()
		if !same || !a.socket.Connected() {
			return false
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-limit:
			return false
		}
	}
	return true
}

// drop loses the connection without a word, on both sides or on that of the client only.
func (a *actor) drop(halfOpen bool) {
	a.mu.Lock()
	c := a.conn
	a.mu.Unlock()
	if c != nil && halfOpen {
		c.mu.Lock()
		c.leave = true
		c.mu.Unlock()
	}
	a.socket.Manager().Drop()
	a.await(func() bool { return !a.socket.Connected() })
	a.await(a.socket.Connected)
}

func (a *actor) await(state func() bool) {
	limit := time.After(5 * time.Second)
	for !state() {
		select {
		case <-a.changed:
		case <-limit:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (a *actor) close() {
	_ = a.socket.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.halfOpen {
		c.Close()
	}
}
