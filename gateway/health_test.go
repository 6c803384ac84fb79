package gateway

import (
	"context"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// Kubernetes gives a probe up after a second, by default; a Redis that takes connections
// and answers nothing must not make all replicas not ready at once.
func TestReadyz_RedisHangs_AnswersBeforeAProbeGivesUp(t *testing.T) {
	for name, urls := range map[string][]string{
		"server":   {"redis://127.0.0.1:1"},
		"cluster":  {"redis://127.0.0.1:1", "redis://127.0.0.1:2"},
		"sentinel": {"redis://127.0.0.1:1?master_name=main"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, err := redisOptions(urls, redisFiles{})
				if err != nil {
					t.Fatal(err)
				}
				o.Dialer = func(context.Context, string, string) (net.Conn, error) {
					ours, silent := net.Pipe()
					go func() { _, _ = io.Copy(io.Discard, silent) }()
					return ours, nil
				}
				client := redis.NewUniversalClient(o)
				h := &healthChecks{redisWatch: &redisWatch{client: client}}
				began := time.Now()
				r := h.checkAll(t.Context())
				if took := time.Since(began); took >= time.Second {
					t.Errorf("/readyz answered after %v", took)
				}
				if !r.Ready || r.Status != "degraded" || !slices.Contains(r.Reasons, "redis does not answer") {
					t.Errorf("/readyz: %+v", r)
				}
				time.Sleep(time.Minute) // the client of Sentinels has a lock until its dial gives up
				if err := client.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
