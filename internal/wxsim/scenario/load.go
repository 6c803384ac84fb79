package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Target is what a run talks to.
type Target struct {
	// Gateways are base URLs of replicas; tabs are spread over them and come
	// back to another one. At least one.
	Gateways []string
	// Simulator is the base URL with its prefix; default: the first gateway's
	// "/sim".
	Simulator string
	// SocketIOPath of the gateways; default "/socket.io/".
	SocketIOPath string
	// Spread lets tabs come from many addresses of 127.0.0.0/8, so that limits
	// per address stay switched on. Without effect where that cannot work: off
	// Linux, and for gateways on other machines.
	Spread bool
}

// Mix is how many percent of the logins, or of the pushes, have a certain fate.
// The fates of logins exclude one another; what they leave is plain sign-ins.
type Mix struct {
	NeverScan  float64 // the tab is closed without a scan
	Cancelled  float64 // the tab cancels; a scan follows
	Replaced   float64 // the tab refreshes; somebody scans the old code
	Expired    float64 // the code runs out; a scan follows (Replaced if codes live longer than 20 s)
	TwoPeople  float64 // two people scan one code
	Rescan     float64 // one person scans twice
	Reconnect  float64 // the connection is lost around the scan
	LostAck    float64 // … at the moment the token arrived
	PKCE       float64 // the token comes as a code; combines with the above
	Duplicates float64 // of pushes: delivered two or three times, some late
	Delays     float64 // of pushes: late
	Reorders   float64 // of pushes: after the next one
}

// DefaultMix has some of everything.
func DefaultMix() Mix {
	return Mix{
		NeverScan: 3, Cancelled: 3, Replaced: 5, Expired: 3, TwoPeople: 10, Rescan: 5, Reconnect: 15, LostAck: 5,
		PKCE: 20, Duplicates: 15, Delays: 10, Reorders: 3,
	}
}

// LoadOptions of [Load]. Zero values are the defaults named.
type LoadOptions struct {
	Target
	Logins      int           // 1000
	Concurrency int           // tabs open at a time, 128
	Rate        float64       // logins started per second, 80; negative: as fast as Concurrency allows
	ThinkTime   time.Duration // at most so long between code and scan
	Timeout     time.Duration // for one login, 60 s
	Mix         *Mix          // DefaultMix
	Seed        uint64        // 1
	Output      io.Writer     // progress; nil: none
}

// load is a run under way.
type load struct {
	opts   LoadOptions
	mix    Mix
	people phones
	http   *http.Client
	keys   keys
	ledger *ledger
	dial   []*dialer
	done   atomic.Int64
}

// Load runs many logins at once and reports what became of them. The error is
// about the run itself; a gateway that fails shows in the report.
func Load(ctx context.Context, opts LoadOptions) (Report, error) {
	l, err := newLoad(ctx, opts)
	if err != nil {
		return Report{}, err
	}
	defer l.http.CloseIdleConnections()
	if err := l.people.setFaults(ctx, l.rules(), l.opts.Seed); err != nil {
		return Report{}, err
	}
	began := time.Now()
	l.run(ctx)
	hits, err := l.people.faultHits(ctx)
	if err == nil {
		err = l.people.setFaults(ctx, []any{}, 0)
	}
	report := l.ledger.report("load", l.opts.Seed, time.Since(began))
	report.Faults = hits
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return report, err
}

func newLoad(ctx context.Context, opts LoadOptions) (*load, error) {
	target, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	opts.Target = target
	defaults(&opts.Logins, 1000)
	defaults(&opts.Concurrency, 128)
	defaults(&opts.Rate, 80) // a gateway takes some 200 pushes a second, and a login with faults causes up to four
	defaults(&opts.Timeout, time.Minute)
	defaults(&opts.Seed, 1)
	l := &load{
		opts: opts, mix: DefaultMix(), ledger: newLedger(),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: opts.Concurrency}},
	}
	if opts.Mix != nil {
		l.mix = *opts.Mix
	}
	l.people = phones{l.http, opts.Simulator}
	if l.keys, err = opts.keys(ctx, l.http); err != nil {
		return nil, err
	}
	l.dial = opts.dialers()
	return l, nil
}

