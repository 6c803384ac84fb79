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
	"posthouse/internal/taskgroup"
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
	login      *loginNamespace
	conn       *websocket.Conn
	socketID   string // what the store knows it by
	clientInfo clientInfo
}

// rawSockets are the open ones, for the shutdown.
type rawSockets struct {
	mu          sync.Mutex // guards what follows
	openSockets map[*rawSocket]struct{}
	closed      bool
}

func (rs *rawSockets) add(r *rawSocket) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.closed {
		return false
	}
	rs.openSockets[r] = struct{}{}
	return true
}

func (rs *rawSockets) remove(r *rawSocket) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.openSockets, r)
}

// closeAll says goodbye to all of them, side by side, until ctx ends.
func (rs *rawSockets) closeAll(ctx context.Context, guard *panicGuard) {
	rs.mu.Lock()
	rs.closed = true
	var leaving taskgroup.Group
	for r := range rs.openSockets {
		leaving.Go(func() {
			guard.runTask("login", func() { _ = r.conn.Close(websocket.StatusGoingAway, "server is restarting") })
		})
	}
	rs.mu.Unlock()
	_ = leaving.Wait(ctx) // what is left then is cut with the server
}

// serveSignup serves one connection until it ends. Origin and limits were checked
// before, and this request holds the connection's slot.
func (n *loginNamespace) serveSignup(w http.ResponseWriter, r *http.Request) {
	if !engineio.IsUpgrade(r) { // it has no slot
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
	s := &rawSocket{login: n, conn: conn, socketID: "raw-" + rand.Text(),
		clientInfo: newVisit(n.admission.clientIP(r), browserIn(r.Context()), r.UserAgent())}
	if !n.rawSockets.add(s) {
		return
	}
	defer n.rawSockets.remove(s)
	ctx, cancel := context.WithCancel(n.traces.startRaw(context.WithoutCancel(r.Context())))
	var pings sync.WaitGroup
	pings.Go(func() { n.panicGuard.runTask("signup ping", func() { s.keepAlive(ctx) }) })
	s.readAll(ctx)
	cancel()
	pings.Wait()
}

// readAll reads until the connection ends.
func (s *rawSocket) readAll(ctx context.Context) {
	var a *loginAttempt
	defer func() {
		if a != nil {
			s.login.releaseAttempt(ctx, a)
		}
	}()
	messages := rate.NewLimiter(eventsPerSecond, eventsBurst)
	for {
		kind, data, err := s.conn.Read(ctx)
		if err != nil {
			return
		}
		if !messages.Allow() {
			s.login.metrics.refusals.countRefusal("signup_messages")
			_ = s.conn.Close(websocket.StatusPolicyViolation, "too many messages")
			return
		}
		var m signupMessage
		if kind != websocket.MessageText || json.Unmarshal(data, &m) != nil || m.Type != "qrcode" {
			continue // junk is ignored
		}
		answer, ok := s.login.answerAgain(a, qrcodeRequest{})
		if !ok {
			fresh, err := s.login.beginAttempt(ctx, a, qrcodeRequest{}, s, s.clientInfo, true)
			if err != nil {
				f := failureOf(err)
				s.writeMessage(ctx, "failure", f.Code)
				continue
			}
			a, answer = fresh, fresh.qrcodeAnswer
		}
		s.writeMessage(ctx, "qrcode", answer.ImageURL)
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

func (s *rawSocket) writeMessage(ctx context.Context, kind, message string) bool {
	text, err := json.Marshal(signupMessage{kind, message})
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, signupWrite)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, text) == nil
}

func (s *rawSocket) id() string { return s.socketID }

// sendState says nothing: these front ends know no states.
func (s *rawSocket) sendState(stateAnswer) {}

// sendResult implements recipient: the closing handshake that follows the token shows that
// it was read.
func (s *rawSocket) sendResult(ctx context.Context, r login.Result) bool {
	return s.writeMessage(ctx, r.Event, r.Value) && s.conn.Close(websocket.StatusNormalClosure, signupEnd) == nil
}

// disconnect has nothing left to do: sendResult has closed.
func (s *rawSocket) disconnect() {}
