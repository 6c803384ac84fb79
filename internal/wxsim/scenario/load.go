package scenario

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

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

	// Accounts are the gateway's accounts that logins are spread over; none: the
	// first. An account of codes to type is one of them.
	Accounts []Account
	// Confirm tells that the gateway asks for the number on the page before every
	// login: a token without that is then a failure.
	Confirm bool
	// Outages tells that replicas, or the store, are killed while the run lasts. A
	// push may then meet a broken connection before it is answered, and the answers
	// of one in a hundred may take longer than a second; none longer than 4.5 s.
	Outages bool
}

// Account is one of the gateway's accounts.
type Account struct {
	Name  string // as the gateway's configuration calls it
	AppID string // as the simulator knows it
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
	if err := l.people.setFaults(ctx, l.mix.rules(), l.opts.Seed); err != nil {
		return Report{}, err
	}
	if err := l.people.resetStats(ctx); err != nil {
		return Report{}, err
	}
	began := time.Now()
	l.run(ctx)
	report := l.ledger.report("load", l.opts.Seed, time.Since(began))
	if report.Faults, err = l.people.faultHits(ctx); err != nil {
		return report, err
	}
	if report.Callback, err = l.people.stats(ctx); err != nil {
		return report, err
	}
	report.judge(l.opts.Outages)
	return report, l.people.setFaults(ctx, []any{}, 0)
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
