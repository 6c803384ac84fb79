package gateway

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

// healthChecks answers /healthz (the process works) and /readyz (send people here).
// Redis being away makes a replica degraded but keeps it ready: were all replicas
// to leave at once, every socket would drop and nothing would be gained.
type healthChecks struct {
	draining          atomic.Bool
	replicaName       string
	redisWatch        *redisWatch     // nil without Redis
	checkKey          func() error    // nil once tokens can be signed
	accountProblems   func() []string // of the accounts at WeChat; nil: none are known
	namespaceProblems func() []string // of the keys of other issuers; nil: no namespaces
	acmeProblems      func() []string // of the certificates; nil: no ACME
}

// readyPatience bounds how long /readyz waits for Redis: half of the second after which
// Kubernetes, by default, takes a probe for failed. A Redis that hangs would otherwise
// fail the probes of all replicas at once.
const readyPatience = 500 * time.Millisecond

type readiness struct {
	Ready   bool     `json:"ready"`
	Status  string   `json:"status"` // ok, degraded or draining
	Reasons []string `json:"reasons"`
	Replica string   `json:"replica"`
}

func (h *healthChecks) register(e *echo.Echo) {
	e.GET("/healthz", func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-store")
		return c.String(http.StatusOK, "ok\n")
	})
	e.GET("/readyz", func(c echo.Context) error {
		r := h.checkAll(c.Request().Context())
		status := http.StatusOK
		if !r.Ready {
			status = http.StatusServiceUnavailable
		}
		c.Response().Header().Set("Cache-Control", "no-store")
		return c.JSON(status, r)
	})
}

func (h *healthChecks) checkAll(ctx context.Context) readiness {
	r := readiness{Ready: true, Status: "ok", Reasons: []string{}, Replica: h.replicaName}
	if h.redisWatch != nil {
		ctx, cancel := context.WithTimeout(ctx, readyPatience)
		defer cancel()
		found := h.redisWatch.found.Load()
		if err := h.redisWatch.client.Ping(ctx).Err(); err != nil {
			r.Status = "degraded"
			r.Reasons = append(r.Reasons, "redis does not answer")
			if refusal := redisRefusal(err); refusal != nil {
				found = refusal
			}
		}
		if found != nil {
			r.Status = "degraded" // other replicas use the same Redis
			r.Reasons = append(r.Reasons, found.what+" ("+found.seen+"): "+found.fix)
		}
	}
	if h.checkKey != nil && h.checkKey() != nil {
		r.Status = "degraded"
		r.Reasons = append(r.Reasons, "the signing key is not there yet: it is kept in redis; set POSTHOUSE_JWT_KEY_FILE to need none of it")
	}
	for _, listProblems := range []func() []string{h.accountProblems, h.namespaceProblems, h.acmeProblems} {
		if listProblems == nil {
			continue
		}
		if all := listProblems(); len(all) > 0 {
			r.Status = "degraded" // still ready: another replica would say the same
			r.Reasons = append(r.Reasons, all...)
		}
	}
	if h.draining.Load() {
		r.Ready, r.Status = false, "draining"
		r.Reasons = append(r.Reasons, "shutting down")
	}
	return r
}