func defaults[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (t Target) withDefaults() (Target, error) {
	if len(t.Gateways) == 0 {
		return t, errors.New("scenario: no gateway to talk to")
	}
	bases := make([]string, len(t.Gateways))
	for i, g := range t.Gateways {
		bases[i] = trimBase(g)
	}
	t.Gateways = bases
	t.Spread = t.Spread && runtime.GOOS == "linux" && !slices.ContainsFunc(bases, isElsewhere)
	defaults(&t.Simulator, bases[0]+"/sim")
	t.Simulator = trimBase(t.Simulator)
	defaults(&t.SocketIOPath, "/socket.io/")
	if !strings.HasSuffix(t.SocketIOPath, "/") {
		t.SocketIOPath += "/"
	}
	return t, nil
}

// isElsewhere tells a gateway that cannot be reached from 127.0.0.0/8.
func isElsewhere(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || ip.To4() == nil || !ip.IsLoopback())
}

// keys are those of all replicas together.
func (t Target) keys(ctx context.Context, h *http.Client) (keys, error) {
	all := keys{}
	for _, g := range t.Gateways {
		k, err := fetchKeys(ctx, h, g)
		if err != nil {
			return nil, err
		}
		for id, key := range k {
			all[id] = key
		}
	}
	return all, nil
}

// spreadOver is how many addresses tabs come from.
const spreadOver = 250

func (t Target) dialers() []*dialer {
	if !t.Spread {
		return []*dialer{newDialer(nil, t.SocketIOPath)}
	}
	all := make([]*dialer, spreadOver)
	for i := range all {
		all[i] = newDialer(net.IPv4(127, 10, byte(i/250), byte(1+i%250)), t.SocketIOPath)
	}
	return all
}

// rule is a fault of the simulator (WECHAT.md §6.8), as its API takes it.
type rule struct {
	Kind        string  `json:"kind"`
	Event       string  `json:"event,omitempty"`
	Person      string  `json:"person,omitempty"`
	API         string  `json:"api,omitempty"`
	Nth         int     `json:"nth,omitempty"`
	Times       int     `json:"times,omitempty"`
	Probability float64 `json:"probability,omitempty"`
	MS          int     `json:"ms,omitempty"`
	Count       int     `json:"count,omitempty"`
	Seconds     int     `json:"seconds,omitempty"`
	Replica     int     `json:"replica,omitempty"`
	Status      int     `json:"status,omitempty"`
	ErrCode     int     `json:"errcode,omitempty"`
}

func (l *load) rules() []rule {
	rules := []rule{}
	add := func(percent float64, r rule) {
		if percent > 0 {
			r.Probability = percent / 100
			rules = append(rules, r)
		}
	}
	add(l.mix.Duplicates/2, rule{Kind: "duplicate", Count: 2})
	add(l.mix.Duplicates/2, rule{Kind: "duplicate", Count: 1, MS: 2500})
	add(l.mix.Delays, rule{Kind: "delay", MS: 800})
	add(l.mix.Reorders, rule{Kind: "reorder"})
	return rules
}

// run starts the logins and waits for them.
func (l *load) run(ctx context.Context) {
	var logins sync.WaitGroup
	defer logins.Wait()
	slots := make(chan struct{}, l.opts.Concurrency)
	var pace <-chan time.Time
	if l.opts.Rate > 0 {
		ticker := time.NewTicker(time.Duration(float64(time.Second) / l.opts.Rate))
		defer ticker.Stop()
		pace = ticker.C
	}
	for i := range l.opts.Logins {
		if pace != nil {
			select {
			case <-pace:
			case <-ctx.Done():
				return
			}
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		logins.Go(func() {
			defer func() { <-slots }()
			l.login(ctx, i)
			l.progress()
		})
	}
}

func (l *load) progress() {
	if n := l.done.Add(1); l.opts.Output != nil && n%1000 == 0 {
		fmt.Fprintf(l.opts.Output, "  %d of %d\n", n, l.opts.Logins)
	}
}

// fate draws what happens to a login from the login's own stream.
func (l *load) fate(r *rand.Rand) string {
	x := r.Float64() * 100
	for _, f := range []struct {
		percent float64
		name    string
	}{
		{l.mix.NeverScan, "never scanned"}, {l.mix.Cancelled, "cancelled"}, {l.mix.Replaced, "replaced"},
		{l.mix.Expired, "expired"}, {l.mix.TwoPeople, "two people"}, {l.mix.Rescan, "scanned twice"},
		{l.mix.Reconnect, "reconnected"}, {l.mix.LostAck, "lost ack"},
	} {
		if x < f.percent {
			return f.name
		}
		x -= f.percent
	}
	return "plain"
}
