package gateway

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"time"

	"posthouse/internal/login"
	"posthouse/socketio"
)

// The events of docs/login.md §2 and §3.
type (
	qrcodeRequest struct {
		Account   string `json:"account"`
		Challenge string `json:"challenge"`
		Refresh   bool   `json:"refresh"`
		Typed     bool   `json:"typed"`  // the page can show a code to type instead
		Prefer    string `json:"prefer"` // "typed": the person cannot scan
	}
	qrcodeAnswer struct {
		Ticket    string `json:"ticket"`
		URL       string `json:"url"`
		ImageURL  string `json:"imageUrl"`
		ExpiresIn int    `json:"expiresIn"` // seconds
		Resume    string `json:"resume"`
		Account   string `json:"account"`
		Code      string `json:"code,omitempty"` // to send to the account instead of scanning
	}
	resumeRequest struct {
		Ticket string `json:"ticket"`
		Resume string `json:"resume"`
	}
	stateAnswer struct {
		State     login.State `json:"state"`
		ExpiresIn int         `json:"expiresIn"`
		Number    string      `json:"number,omitempty"` // to match, while claimed
	}
	cancelAnswer struct {
		State login.State `json:"state"`
	}
	codeMessage struct {
		Code      string `json:"code"`
		ExpiresIn int    `json:"expiresIn"`
	}
	failureAnswer struct {
		Error *failure `json:"error"`
	}
)

func stateOf(t login.Ticket) stateAnswer {
	s := stateAnswer{State: shown(t)}
	if !s.State.Terminal() {
		s.ExpiresIn = seconds(t.ExpiresIn())
	}
	if s.State == login.Claimed {
		s.Number = t.Number
	}
	return s
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// reuseAbove is how much life a ticket must have left to be answered again.
const reuseAbove = time.Minute

// The events that a browser may send in /login, and the messages of a signup
// socket (docs/reliability.md §4 row 17).
const (
	eventsPerSecond = 5
	eventsBurst     = 10
)

// visitor is one socket of /login. Its methods run in the socket's own order, one
// at a time, so what they share needs no lock.
type visitor struct {
	n       *loginNamespace
	s       *socketio.Socket
	from    visit
	attempt *attempt
}

// welcome is the namespace's OnConnection.
func (n *loginNamespace) welcome(s *socketio.Socket) {
	address, _ := netip.ParseAddr(s.Handshake().Address)
	v := &visitor{
		n: n, s: s, from: newVisit(address, browserIn(s.Context()), s.Header("User-Agent")),
	}
	s.OnError(v.limited)
	s.On("qrcode", v.on(v.qrcode))
	s.On("resume", v.on(v.resume))
	s.On("cancel", v.on(v.cancel))
	s.OnDisconnect(func(socketio.Reason) {
		if v.attempt != nil {
			n.release(s.Context(), v.attempt)
		}
	})
}

// limited counts an event that came too fast. A page that asked for no
// acknowledgement is told by the event of failures.
func (v *visitor) limited(err error) {
	early, ok := errors.AsType[*socketio.RateError](err)
	if !ok {
		return
	}
	v.n.metrics.refused.note("login_events")
	if !early.Answered {
		_ = v.s.Emit("failure", failureAnswer{fail("rate_limited", seconds(early.RetryAfter))}) // the client may have gone
	}
}

// on makes a handler of one event: what it returns is the acknowledgement, and an
// error is the failure of docs/login.md §2.
func (v *visitor) on(do func(context.Context, *socketio.Event) (any, error)) func(*socketio.Event) {
	return func(e *socketio.Event) {
		// A browser that leaves does not stop a step halfway.
		answer, err := do(context.WithoutCancel(e.Context()), e)
		if err != nil {
			f := failureOf(err)
			v.n.log.Debug("gateway: login event failed", "event", e.Name(), "code", f.Code)
			v.refuse(e, f)
			return
		}
		if answer != nil && e.WantsAck() {
			_ = e.Ack(answer) // the client may have gone
		}
	}
}

func (v *visitor) refuse(e *socketio.Event, f *failure) {
	if e.WantsAck() {
		_ = e.Ack(failureAnswer{f})
		return
	}
	_ = v.s.Emit("failure", failureAnswer{f})
}

// qrcode answers a ticket: the present one while it lives, or a new one.
func (v *visitor) qrcode(ctx context.Context, e *socketio.Event) (any, error) {
	var q *qrcodeRequest // stays nil without an argument
	if err := e.Bind(&q); err != nil {
		return nil, fail("bad_request", 0)
	}
	if q == nil {
		q = &qrcodeRequest{}
	}
	answer, ok := v.n.again(v.attempt, *q)
	if !ok {
		a, err := v.n.begin(ctx, v.attempt, *q, &socketBrowser{v}, v.from, false)
		if err != nil {
			return nil, err
		}
		v.attempt, answer = a, a.answer
	}
	if e.WantsAck() {
		_ = e.Ack(answer) // first: a client that acks may ignore the event
	}
	_ = v.s.Emit("qrcode", answer)
	return nil, nil
}

// again is the answer for the ticket that a has, if it may be answered again.
func (n *loginNamespace) again(a *attempt, q qrcodeRequest) (qrcodeAnswer, bool) {
	if a == nil || q.Refresh || a.answer.Ticket == "" || a.state() != login.Waiting ||
		q.Challenge != a.ticket.Challenge || q.Account != "" && q.Account != a.ticket.Account {
		return qrcodeAnswer{}, false
	}
	left := a.left()
	if left <= reuseAbove {
		return qrcodeAnswer{}, false
	}
	answer := a.answer
	answer.ExpiresIn = seconds(left)
	return answer, true
}

// begin makes a new ticket for b, in the place of the one old has.
func (n *loginNamespace) begin(ctx context.Context, old *attempt, q qrcodeRequest, b browser, from visit, raw bool) (*attempt, error) {
	account := n.accounts.find(q.Account)
	if account == nil {
		return nil, fail("unknown_account", 0)
	}
	if q.Challenge != "" && !login.ValidChallenge(q.Challenge) {
		return nil, fail("bad_request", 0)
	}
	giveBack, err := n.spend(b.id(), from)
	if err != nil {
		return nil, err
	}
	request := login.StartRequest{
		Account: account.Name, SocketID: b.id(), Raw: raw, Challenge: q.Challenge,
		Typed: q.Typed, PreferTyped: q.Prefer == "typed",
		Browser: from.browser, Agent: from.agent, Network: from.network,
	}
	if old = old.owned(); old != nil {
		request.Replaces = old.ticket.ID // the store leaves it alone when it has moved meanwhile
	}
	started, err := n.service.Start(ctx, request)
	if err != nil {
		giveBack()
		return nil, err
	}
	if old != nil {
		old.over()
		n.attempts.drop(old)
	}
	return n.bind(ctx, started.Ticket, b, qrcodeAnswer{
		Ticket: started.Ticket.WeChat, URL: started.URL, ImageURL: started.ImageURL,
		ExpiresIn: seconds(started.Ticket.ExpiresIn()), Resume: started.Resume,
		Account: account.Name, Code: started.Code,
	}), nil
}

// resume binds this socket to the ticket that the browser proves to own.
func (v *visitor) resume(ctx context.Context, e *socketio.Event) (any, error) {
	var q resumeRequest
	if e.Bind(&q) != nil || q.Ticket == "" || q.Resume == "" {
		return nil, fail("bad_request", 0)
	}
	t, err := v.n.service.Resume(ctx, q.Ticket, q.Resume, v.s.ID(), false)
	if err != nil {
		return nil, err
	}
	if old := v.attempt; old != nil && old.ticket.ID != t.ID {
		v.n.release(ctx, old)
	}
	lost := v.n.attempts.find(t.ID)
	v.attempt = v.n.bind(ctx, t, &socketBrowser{v}, resumedAnswer(t, q.Resume))
	if t.Before != "" && t.Before != v.s.ID() && lost == nil {
		v.n.hint(t.ID) // the socket that had it is elsewhere, and is told
	}
	if e.WantsAck() {
		_ = e.Ack(stateOf(t))
	}
	v.n.react(ctx, v.attempt, t, true, 0)
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
		Ticket: t.WeChat, URL: t.URL, ImageURL: t.ImageURL, ExpiresIn: seconds(t.ExpiresIn()),
		Resume: secret, Account: t.Account, Code: code,
	}
}

