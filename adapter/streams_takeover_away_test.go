package adapter_test

import (
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// The answers of the other nodes cannot arrive while the subscription of this node is
// being made again: a client that comes back then is recovered when it is there.
func TestStreams_TakeoverWithoutOwnSubscription_IsAskedWhenItIsBack(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"streams", "streams, sharded"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			proxy, through := proxied(t, rdb)
			slow, slowly := proxied(t, rdb)
			a := newGoReplica(t, answeringAdapters[kind](slowly), withRecovery())
			b := newGoReplica(t, answeringAdapters[kind](through), withRecovery())
			knowEachOther(t, a, b)
			c := a.Connect("/", nil)
			lost := statsOf(b).Resubscribed
			proxy.refuseConns("subscribe")
			testenv.Until(t, 5*time.Second, "the subscription to be lost", func() bool { return statsOf(b).Resubscribed > lost })
			// The other node keeps the session when the client has waited for longer than the
			// answers may take.
			release := slow.delay("sio:session:")
			defer release()
			wait := time.AfterFunc(800*time.Millisecond, func() {
				proxy.refuseConns("")
				release()
			})
			defer wait.Stop()
			if back := b.Connect("/", map[string]any{"pid": c.PID}); back.ID != c.ID {
				t.Error("a fresh session")
			}
		})
	}
}

// Redis does not count a node whose subscription is being made again.
func TestServerCount_WithoutOwnSubscription_CountsTheNodeItself(t *testing.T) {
	t.Parallel()
	for name, make := range answeringAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			proxy, through := proxied(t, rdb)
			a, b := newGoReplica(t, make(rdb), nil), newGoReplica(t, make(through), nil)
			knowEachOther(t, a, b)
			lost := statsOf(b).Resubscribed
			proxy.refuseConns("subscribe")
			testenv.Until(t, 5*time.Second, "the subscription to be lost", func() bool { return statsOf(b).Resubscribed > lost })
			testenv.Until(t, 5*time.Second, "Redis to notice", func() bool { return must(t, a, command{Cmd: "serverCount"}) == "1" })
			if got := must(t, b, command{Cmd: "serverCount"}); got != "2" {
				t.Errorf("%s nodes", got)
			}
		})
	}
}
