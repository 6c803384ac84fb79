package scenario

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// Verdicts of the ledger. Lost, doubled and misdelivered are the three things
// that must never happen to a login.
const (
	lost         = "lost"         // a scan was answered and no token came
	doubled      = "doubled"      // one ticket, two token ids
	misdelivered = "misdelivered" // a token of another person, or of a ticket that may not be claimed
	broken       = "broken"       // anything else that contradicts the contract
)

// entry is one login's line in the ledger.
type entry struct {
	name    string
	kind    string
	allowed []string // openids that may get the token; none: no person may
	tokens  []claims
	latency time.Duration // scan to token; 0: no token was expected
	ended   bool          // the server disconnected the socket after delivery
	rash    bool          // a token came before the person confirmed
	dropped int           // connections that the gateway failed or ended
	err     error
}

// ledger collects the logins of a run. It is safe for concurrent use.
type ledger struct {
	mu       sync.Mutex // guards what follows
	entries  int
	signed   int
	kinds    map[string]int
	faults   map[string]int
	samples  []string
	owner    map[string]string // token id → login
	latency  []time.Duration
	repeated int // the same token sent again, which is allowed
	dropped  int
}

func newLedger() *ledger {
	return &ledger{kinds: map[string]int{}, faults: map[string]int{}, owner: map[string]string{}}
}

// maxSamples is how many failures a report shows in words.
const maxSamples = 20

// enter judges a login.
func (l *ledger) enter(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries++
	l.kinds[e.kind]++
	fail := func(verdict, format string, args ...any) {
		l.faults[verdict]++
		if len(l.samples) < maxSamples {
			l.samples = append(l.samples, fmt.Sprintf("%s: %s (%s): %s", verdict, e.name, e.kind, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")))
		}
	}
	ids := map[string]bool{}
	for _, c := range e.tokens {
		if len(e.allowed) == 0 {
			fail(misdelivered, "a token came although nobody could claim the ticket")
		} else if !slices.Contains(e.allowed, c.OpenID) {
			fail(misdelivered, "the token is another person's")
		}
		if owner, taken := l.owner[c.ID]; taken && owner != e.name {
			fail(misdelivered, "the token was also given to %s", owner)
		}
		l.owner[c.ID] = e.name
		if ids[c.ID] {
			l.repeated++
		}
		ids[c.ID] = true
	}
	l.dropped += e.dropped
	if e.rash {
		fail(misdelivered, "a token came that nobody had confirmed")
	}
	switch {
	case len(ids) > 1:
		fail(doubled, "%d token ids", len(ids))
	case e.err != nil && len(e.allowed) > 0 && len(ids) == 0:
		fail(lost, "%v", e.err)
	case e.err != nil:
		fail(broken, "%v", e.err)
	case len(e.allowed) > 0 && len(ids) == 0:
		fail(lost, "no token came")
	}
	if len(ids) == 1 && len(e.allowed) > 0 {
		l.signed++
		l.latency = append(l.latency, e.latency)
		if !e.ended {
			fail(broken, "the socket was not disconnected by the server after delivery")
		}
	}
}

// Report is what a run found.
type Report struct {
	Name         string
	Seed         uint64
	Logins       int
	SignedIn     int
	Lost         int
	Doubled      int
	Misdelivered int
	Broken       int            // other contradictions of the contract
	Repeated     int            // tokens sent again with the same id, which is allowed
	Kinds        map[string]int // logins by what their people did
	Faults       map[string]int // faults the simulator played
	Samples      []string       // the first failures in words
	Dropped      int            // connections that the gateway failed, or ended before their time
	Callback     Callback       // how pushes were answered
	Bars         []string       // what of these two is not good enough (docs/wechat.md §3.4 guarantee G9)
	Took         time.Duration
	P50, P99     time.Duration // from scan to token
}

// OK tells whether the run found nothing wrong.
func (r Report) OK() bool {
	return r.Lost+r.Doubled+r.Misdelivered+r.Broken+len(r.Bars) == 0 && r.Logins > 0
}

// judge holds the answers to pushes against docs/wechat.md §3.4 guarantee G9: under a second for 99 of 100,
// under 4.5 s always, and none that WeChat would not understand. Without outages
// no connection fails by itself either.
func (r *Report) judge(outages bool) {
	bar := func(broken bool, format string, args ...any) {
		if broken {
			r.Bars = append(r.Bars, fmt.Sprintf(format, args...))
		}
	}
	c := r.Callback
	bar(r.Dropped > 0 && !outages, "%d connections of tabs failed, or ended before their time", r.Dropped)
	bar(c.P99MS >= 1000 && !outages, "callback p99 %d ms is not below 1000 ms", c.P99MS)
	bar(c.MaxMS >= slowest.Milliseconds(), "the slowest callback took %d ms, not less than %d ms", c.MaxMS, slowest.Milliseconds())
	bar(c.Silent > 0, "%d pushes were not answered in time", c.Silent)
	bar(c.Refused+c.Illegal > 0, "%d pushes were refused, %d answered illegally", c.Refused, c.Illegal)
	bar(c.Unconnected+c.Broke > 0 && !outages, "%d pushes met no connection, %d lost it", c.Unconnected, c.Broke)
}

func (l *ledger) report(name string, seed uint64, took time.Duration) Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.latency)
	at := func(q float64) time.Duration {
		if len(l.latency) == 0 {
			return 0
		}
		return l.latency[min(len(l.latency)-1, int(q*float64(len(l.latency))))]
	}
	return Report{
		Name: name, Seed: seed, Logins: l.entries, SignedIn: l.signed,
		Lost: l.faults[lost], Doubled: l.faults[doubled], Misdelivered: l.faults[misdelivered], Broken: l.faults[broken],
		Repeated: l.repeated, Dropped: l.dropped, Kinds: l.kinds, Samples: l.samples, Took: took, P50: at(.5), P99: at(.99),
	}
}

