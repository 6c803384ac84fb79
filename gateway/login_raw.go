package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"posthouse/internal/login"
	"posthouse/socketio/engineio"
)

// /ws/signup (docs/login.md §4) is for front ends without Socket.IO: a text WebSocket
// that asks for a code and is sent the token. It has no resume and no states.

const (
	maxSignupMessage = 1 << 10
	signupWrite      = 5 * time.Second  // for one message to be written
	signupPing       = 25 * time.Second // as Socket.IO's, and below proxies' patience
)

const signupEnd = `{"type":"end","message":"connection will be terminated"}`

type signupMessage struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// rawSocket is one connection of /ws/signup.
type rawSocket struct {
	n    *loginNamespace
	conn *websocket.Conn
	name string // what the store knows it by
	from visit
}

// rawSockets are the open ones, for the shutdown.
type rawSockets struct {
	mu     sync.Mutex
	open   map[*rawSocket]struct{}
	closed bool
}

func (rs *rawSockets) add(r *rawSocket) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.closed {
		return false
	}
	rs.open[r] = struct{}{}
	return true
}

func (rs *rawSockets) remove(r *rawSocket) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.open, r)
}

// close says goodbye to all of them, side by side, until ctx ends.
func (rs *rawSockets) close(ctx context.Context, guard *panicGuard) {
	rs.mu.Lock()
	rs.closed = true
	leaving := taskGroup{guard: guard}
	for r := range rs.open {
		leaving.start(func() { _ = r.conn.Close(websocket.StatusGoingAway, "server is restarting") })
	}
	rs.mu.Unlock()
	leaving.wait(ctx)
}

// signup serves one connection until it ends. Origin and limits were checked
// before, and this request holds the connection's seat.
func (n *loginNamespace) signup(w http.ResponseWriter, r *http.Request) {
	if !engineio.IsUpgrade(r) { // it has no seat
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, http.StatusText(http.StatusUpgradeRequired), http.StatusUpgradeRequired)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the origin was checked
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxSignupMessage)
	s := &rawSocket{n: n, conn: conn, name: "raw-" + rand.Text(),
		from: newVisit(n.admit.clientIP(r), browserIn(r.Context()), r.UserAgent())}
	if !n.raw.add(s) {
		return
	}
	defer n.raw.remove(s)
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	var pings sync.WaitGroup
	pings.Go(func() { n.guard.run("signup ping", func() { s.keepAlive(ctx) }) })
	s.serve(ctx)
	cancel()
	pings.Wait()
}

// serve reads until the connection ends.
func (s *rawSocket) serve(ctx context.Context) {
	var a *attempt
	defer func() {
		if a != nil {
			s.n.release(ctx, a)
		}
	}()
	messages := rate.NewLimiter(eventsPerSecond, eventsBurst)
	for {
		kind, data, err := s.conn.Read(ctx)
		if err != nil {
			return
		}
		if !messages.Allow() {
			s.n.metrics.refused.note("signup_messages")
			_ = s.conn.Close(websocket.StatusPolicyViolation, "too many messages")
			return
		}
		var m signupMessage
		if kind != websocket.MessageText || json.Unmarshal(data, &m) != nil || m.Type != "qrcode" {
			continue // junk is ignored
		}
		answer, ok := s.n.again(a, qrcodeRequest{})
		if !ok {
			fresh, err := s.n.begin(ctx, a, qrcodeRequest{}, s, s.from, true)
			if err != nil {
				f := failureOf(err)
				s.write(ctx, "failure", f.Code)
				continue
			}
			a, answer = fresh, fresh.answer
		}
		s.write(ctx, "qrcode", answer.ImageURL)
	}
}

// keepAlive closes a connection whose peer is silently gone, and keeps proxies
// from closing one that is merely quiet.
func (s *rawSocket) keepAlive(ctx context.Context) {
	tick := time.NewTicker(signupPing)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			one, cancel := context.WithTimeout(ctx, signupPing)
			err := s.conn.Ping(one)
			cancel()
			if err != nil {
				s.conn.CloseNow()
				return
			}
		}
	}
}

func (s *rawSocket) write(ctx context.Context, kind, message string) bool {
	text, err := json.Marshal(signupMessage{kind, message})
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, signupWrite)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, text) == nil
}

func (s *rawSocket) id() string { return s.name }

// tell says nothing: these front ends know no states.
func (s *rawSocket) tell(stateAnswer) {}

// hand implements browser: the closing handshake that follows the token shows that
// it was read.
func (s *rawSocket) hand(ctx context.Context, r login.Result) bool {
	return s.write(ctx, r.Event, r.Value) && s.conn.Close(websocket.StatusNormalClosure, signupEnd) == nil
}

// leave has nothing left to do: hand has closed.
func (s *rawSocket) leave() {}
