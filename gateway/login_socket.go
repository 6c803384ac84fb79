package gateway

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"time"

	"posthouse/internal/login"
	"posthouse/internal/tracing"
	"posthouse/socketio"
)

// The events of docs/login.md §2 and §3.
type (
	qrcodeRequest struct {
		Account   string `json:"account,omitempty" doc:"Name of the account; the first one otherwise."`
		Challenge string `json:"challenge,omitempty" doc:"PKCE S256, base64url: code comes in the place of token."`
		Refresh   bool   `json:"refresh,omitempty" doc:"Replaces the ticket that the socket has."`
		Typed     bool   `json:"typed,omitempty" doc:"The page can show a code to type instead of the picture."`
		Prefer    string `json:"prefer,omitempty" enum:"typed" doc:"The person cannot scan."`
		State     string `json:"state,omitempty" doc:"The page's own, up to 512 bytes: claim ctx of the token."`
	}
	qrcodeAnswer struct {
		Ticket    string `json:"ticket"`
		URL       string `json:"url" doc:"The text of the QR code."`
		ImageURL  string `json:"imageUrl"`
		ExpiresIn int    `json:"expiresIn" doc:"Seconds."`
		Resume    string `json:"resume" doc:"The secret with which this browser resumes."`
		Account   string `json:"account"`
		Code      string `json:"code,omitempty" doc:"To send to the account instead of scanning."`
	}
	resumeRequest struct {
		Ticket string `json:"ticket"`
		Resume string `json:"resume"`
	}
	stateAnswer struct {
		State     login.State `json:"state" enum:"waiting,claimed,done,expired,replaced,moved,denied,cancelled"`
		ExpiresIn int         `json:"expiresIn" doc:"Seconds."`
		Number    string      `json:"number,omitempty" doc:"To compare with the phone's, while claimed."`
	}
	cancelAnswer struct {
		State login.State `json:"state" enum:"cancelled"`
	}
	codeMessage struct {
		Code      string `json:"code" doc:"Once, for POST /login/exchange."`
		ExpiresIn int    `json:"expiresIn" doc:"Seconds."`
	}
	failureAnswer struct {
		Error *failure `json:"error" nullable:"false"`
	}
)

func stateOf(t login.Ticket) stateAnswer {
	s := stateAnswer{State: shownState(t)}
	if !s.State.Terminal() {
		s.ExpiresIn = wholeSeconds(t.ExpiresIn())
	}
	if s.State == login.Claimed {
		s.Number = t.Number
	}
	return s
}

func wholeSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// reuseAbove is how much life a ticket must have left to be answered again.
const reuseAbove = time.Minute

// The events that a browser may send in /login, and the messages of a signup
// socket (docs/reliability.md §4 row 17).
const (
	eventsPerSecond = 5
	eventsBurst     = 10
)

// loginSocket is one socket of /login. Its methods run in the socket's own order, one
// at a time, so what they share needs no lock.
type loginSocket struct {
	login      *loginNamespace
	socket     *socketio.Socket
	clientInfo clientInfo
	attempt    *loginAttempt
}

// onConnection is the namespace's OnConnection.
func (n *loginNamespace) onConnection(s *socketio.Socket) {
	address, _ := netip.ParseAddr(s.Handshake().Address)
	v := &loginSocket{
		login: n, socket: s, clientInfo: newVisit(address, browserIn(s.Context()), s.Header("User-Agent")),
	}
	s.OnError(v.countLimited)
	s.On("qrcode", v.handlerOf(v.onQRCode))
	s.On("resume", v.handlerOf(v.onResume))
	s.On("cancel", v.handlerOf(v.onCancel))
	s.OnDisconnect(func(socketio.Reason) {
		if v.attempt != nil {
			n.releaseAttempt(s.Context(), v.attempt)
		}
	})
}

// countLimited counts an event that came too fast. A page that asked for no
// acknowledgement is told by the event of failures.
func (v *loginSocket) countLimited(err error) {
	early, ok := errors.AsType[*socketio.RateError](err)
	if !ok {
		return
	}
	v.login.metrics.refusals.countRefusal("login_events")
	if !early.Answered {
		_ = v.socket.Emit("failure", failureAnswer{newFailure("rate_limited", wholeSeconds(early.RetryAfter))}) // the client may have gone
	}
}