// Print writes the report for people; its last line is PASS or FAIL.
func (r Report) Print(w io.Writer) {
	rate := float64(r.Logins) / max(r.Took.Seconds(), 0.001)
	fmt.Fprintf(w, "%s, seed %d: %d logins in %s (%.0f/s)\n", r.Name, r.Seed, r.Logins, r.Took.Round(time.Millisecond), rate)
	fmt.Fprintf(w, "  signed in     %d, scan to token p50 %s p99 %s\n", r.SignedIn, r.P50.Round(time.Millisecond), r.P99.Round(time.Millisecond))
	if len(r.Kinds) > 0 {
		fmt.Fprintf(w, "  logins        %s\n", counts(r.Kinds))
	}
	if len(r.Faults) > 0 {
		fmt.Fprintf(w, "  faults        %s\n", counts(r.Faults))
	}
	fmt.Fprintf(w, "  sent again    %d (same token id, allowed)\n", r.Repeated)
	if r.Dropped > 0 {
		fmt.Fprintf(w, "  connections   %d lost by themselves\n", r.Dropped)
	}
	if c := r.Callback; c.Deliveries > 0 {
		fmt.Fprintf(w, "  callback      %d deliveries: %d answered, %d refused, %d illegal, %d silent, %d unconnected, %d broke; p50 %d ms, p99 %d ms, max %d ms\n",
			c.Deliveries, c.Answered, c.Refused, c.Illegal, c.Silent, c.Unconnected, c.Broke, c.P50MS, c.P99MS, c.MaxMS)
	}
	fmt.Fprintf(w, "  lost %d  doubled %d  misdelivered %d  broken %d\n", r.Lost, r.Doubled, r.Misdelivered, r.Broken)
	for _, s := range slices.Concat(r.Bars, r.Samples) {
		fmt.Fprintf(w, "    %s\n", s)
	}
	verdict := "PASS"
	if !r.OK() {
		verdict = "FAIL"
	}
	fmt.Fprintln(w, verdict)
}

func counts(m map[string]int) string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, m[name])
	}
	return strings.Join(names, ", ")
}