// cancel ends the ticket: the page gave up.
func (v *visitor) cancel(ctx context.Context, _ *socketio.Event) (any, error) {
	if v.attempt.owned() == nil {
		return nil, fail("bad_request", 0)
	}
	read := v.attempt.reads.Add(1)
	t, err := v.n.service.Cancel(ctx, v.attempt.ticket.ID, v.s.ID())
	if err != nil {
		return nil, err
	}
	v.n.react(ctx, v.attempt, t, true, read)
	if v.attempt.owned() == nil { // another socket has it: it was not touched
		return nil, fail("bad_request", 0)
	}
	return cancelAnswer{shown(t)}, nil
}

// socketBrowser is a visitor as the other end of an attempt.
type socketBrowser struct{ v *visitor }

func (b *socketBrowser) id() string         { return b.v.s.ID() }
func (b *socketBrowser) leave()             { b.v.s.Disconnect(false) }
func (b *socketBrowser) tell(s stateAnswer) { _ = b.v.s.Emit("state", s) }

// ackWait is longer than any client needs; who has not acknowledged by then does
// not, but its connection may still live.
const ackWait = 5 * time.Minute

// hand implements browser by docs/login.md §3: an acknowledgement is delivery, and so is
// a connection that still stands a while after everything was written to it.
func (b *socketBrowser) hand(ctx context.Context, r login.Result) bool {
	var value any = r.Value
	if r.Event == "code" {
		value = codeMessage{r.Value, seconds(r.ExpiresIn)}
	}
	acked, flushed := make(chan struct{}), make(chan struct{})
	err := b.v.s.Timeout(ackWait).EmitAck(r.Event, func(_ socketio.Args, err error) {
		if err == nil {
			close(acked)
		}
	}, value)
	if err != nil {
		return false
	}
	b.v.s.AfterFlush(func() { close(flushed) })
	var stood <-chan time.Time
	for {
		select {
		case <-acked:
			return true
		case <-flushed:
			flushed = nil
			timer := time.NewTimer(time.Duration(b.v.n.cfg.TokenAckTimeout))
			defer timer.Stop()
			stood = timer.C
		case <-stood:
			return b.v.s.Connected()
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
