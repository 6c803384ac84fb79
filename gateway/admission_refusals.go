package gateway

import (
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"posthouse/internal/loglimit"
)

// refusals counts what was refused and tells the operator: one line per reason and
// interval, with what was seen and the setting to change. Safe for concurrent use.
type refusals struct {
	counter      *prometheus.CounterVec // by limit
	linesByLimit map[string]*refusalLine
	totals       map[string]*atomic.Uint64 // by limit; for /debug/limits
}

// refusalLine is the line of one reason.
type refusalLine struct {
	loglimit.Limiter
	fixAdvice string
}

// refusalFixes has the reasons that are worth a line. The others are counted only.
var refusalFixes = map[string]string{
	"descriptors":            "raise the limit of open files (ulimit -n, LimitNOFILE=) or add replicas",
	"memory":                 "raise the memory limit of the container or service (or GOMEMLIMIT), or add replicas; POSTHOUSE_LIMIT_MEMORY is the share that new connections stop at",
	"connections":            "raise POSTHOUSE_LIMIT_CONNECTIONS or add replicas",
	"connections_per_ip":     "raise POSTHOUSE_LIMIT_CONNECTIONS_PER_IP; name the address in POSTHOUSE_TRUSTED_PROXIES if it is a proxy",
	"tcp_connections_per_ip": "raise POSTHOUSE_LIMIT_CONNECTIONS_PER_IP, which allows four TCP connections each; name the address in POSTHOUSE_TRUSTED_PROXIES if it is a proxy",
	"handshakes_per_ip":      "raise POSTHOUSE_LIMIT_HANDSHAKES_PER_IP; name the address in POSTHOUSE_TRUSTED_PROXIES if it is a proxy",
	"handshakes_per_node":    "raise POSTHOUSE_LIMIT_HANDSHAKES_PER_NODE or add replicas",
	"exchanges_per_ip":       "raise POSTHOUSE_LIMIT_HANDSHAKES_PER_IP",
	"authorizations_per_ip":  "raise POSTHOUSE_LIMIT_HANDSHAKES_PER_IP; name the address in POSTHOUSE_TRUSTED_PROXIES if it is a proxy",
	"client_secrets_per_ip":  "the application at this address sends a wrong client secret: compare it with the client's secret-file",
	"qrcodes_per_socket":     "raise POSTHOUSE_LIMIT_QRCODES_PER_SOCKET",
	"qrcodes_per_browser":    "raise POSTHOUSE_LIMIT_QRCODES_PER_BROWSER",
	"qrcodes_per_ip":         "raise POSTHOUSE_LIMIT_QRCODES_PER_IP",
	"qr_images_per_ip":       "raise POSTHOUSE_LIMIT_QRCODES_PER_IP, which allows two new images for each code",
	"pprof":                  "ask on loopback, or set POSTHOUSE_PPROF=true",
}

// quietRefusals are the reasons that are counted only.
var quietRefusals = []string{"events", "login_events", "signup_messages", "origin", "failures_per_socket", "failures_per_ip"}

func newRefusals(counter *prometheus.CounterVec) *refusals {
	r := &refusals{counter: counter, linesByLimit: map[string]*refusalLine{}, totals: map[string]*atomic.Uint64{}}
	for _, limit := range quietRefusals {
		r.totals[limit] = new(atomic.Uint64)
	}
	for limit, fix := range refusalFixes {
		r.linesByLimit[limit] = &refusalLine{fixAdvice: fix}
		r.totals[limit] = new(atomic.Uint64)
	}
	return r
}

// countRefusal counts a refusal; seen are attributes of its line.
func (r *refusals) countRefusal(limit string, seen ...any) {
	r.counter.WithLabelValues(limit).Inc()
	if total := r.totals[limit]; total != nil {
		total.Add(1)
	}
	line := r.linesByLimit[limit]
	if line == nil {
		return
	}
	if held, ok := line.Allow(); ok {
		slog.Warn("gateway: refused", append([]any{"reason", limit, "fix", line.fixAdvice, "not_logged", held}, seen...)...)
	}
}

// refusedBy is how many requests and events a limit has refused.
func (r *refusals) refusedBy(limit string) uint64 {
	if total := r.totals[limit]; total != nil {
		return total.Load()
	}
	return 0
}
