package main

import (
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/client"
)

// tab is a login page: it asks for a code, comes back with its secret when it lost the
// connection, acknowledges its token, and tells the ledger all of it.
type tab struct {
	ledger *ledger
	login  *login
	socket *client.Socket
	// again asks for a new code once the first has ended, as a person who clicks does.
	again    bool
	deaf     atomic.Bool  // does not acknowledge tokens, and does not take them for the end
	received atomic.Int64 // tokens

	mu     sync.Mutex // guards what follows
	resume string
	ticket string
	done   bool
	timers []*time.Timer
}

type failure struct {
	Code       string  `json:"code"`
	RetryAfter float64 `json:"retryAfter"`
}

// openTab connects a page; it does not wait for the code.
func openTab(l *ledger, person, gateway string, o client.Options) (*tab, error) {
	t := &tab{ledger: l, login: l.open(person)}
	// Warnings tell of the faults that the row makes.
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	if o.ReconnectDelay == 0 {
		o.ReconnectDelay, o.ReconnectDelayMax = time.Second, 2*time.Second
	}
	s, err := client.New(gateway+"/login", &o)
	if err != nil {
		return nil, err
	}
	t.socket = s
	s.OnConnect(t.connected)
	s.OnDisconnect(t.disconnected)
	s.On("state", func(e *client.Event) {
		var state struct{ State string }
		if e.Bind(&state) == nil {
			t.enter(state.State)
		}
	})
	s.On("token", func(e *client.Event) {
		var jwt string
		if err := e.Bind(&jwt); err == nil {
			t.ledger.give(t.login, jwt)
			t.received.Add(1)
		}
		if !t.deaf.Load() {
			t.finish()
			_ = e.Ack() // the connection may have gone
		}
	})
	return t, nil
}

func (t *tab) connected() {
	t.ledger.note(func() {
		if !t.login.lostSince.IsZero() {
			t.login.back = append(t.login.back, time.Since(t.login.lostSince))
			t.login.lostSince = time.Time{}
		}
	})
	t.mu.Lock()
	known := t.ticket != "" && !t.done
	t.mu.Unlock()
	if known {
		t.comeBack()
	} else {
		t.ask()
	}
}

func (t *tab) disconnected(reason socketio.Reason, _ error) {
	t.mu.Lock()
	done := t.done
	t.mu.Unlock()
	if done || reason == client.ReasonClientDisconnect {
		return
	}
	t.ledger.note(func() {
		t.login.dropped = append(t.login.dropped, time.Now())
		t.login.lostSince = time.Now()
	})
	if reason == client.ReasonServerDisconnect {
		t.later(time.Second, func() { _ = t.socket.Open() })
	}
}

// later runs f once, unless the tab is closed before.
func (t *tab) later(d time.Duration, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.done {
		t.timers = append(t.timers, time.AfterFunc(d, f))
	}
}

// refusedWith notes an error answer and tries again when that is of use.
func (t *tab) refusedWith(f *failure, again func()) {
	t.ledger.note(func() { t.ledger.refused[f.Code]++ })
	t.later(time.Duration(max(1, f.RetryAfter)*float64(time.Second)), again)
}

func (t *tab) ask() {
	_ = t.socket.EmitAck("qrcode", func(args socketio.Args, err error) {
		var answer struct {
			Ticket, Resume string
			Error          *failure
		}
		switch {
		case err != nil: // the connection is lost: connected asks again
		case args.Bind(&answer) != nil:
			t.ledger.note(func() { t.ledger.faults = append(t.ledger.faults, "an answer to qrcode cannot be read") })
		case answer.Error != nil:
			t.refusedWith(answer.Error, t.ask)
		default:
			t.mu.Lock()
			t.ticket, t.resume = answer.Ticket, answer.Resume
			t.mu.Unlock()
			t.ledger.show(t.login, answer.Ticket)
		}
	})
}

func (t *tab) comeBack() {
	t.mu.Lock()
	secret := map[string]string{"ticket": t.ticket, "resume": t.resume}
	t.mu.Unlock()
	_ = t.socket.EmitAck("resume", func(args socketio.Args, err error) {
		var answer struct {
			State string
			Error *failure
		}
		switch {
		case err != nil || args.Bind(&answer) != nil:
		case answer.Error != nil && (answer.Error.Code == "unauthorized" || answer.Error.Code == "expired"):
			t.enter("expired") // the ticket is not known any more: the page says so
		case answer.Error != nil:
			t.refusedWith(answer.Error, t.comeBack)
		default:
			t.enter(answer.State)
		}
	}, secret)
}

// enter takes a state of the ticket in.
func (t *tab) enter(state string) {
	// "moved" is no end: no other page has this one's secret.
	over := state == "expired" || state == "denied" || state == "cancelled" || state == "replaced"
	t.ledger.note(func() {
		t.login.states = append(t.login.states, state)
		if over && len(t.login.tokens) == 0 {
			t.login.end, t.login.ended = state, time.Now()
		}
	})
	if over && t.again {
		t.mu.Lock()
		t.ticket, t.resume = "", ""
		t.mu.Unlock()
		t.ask()
	}
}

func (t *tab) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = true
}

// close ends the page.
func (t *tab) close() {
	t.finish()
	t.mu.Lock()
	for _, timer := range t.timers {
		timer.Stop()
	}
	t.mu.Unlock()
	_ = t.socket.Manager().Close()
}
