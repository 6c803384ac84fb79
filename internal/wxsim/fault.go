package wxsim

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"posthouse/internal/sleep"
)

// FaultKind names what a rule breaks.
type FaultKind string

// Faults of pushes. Each takes effect on every delivery of the push it hits.
const (
	Delay           FaultKind = "delay"             // wait MS before the first delivery
	Drop            FaultKind = "drop"              // never deliver
	Duplicate       FaultKind = "duplicate"         // Count more copies, at once or MS later
	Reorder         FaultKind = "reorder"           // deliver after the account's next push
	Replica         FaultKind = "replica"           // to the callback URL number Replica (from 0)
	BadSignature    FaultKind = "bad_signature"     // signature is wrong
	BadMsgSignature FaultKind = "bad_msg_signature" // msg_signature is wrong
	Stale           FaultKind = "stale"             // timestamp is Seconds old (600)
	ForeignAppID    FaultKind = "foreign_appid"     // another appid inside the ciphertext
	PreviousKey     FaultKind = "previous_key"      // encrypted with the previous key
	Garbled         FaultKind = "garbled"           // ciphertext with flipped bits, signed
	Truncated       FaultKind = "truncated"         // ciphertext cut short, signed
	Downgrade       FaultKind = "downgrade"         // plain body at a protected account
	HugeBody        FaultKind = "huge_body"         // a message of a mebibyte
	SlowBody        FaultKind = "slow_body"         // the body trickles in
	Doctype         FaultKind = "doctype"           // declares a document type
	ContentType     FaultKind = "content_type"      // says it is JSON
	Lowercase       FaultKind = "lowercase"         // the event's name in small letters
	NoTicket        FaultKind = "no_ticket"         // Ticket is missing
	BothEvents      FaultKind = "both"              // a scan causes subscribe and SCAN
)

// Faults of the API side.
const (
	APILatency FaultKind = "api_latency" // wait MS before the answer
	APIStatus  FaultKind = "api_status"  // HTTP Status (503) and a page of HTML
	APIReset   FaultKind = "api_reset"   // the connection breaks
	APIGarbage FaultKind = "api_garbage" // 200 and no JSON
	APIError   FaultKind = "api_error"   // ErrCode (-1)
)

var faultKinds = []FaultKind{
	Delay, Drop, Duplicate, Reorder, Replica, BadSignature, BadMsgSignature, Stale, ForeignAppID, PreviousKey, Garbled,
	Truncated, Downgrade, HugeBody, SlowBody, Doctype, ContentType, Lowercase, NoTicket, BothEvents,
	APILatency, APIStatus, APIReset, APIGarbage, APIError,
}

// faultAliases are words people try first.
var faultAliases = map[FaultKind]FaultKind{"slow": Delay, "error": APIError, "bad_sig": BadSignature, "api_slow": APILatency, "api_delay": APILatency}

func (k FaultKind) ofAPI() bool { return strings.HasPrefix(string(k), "api_") }

// Rule breaks something, sometimes. Empty selectors match everything.
type Rule struct {
	Kind FaultKind `json:"kind"`

	Account string `json:"account,omitempty"` // appid
	Event   string `json:"event,omitempty"`   // subscribe, SCAN, text, …; any case
	Person  string `json:"person,omitempty"`
	API     string `json:"api,omitempty"` // path, or its last part: "qrcode/create"

	Nth         int     `json:"nth,omitempty"`         // only the n-th match, from 1
	Times       int     `json:"times,omitempty"`       // at most so many hits; 0: no limit
	Probability float64 `json:"probability,omitempty"` // 0 means 1

	MS      int `json:"ms,omitempty"`
	Count   int `json:"count,omitempty"`
	Seconds int `json:"seconds,omitempty"`
	Replica int `json:"replica,omitempty"`
	Status  int `json:"status,omitempty"`
	ErrCode int `json:"errcode,omitempty"`

	Matches int `json:"matches"` // how often it could have struck
	Hits    int `json:"hits"`    // how often it did
}

const (
	maxRules      = 100
	maxDuplicates = 50
	maxFaultMS    = 60 * 60 * 1000
)

func (r *Rule) check() error {
	r.Kind = FaultKind(strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(string(r.Kind))))
	r.Kind = or(faultAliases[r.Kind], r.Kind)
	switch {
	case !slices.Contains(faultKinds, r.Kind):
		return fmt.Errorf("unknown fault kind %q", r.Kind)
	case r.Probability < 0 || r.Probability > 1:
		return fmt.Errorf("probability of %q is not between 0 and 1", r.Kind)
	case r.MS < 0 || r.MS > maxFaultMS:
		return fmt.Errorf("ms of %q is not between 0 and %d", r.Kind, maxFaultMS)
	case r.Count < 0 || r.Count > maxDuplicates:
		return fmt.Errorf("count of %q is not between 0 and %d", r.Kind, maxDuplicates)
	case r.Nth < 0 || r.Times < 0 || r.Seconds < 0 || r.Replica < 0:
		return fmt.Errorf("a number of %q is negative", r.Kind)
	case r.Status != 0 && (r.Status < 200 || r.Status > 599):
		return fmt.Errorf("status of %q is no HTTP status", r.Kind)
	}
	return nil
}

