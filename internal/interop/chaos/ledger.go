package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// ledger is what was seen of each login from outside: what its page was shown, what its
// person sent, what WeChat was answered and which tokens came. It knows nothing of the
// gateway but docs/login.md.
type ledger struct {
	mu      sync.Mutex // guards what follows
	logins  []*login
	owner   map[string]*login // by the jti of tokens
	tickets map[string]*login
	faults  []string // broken invariants, in words
	refused map[string]int
}

// login is one page with one ticket.
type login struct {
	person    string
	ticket    string
	shown     time.Time
	openid    string    // of the person who scanned
	scanned   time.Time // when the push was sent
	answered  time.Time // when WeChat got `success`; zero: it never did
	tokens    map[string]time.Time
	came      time.Time // the first token
	end       string    // the state that ended it without a token
	ended     time.Time
	states    []string
	dropped   []time.Time // connections that were lost before the token
	back      []time.Duration
	lostSince time.Time
}

func newLedger() *ledger {
	return &ledger{owner: map[string]*login{}, tickets: map[string]*login{}, refused: map[string]int{}}
}

func (l *ledger) open(person string) *login {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &login{person: person, tokens: map[string]time.Time{}}
	l.logins = append(l.logins, e)
	return e
}

// note changes an entry under the ledger's lock.
func (l *ledger) note(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *ledger) show(e *login, ticket string) {
	l.note(func() {
		if other := l.tickets[ticket]; other != nil && other != e {
			l.faults = append(l.faults, fmt.Sprintf("one ticket was shown to %s and %s", other.person, e.person))
		}
		l.tickets[ticket] = e
		e.ticket, e.shown, e.end = ticket, time.Now(), ""
	})
}

// give is a token that reached a page.
func (l *ledger) give(e *login, jwt string) {
	claims, err := readClaims(jwt)
	l.note(func() {
		switch {
		case err != nil:
			l.faults = append(l.faults, fmt.Sprintf("%s got no token: %v", e.person, err))
			return
		case e.openid == "" && e.scanned.IsZero():
			l.faults = append(l.faults, e.person+" got a token without having scanned")
		case e.openid != "" && claims.OpenID != e.openid:
			l.faults = append(l.faults, e.person+" got the token of another person")
		}
		if other := l.owner[claims.ID]; other != nil && other != e {
			l.faults = append(l.faults, fmt.Sprintf("one token reached %s and %s", other.person, e.person))
		}
		l.owner[claims.ID] = e
		now := time.Now()
		if e.came.IsZero() {
			e.came = now
		}
		e.tokens[claims.ID] = now
		if len(e.tokens) > 1 {
			l.faults = append(l.faults, fmt.Sprintf("%s got %d token ids", e.person, len(e.tokens)))
		}
	})
}

type claims struct {
	ID     string `json:"jti"`
	OpenID string `json:"openid"`
}

func readClaims(jwt string) (c claims, err error) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return c, fmt.Errorf("%d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err == nil && (c.ID == "" || c.OpenID == "") {
		err = fmt.Errorf("claims are missing")
	}
	return c, err
}

// open reports whether a login whose push was accepted still waits for its token or its end.
func (e *login) waits() bool {
	return !e.answered.IsZero() && len(e.tokens) == 0 && e.end == ""
}

// tally is what the ledger holds at one moment.
type tally struct {
	shown, accepted, signedIn, honest, lost, unanswered int
	late                                                []time.Duration // token after the push was answered
	dropped                                             int
	faults                                              []string
	ends                                                map[string]int
}

func (l *ledger) tally() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := tally{faults: slices.Clone(l.faults), ends: map[string]int{}}
	for _, e := range l.logins {
		if e.ticket != "" {
			t.shown++
		}
		if !e.answered.IsZero() {
			t.accepted++
		} else if !e.scanned.IsZero() {
			t.unanswered++
		}
		t.dropped += len(e.dropped)
		switch {
		case len(e.tokens) > 0:
			t.signedIn++
			t.late = append(t.late, max(0, e.came.Sub(e.answered)))
		case e.end != "":
			t.ends[e.end]++
			if !e.answered.IsZero() {
				t.honest++
			}
		case e.waits():
			t.lost++
		}
	}
	slices.Sort(t.late)
	return t
}

// since is how long after a moment, or after its push if that was later, each login got
// its token: of those whose token came after the moment.
func (l *ledger) since(at time.Time) (late []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.logins {
		if e.came.After(at) {
			from := at
			if e.answered.After(at) {
				from = e.answered
			}
			late = append(late, max(0, e.came.Sub(from)))
		}
	}
	slices.Sort(late)
	return late
}

// backs is how long each lost connection was away.
func (l *ledger) backs() (all []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.logins {
		all = append(all, e.back...)
	}
	slices.Sort(all)
	return all
}

// at is a quantile of sorted durations.
func at(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