// handlerOf makes a handler of one event: what it returns is the acknowledgement, and an
// error is the failure of docs/login.md §2.
func (v *loginSocket) handlerOf(do func(context.Context, *socketio.Event) (any, error)) func(*socketio.Event) {
	return func(e *socketio.Event) {
		// A browser that leaves does not stop a step halfway.
		answer, err := do(context.WithoutCancel(e.Context()), e)
		if err != nil {
			f := failureOf(err)
			v.login.log.Debug("gateway: login event failed", "event", e.Name(), "code", f.Code)
			v.sendFailure(e, f)
			return
		}
		if answer != nil && e.WantsAck() {
			_ = e.Ack(answer) // the client may have gone
		}
	}
}

func (v *loginSocket) sendFailure(e *socketio.Event, f *failure) {
	if e.WantsAck() {
		_ = e.Ack(failureAnswer{f})
		return
	}
	_ = v.socket.Emit("failure", failureAnswer{f})
}

// onQRCode answers a ticket: the present one while it lives, or a new one.
func (v *loginSocket) onQRCode(ctx context.Context, e *socketio.Event) (any, error) {
	var q *qrcodeRequest // stays nil without an argument
	if err := e.Bind(&q); err != nil {
		return nil, newFailure("bad_request", 0)
	}
	if q == nil {
		q = &qrcodeRequest{}
	}
	answer, ok := v.login.answerAgain(v.attempt, *q)
	if !ok {
		a, err := v.login.beginAttempt(ctx, v.attempt, *q, &socketRecipient{v}, v.clientInfo, false)
		if err != nil {
			return nil, err
		}
		v.attempt, answer = a, a.qrcodeAnswer
	}
	if e.WantsAck() {
		_ = e.Ack(answer) // first: a client that acks may ignore the event
	}
	_ = v.socket.Emit("qrcode", answer)
	return nil, nil
}

// answerAgain is the answer for the ticket that a has, if it may be answered again.
func (n *loginNamespace) answerAgain(a *loginAttempt, q qrcodeRequest) (qrcodeAnswer, bool) {
	if a == nil || q.Refresh || a.qrcodeAnswer.Ticket == "" || a.currentState() != login.Waiting ||
		q.Challenge != a.ticket.Challenge || q.State != a.ticket.Context || q.Account != "" && q.Account != a.ticket.Account {
		return qrcodeAnswer{}, false
	}
	left := a.timeLeft()
	if left <= reuseAbove {
		return qrcodeAnswer{}, false
	}
	answer := a.qrcodeAnswer
	answer.ExpiresIn = wholeSeconds(left)
	return answer, true
}

// beginAttempt makes a new ticket for b, in the place of the one old has.
func (n *loginNamespace) beginAttempt(ctx context.Context, old *loginAttempt, q qrcodeRequest, b recipient, from clientInfo, raw bool) (*loginAttempt, error) {
	account := n.accounts.find(q.Account)
	if account == nil {
		return nil, newFailure("unknown_account", 0)
	}
	if q.Challenge != "" && !login.ValidChallenge(q.Challenge) || !login.ValidContext(q.State) {
		return nil, newFailure("bad_request", 0)
	}
	giveBack, err := n.spendCode(b.id(), from)
	if err != nil {
		return nil, err
	}
	request := login.StartRequest{
		Account: account.Name, SocketID: b.id(), Raw: raw, Challenge: q.Challenge, Context: q.State,
		Typed: q.Typed, PreferTyped: q.Prefer == "typed",
		Browser: from.browserHash, Agent: from.agentName, Network: from.networkName,
		Trace: tracing.Traceparent(ctx),
	}
	if old = old.ownedOrNil(); old != nil {
		request.Replaces = old.ticket.ID // the store leaves it alone when it has moved meanwhile
	}
	started, err := n.loginService.Start(ctx, request)
	if err != nil {
		giveBack()
		return nil, err
	}
	if old != nil {
		old.stopAll()
		n.attempts.drop(old)
	}
	return n.bindTicket(ctx, started.Ticket, b, qrcodeAnswer{
		Ticket: started.Ticket.WeChat, URL: started.URL, ImageURL: started.ImageURL,
		ExpiresIn: wholeSeconds(started.Ticket.ExpiresIn()), Resume: started.Resume,
		Account: account.Name, Code: started.Code,
	}), nil
}