// strikes counts a match and decides by luck, a number below 1. Holds Sim.mu.
func (r *Rule) strikes(luck float64) bool {
	r.Matches++
	switch {
	case r.Nth > 0 && r.Matches != r.Nth:
		return false
	case r.Times > 0 && r.Hits >= r.Times:
		return false
	case r.Probability > 0 && luck >= r.Probability:
		return false
	}
	r.Hits++
	return true
}

// luck is drawn from the seed, the rule's place and what happens to whom for
// which time, and from nothing else: the same people meet the same faults in
// whatever order the machine runs them.
func (s *Sim) luck(rule int, what string, time int) float64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d", rule, what, time)
	return rand.New(rand.NewPCG(s.faultSeed, h.Sum64())).Float64()
}

// plan is the faults of one push.
type plan []Rule

func (p plan) rule(kind FaultKind) (Rule, bool) {
	for _, r := range p {
		if r.Kind == kind {
			return r, true
		}
	}
	return Rule{}, false
}

func (p plan) has(kind FaultKind) bool {
	_, ok := p.rule(kind)
	return ok
}

func (p plan) names() []string {
	names := make([]string, len(p))
	for i, r := range p {
		names[i] = string(r.Kind)
	}
	return names
}

// planPush asks every rule once about the relation's next push. Holds s.mu.
func (s *Sim) planPush(r *relation, event string) plan {
	r.pushes++
	var p plan
	for i, rule := range s.rules {
		if rule.Kind.ofAPI() || rule.Kind == BothEvents || !rule.selects(r, event) { // both: asked when the scan happens
			continue
		}
		if rule.strikes(s.luck(i, r.openid, r.pushes)) {
			p = append(p, *rule)
		}
	}
	return p
}

func (r *Rule) selects(who *relation, event string) bool {
	return (r.Account == "" || r.Account == who.account.AppID) &&
		(r.Event == "" || strings.EqualFold(r.Event, event)) &&
		(r.Person == "" || r.Person == who.person)
}

// wantsBoth asks the rules that make one scan arrive as two events. Holds s.mu.
func (s *Sim) wantsBoth(r *relation) bool {
	for i, rule := range s.rules {
		if rule.Kind == BothEvents && rule.selects(r, "subscribe") && rule.strikes(s.luck(i, r.openid, r.pushes)) {
			return true
		}
	}
	return false
}

// apiFault plays the faults of an API call; true means it was answered, or
// never will be.
func (s *Sim) apiFault(w http.ResponseWriter, r *http.Request, path string, body []byte) bool {
	s.mu.Lock()
	var struck []Rule
	for i, rule := range s.rules {
		if rule.Kind.ofAPI() && (rule.API == "" || strings.HasSuffix(path, "/"+strings.TrimPrefix(rule.API, "/"))) &&
			(rule.Account == "" || rule.Account == s.caller(r, body)) && rule.strikes(s.luck(i, path, rule.Matches)) {
			struck = append(struck, *rule)
			s.changed()
		}
	}
	s.mu.Unlock()
	for _, rule := range struck {
		switch rule.Kind {
		case APILatency:
			if sleep.For(r.Context(), time.Duration(rule.MS)*time.Millisecond) != nil {
				return true
			}
		case APIStatus:
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(or(rule.Status, http.StatusServiceUnavailable))
			fmt.Fprint(w, "<html><body>Service Unavailable</body></html>")
			return true
		case APIReset:
			reset(w)
			return true
		case APIGarbage:
			fmt.Fprint(w, "<html><body>{\"errcode\":")
			return true
		case APIError:
			s.answerAPI(w, r, path, nil, apiErrorOf(or(rule.ErrCode, -1)))
			return true
		}
	}
	return false
}

// caller is the appid of the account that makes an API call, by the token or by the
// credentials, right or wrong. Holds s.mu.
func (s *Sim) caller(r *http.Request, body []byte) string {
	q := r.URL.Query()
	for _, a := range s.accounts {
		if a.tokens.all[q.Get("access_token")] != nil {
			return a.AppID
		}
	}
	var in struct {
		AppID string `json:"appid"`
	}
	_ = json.Unmarshal(body, &in) // none of the calls that name the appid
	return or(q.Get("appid"), in.AppID)
}

// reset ends the connection the rude way.
func reset(w http.ResponseWriter) {
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler) // net/http's own way to drop a connection
}
