package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"posthouse/internal/sleep"

	"posthouse/internal/testenv"
)

// kills is how often a replica is killed under pushes; POSTHOUSE_TEST_FULL asks for
// the long run.
func kills() int {
	if os.Getenv("POSTHOUSE_TEST_FULL") != "" {
		return 20
	}
	return 4
}

// Every shipped balancer brings every push to a replica that lives, however often one
// is killed, and in which order.
func TestWebhook_ReplicasKilledInTurn_NoPushIsLost(t *testing.T) {
	for _, conf := range []string{"nginx.conf", "nginx-sidmap.conf", "haproxy.cfg", "haproxy-sidmap.cfg"} {
		t.Run(conf, func(t *testing.T) {
			c := start(t, nil, nil, []string{"POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32"})
			balancer := c.balancer(t, conf)
			sim := "http://127.0.0.1:" + strconv.Itoa(testenv.FreePort(t))
			testenv.Start(t, nil, testenv.Binary(t, "."), "wxsim", "--port", strings.TrimPrefix(sim, "http://127.0.0.1:"),
				"--callback", balancer+"/callback/wechat").Ready(t, sim+"/sim/log")
			pushes, again, lost := c.pushWhile(t, sim, func(ctx context.Context) {
				for i := range kills() {
					c.Replicas[i%3].Kill()
					if sleep.For(ctx, 500*time.Millisecond) != nil {
						return
					}
					c.StartReplica(t, i%3)
				}
			})
			t.Logf("%d pushes through %d kills: %d delivered again, %d lost", pushes, kills(), again, lost)
			if pushes == 0 || lost > 0 {
				t.Fail()
			}
		})
	}
}

// pushWhile lets ten people write to the account until during is over, and counts the
// pushes, those that WeChat had to deliver again, and those that were never accepted.
func (c *cluster) pushWhile(t *testing.T, sim string, during func(context.Context)) (pushes, again, lost int64) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all, repeated, never atomic.Int64
	var people sync.WaitGroup
	for person := range 10 {
		people.Go(func() {
			for sleep.For(ctx, 100*time.Millisecond) == nil {
				text := fmt.Sprintf(`{"person":"p%d","text":"你好"}`, person)
				// Not ctx: a push under way is followed to its end.
				resp, err := http.Post(sim+"/sim/text", "application/json", strings.NewReader(text))
				if err != nil {
					t.Error(err)
					return
				}
				var out struct {
					Deliveries []struct {
						Attempt int
						Verdict string
					}
				}
				err = json.NewDecoder(resp.Body).Decode(&out)
				resp.Body.Close()
				all.Add(1)
				if err != nil || len(out.Deliveries) == 0 {
					never.Add(1)
					continue
				}
				last := out.Deliveries[len(out.Deliveries)-1]
				if last.Attempt > 1 {
					repeated.Add(1)
				}
				if last.Verdict != "success" {
					never.Add(1)
					t.Logf("lost: %+v", out.Deliveries)
				}
			}
		})
	}
	during(ctx)
	stop()
	people.Wait()
	return all.Load(), repeated.Load(), never.Load()
}