// onResume binds this socket to the ticket that the browser proves to own.
func (v *loginSocket) onResume(ctx context.Context, e *socketio.Event) (any, error) {
	var q resumeRequest
	if e.Bind(&q) != nil || q.Ticket == "" || q.Resume == "" {
		return nil, newFailure("bad_request", 0)
	}
	t, err := v.login.loginService.Resume(ctx, q.Ticket, q.Resume, v.socket.ID(), false)
	if err != nil {
		return nil, err
	}
	if old := v.attempt; old != nil && old.ticket.ID != t.ID {
		v.login.releaseAttempt(ctx, old)
	}
	lost := v.login.attempts.find(t.ID)
	v.attempt = v.login.bindTicket(ctx, t, &socketRecipient{v}, resumedAnswer(t, q.Resume))
	if t.Before != "" && t.Before != v.socket.ID() && lost == nil {
		v.login.publishHint(t.ID) // the socket that had it is elsewhere, and is told
	}
	if e.WantsAck() {
		_ = e.Ack(stateOf(t))
	}
	v.login.apply(ctx, v.attempt, t, true, 0)
	return nil, nil
}

// resumedAnswer is what qrcode answers for a ticket that was resumed with its secret; the
// zero value when an older version made the ticket and kept no URL.
func resumedAnswer(t login.Ticket, secret string) qrcodeAnswer {
	code := t.TypedCode()
	if t.URL == "" && code == "" {
		return qrcodeAnswer{}
	}
	return qrcodeAnswer{
		Ticket: t.WeChat, URL: t.URL, ImageURL: t.ImageURL, ExpiresIn: wholeSeconds(t.ExpiresIn()),
		Resume: secret, Account: t.Account, Code: code,
	}
}

// onCancel ends the ticket: the page gave up.
func (v *loginSocket) onCancel(ctx context.Context, _ *socketio.Event) (any, error) {
	if v.attempt.ownedOrNil() == nil {
		return nil, newFailure("bad_request", 0)
	}
	read := v.attempt.readCount.Add(1)
	t, err := v.login.loginService.Cancel(ctx, v.attempt.ticket.ID, v.socket.ID())
	if err != nil {
		return nil, err
	}
	v.login.apply(ctx, v.attempt, t, true, read)
	if v.attempt.ownedOrNil() == nil { // another socket has it: it was not touched
		return nil, newFailure("bad_request", 0)
	}
	return cancelAnswer{shownState(t)}, nil
}

// socketRecipient is a socket of /login as the recipient of an attempt.
type socketRecipient struct{ loginSocket *loginSocket }

func (b *socketRecipient) id() string              { return b.loginSocket.socket.ID() }
func (b *socketRecipient) disconnect()             { b.loginSocket.socket.Disconnect(false) }
func (b *socketRecipient) sendState(s stateAnswer) { _ = b.loginSocket.socket.Emit("state", s) }

// ackWait is longer than any client needs; a client that has not acknowledged by then does
// not, but its connection may still live.
const ackWait = 5 * time.Minute

// sendResult implements recipient by docs/login.md §3: an acknowledgement is delivery, and so is
// a connection that still stands a while after everything was written to it.
func (b *socketRecipient) sendResult(ctx context.Context, r login.Result) bool {
	var value any = r.Value
	if r.Event == "code" {
		value = codeMessage{r.Value, wholeSeconds(r.ExpiresIn)}
	}
	acked, flushed := make(chan struct{}), make(chan struct{})
	err := b.loginSocket.socket.Timeout(ackWait).EmitAck(r.Event, func(_ socketio.Args, err error) {
		if err == nil {
			close(acked)
		}
	}, value)
	if err != nil {
		return false
	}
	b.loginSocket.socket.AfterFlush(func() { close(flushed) })
	var stood <-chan time.Time
	for {
		select {
		case <-acked:
			return true
		case <-flushed:
			flushed = nil
			timer := time.NewTimer(time.Duration(b.loginSocket.login.config.TokenAckTimeout))
			defer timer.Stop()
			stood = timer.C
		case <-stood:
			return b.loginSocket.socket.Connected()
		case <-ctx.Done(): // the socket is gone, or the ticket is bound to another one
			select {
			case <-acked: // its last word
				return true
			default:
				return false
			}
		}
	}
}
