// Package doctor examines the way from a browser to a Socket.IO server, whatever the
// server is written in, and names the hop that is to blame. It is for the command
// "posthouse doctor"; docs/doctor.md describes the checks.
//
// Run walks the checks one after another; only the idle connections wait beside the
// others. The doctor leaves no trace in an application: it connects to a namespace, asks for
// another one that does not exist, and sends acknowledgements of an event that was never
// sent. Servers answer the second with an error and drop the third.
package doctor

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"
)

// Result is the outcome of a check.
type Result string

// The outcomes of a check.
const (
	OK   Result = "ok"
	Fail Result = "fail"
	Skip Result = "skip" // not asked, not offered, or of no concern
)

// Check is one line of the report.
type Check struct {
	Name     string   `json:"name"`
	Result   Result   `json:"result"`
	Seen     string   `json:"seen"`
	Blame    string   `json:"blame,omitempty"`    // the hop
	Settings []string `json:"settings,omitempty"` // one directive for each kind of hop, the likeliest first
}

// Report is the outcome of a walk.
type Report struct {
	URL    string  `json:"url"`
	Checks []Check `json:"checks"`
	Failed int     `json:"failed"`
}

// names are the checks of every server, in the order of the report.
var names = []string{"dns", "tls", "http", "handshake-eio4", "handshake-eio3", "polling", "sticky", "websocket", "upgrade",
	"binary", "compression", "idle", "body-100k", "body-1m", "cors", "origin", "forwarded", "headers"}

// ownNames follow when the server is a Posthouse.
var ownNames = []string{"webhook", "clock", "redis", "replicas"}

// Options configure Run.
type Options struct {
	URL    string          // of the site; its path is the namespace, as in socket.io-client
	Path   string          // of Socket.IO; "" is /socket.io/
	Origin string          // of the pages that use the server; "" is that of URL
	Auth   json.RawMessage // handed over with CONNECT; nil sends none
	Roots  *x509.CertPool  // nil: those of the system
	Idle   time.Duration   // how long the idle connections wait; 0 is 5 s beyond pingInterval
	// Progress is told what is under way; nil tells nothing. Calls come from one
	// goroutine at a time.
	Progress func(step string)
}

const (
	// answerTimeout bounds the wait for one answer.
	answerTimeout = 5 * time.Second
	// walkTimeout bounds the walk at Socket.IO's default timings.
	walkTimeout = 57 * time.Second
	// idleExtra is how long idle connections wait beyond the server's own silence.
	idleExtra = 5 * time.Second
	// handshakePause keeps the doctor below the limits of one address.
	handshakePause = 110 * time.Millisecond
)

// walk is one run. Its fields are those of one goroutine; the idle checks get their own
// copies of what they need.
type walk struct {
	options  Options
	target   *target
	hop      hop // that answered first, as far as its answers tell
	results  map[string]Check
	began    int64        // in milliseconds; with requests, the t of polls
	requests atomic.Int64 // polls so far
	opened   time.Time    // when the last session was

	revision    int // of Engine.IO; 0 before a handshake worked
	open        openPacket
	useOrigin   bool // requests carry the site's own Origin
	isSticky    bool
	hasSocket   bool // a WebSocket opens straight
	isPosthouse bool // the server is a Posthouse
	isCached    bool // polls are answered by a cache
	own         ownAnswer
	timedOut    []string    // checks that a time-out of a proxy failed; idle alone is blamed if it fails too
	limited     atomic.Bool // a request of the check under way was refused for the rate of requests
}

// Run walks all checks. The error is about the options; what is wrong with the server
// stands in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	t, err := parseTarget(o)
	if err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	w := &walk{options: o, target: t, results: map[string]Check{}, began: time.Now().UnixMilli()}
	ctx, cancel := context.WithTimeout(ctx, walkTimeout)
	defer cancel()
	defer t.close()
	w.examine(ctx)
	if err := context.Cause(ctx); err != nil && ctx.Err() == context.Canceled {
		return nil, err
	}
	return w.report(), nil
}

// examine makes the checks in the order in which they need each other.
func (w *walk) examine(ctx context.Context) {
	for _, step := range []struct {
		name string
		do   func(context.Context) bool // false: what follows cannot be asked
	}{
		{"dns", w.checkDNS}, {"tls", w.checkTLS}, {"http", w.checkHTTP},
		{"handshake-eio4", w.checkHandshakes},
	} {
		w.options.Progress(step.name)
		if !step.do(ctx) {
			return
		}
	}
	w.findPosthouse(ctx)
	w.checkWebSocket(ctx)
	w.checkSticky(ctx)
	idle := w.startIdle(ctx)
	w.options.Progress("polling")
	w.checkPolling(ctx)
	w.checkUpgrade(ctx)
	w.checkBinary(ctx)
	w.checkCompression(ctx)
	w.options.Progress("body-100k")
	w.checkBodies(ctx)
	w.checkCORS(ctx)
	w.checkOrigin(ctx)
	w.checkForwarded()
	w.checkHeaders(ctx)
	w.checkWebTransport(ctx)
	if w.isPosthouse {
		w.checkWebhook(ctx)
		w.checkClock()
		w.checkRedis()
		w.checkReplicas(ctx)
	}
	w.finishIdle(ctx, idle)
}

// report puts the results into their order.
func (w *walk) report() *Report {
	r := &Report{URL: w.target.site.String()}
	all := names
	if w.isPosthouse {
		all = append(append([]string{}, names...), ownNames...)
	}
	if _, announced := w.results[webTransport]; announced {
		all = append(append([]string{}, all...), webTransport)
	}
	for _, name := range all {
		c, ok := w.results[name]
		if !ok {
			c = Check{Result: Skip, Seen: "not asked: an earlier check failed"}
		}
		c.Name = name
		if c.Result == Fail {
			r.Failed++
		}
		r.Checks = append(r.Checks, c)
	}
	return r
}

func (w *walk) ok(name, format string, args ...any) {
	w.limited.Store(false)
	w.results[name] = Check{Result: OK, Seen: fmt.Sprintf(format, args...)}
}

func (w *walk) skip(name, format string, args ...any) {
	w.results[name] = Check{Result: Skip, Seen: fmt.Sprintf(format, args...)}
}

// fail blames the hop in front for a fault that has directives, and a limit that a request
// met for what may be no fault.
func (w *walk) fail(name string, f fault, format string, args ...any) {
	if w.limited.Swap(false) {
		w.failAt(name, "a limit of requests for each address", limitSettings,
			format+"; 429 for each of the doctor's tries: others at its address may have used up the limit", args...)
		return
	}
	w.results[name] = Check{
		Result: Fail, Seen: fmt.Sprintf(format, args...), Blame: w.hop.blame(),
		Settings: w.hop.settings(f, w.open),
	}
}

// failAt blames what is no proxy.
func (w *walk) failAt(name, blame string, settings []string, format string, args ...any) {
	w.results[name] = Check{Result: Fail, Seen: fmt.Sprintf(format, args...), Blame: blame, Settings: settings}
}

// failed reports whether a check has failed.
func (w *walk) failed(name string) bool { return w.results[name].Result == Fail }
