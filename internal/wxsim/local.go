package wxsim

import (
	"net"
	"net/http"
	"time"
)

// TB is the part of [testing.TB] that [Start] needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Local is a simulator that a Go test drives by method calls. It listens on
// loopback until the test ends.
type Local struct {
	*Sim
	// URL is the API base and the MP base of a gateway under test: the address
	// with the prefix.
	URL string

	tb TB
}

// Start runs a simulator for a test; nil options are the zero ones. Everything
// it started ends with the test.
func Start(tb TB, opts *Options) *Local {
	tb.Helper()
	if opts == nil {
		opts = &Options{}
	}
	s, err := New(opts)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.Close()
		tb.Fatalf("wxsim: %v", err)
	}
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan struct{})
	go func() { // ends when the server is closed; the cleanup waits for it
		defer close(served)
		_ = server.Serve(listener)
	}()
	tb.Cleanup(func() {
		s.end() // pushes under way stop, so that the requests that wait for them end
		_ = server.Close()
		<-served
		s.Close()
	})
	return &Local{Sim: s, URL: "http://" + listener.Addr().String() + s.opts.Prefix, tb: tb}
}

// Scan has the person scan the code of that ticket, and follow the account if
// they do not yet.
func (l *Local) Scan(person, ticket string) Outcome {
	l.tb.Helper()
	return l.must(l.scan(scanBody{personBody: personBody{Person: person}, Ticket: ticket, Follow: true}))
}

// Look has the person scan the code without following: a stranger then only
// sees the follow page.
func (l *Local) Look(person, ticket string) Outcome {
	l.tb.Helper()
	return l.must(l.scan(scanBody{personBody: personBody{Person: person}, Ticket: ticket}))
}

// Follow taps the button of the follow page that the person has open, or finds
// the account by its name.
func (l *Local) Follow(person string) Outcome {
	l.tb.Helper()
	return l.must(l.follow(scanBody{personBody: personBody{Person: person}}))
}

// Unfollow leaves the account.
func (l *Local) Unfollow(person string) Outcome {
	l.tb.Helper()
	return l.must(l.unfollow(personBody{Person: person}))
}

// Text sends a message to the account.
func (l *Local) Text(person, text string) Outcome {
	l.tb.Helper()
	return l.must(l.text(textBody{personBody: personBody{Person: person}, Text: text}))
}

func (l *Local) must(out Outcome, err error) Outcome {
	l.tb.Helper()
	if err != nil {
		l.tb.Fatalf("wxsim: %v", err)
	}
	return out
}

// Break replaces the rules of what goes wrong; without rules nothing does.
func (l *Local) Break(rules ...Rule) {
	l.tb.Helper()
	list := make([]*Rule, len(rules))
	for i := range rules {
		list[i] = &rules[i]
		if err := list[i].check(); err != nil {
			l.tb.Fatalf("wxsim: %v", err)
		}
	}
	if err := l.addRules(list, true, 0); err != nil {
		l.tb.Fatalf("wxsim: %v", err)
	}
}

// Advance lets the platform's time go on: tokens and codes run out, quotas begin
// anew.
func (l *Local) Advance(d time.Duration) {
	l.tb.Helper()
	if d < 0 {
		l.tb.Fatalf("wxsim: time only goes forward")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock.ahead += d
	l.changed()
}
