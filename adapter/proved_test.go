package adapter_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
)

// provingAdapters are all ways in which proofs come back.
func provingAdapters() map[string]func(redis.UniversalClient) socketio.NewAdapter {
	classic, sharded, streams := *quickClassic, *quickSharded, *quickStreams
	const every = 50 * time.Millisecond
	classic.ProofInterval, sharded.ProofInterval, streams.ProofInterval = every, every, every
	shardedStreams := streams
	shardedStreams.UseShardedPubSub = true
	return map[string]func(redis.UniversalClient) socketio.NewAdapter{
		"classic":          func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.Redis(rdb, &classic) },
		"sharded":          func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.ShardedRedis(rdb, &sharded) },
		"streams":          func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.RedisStreams(rdb, &streams) },
		"streams, sharded": func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.RedisStreams(rdb, &shardedStreams) },
	}
}

func proved(r *goReplica) time.Time {
	return r.Of("/").Adapter().(interface{ Proved() time.Time }).Proved()
}

// Proofs stop while the subscription alone is cut off, and go on when it was made again.
func TestProved_SilentSubscription_StopsAndGoesOn(t *testing.T) {
	t.Parallel()
	for name, make := range provingAdapters() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			proxy, through := proxied(t, rdb)
			a := newGoReplica(t, make(through), nil)
			began := time.Now()
			testenv.Until(t, 5*time.Second, "a proof", func() bool { return proved(a).After(began) })
			thaw := proxy.freeze("subscribe")
			defer thaw()
			frozen := time.Now() // a proof on its way was published before
			testenv.Until(t, 5*time.Second, "silence to be noticed", func() bool {
				if statsOf(a).Silent == 0 && proved(a).After(frozen) && statsOf(a).Silent == 0 {
					t.Fatal("proved by a subscription that is silent")
				}
				return statsOf(a).Silent > 0
			})
			noticed := time.Now()
			testenv.Until(t, 5*time.Second, "a proof by the new subscription", func() bool { return proved(a).After(noticed) })
		})
	}
}

// Redis may see a probe before the subscription, which take different connections: a
// probe that is sent too early is no reason to give a good subscription up.
func TestProved_SubscriptionIsConfirmedLate_TheFirstProbeWaits(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(redis.UniversalClient) socketio.NewAdapter{
		"classic": func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.Redis(rdb, nil) },
		"sharded": func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.ShardedRedis(rdb, nil) },
		"streams": func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.RedisStreams(rdb, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			proxy, through := proxied(t, rdb)
			release := proxy.delay("subscribe")
			defer release()
			a := newGoReplica(t, make(through), nil) // does not wait long for its subscription
			release()
			testenv.Until(t, 20*time.Second, "a proof", func() bool { return !proved(a).IsZero() })
			if s := statsOf(a); s.Silent != 0 || s.Resubscribed != 0 {
				t.Errorf("%d subscriptions were taken for silent", s.Silent)
			}
		})
	}
}

// In a cluster the proof is that of the server which carries the questions of nodes.
func TestProved_ShardedOnACluster_GoesOn(t *testing.T) {
	t.Parallel()
	cluster, _ := newRedisCluster(t)
	for _, name := range []string{"sharded", "streams, sharded"} {
		a := newGoReplica(t, provingAdapters()[name](cluster), nil)
		for range 3 {
			now := time.Now()
			testenv.Until(t, 5*time.Second, "a proof of "+name, func() bool { return proved(a).After(now) })
		}
	}
}
