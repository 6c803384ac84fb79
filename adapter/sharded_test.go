package adapter_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
)

// roomsSubscribed waits until some node is subscribed to the channels of rooms.
func roomsSubscribed(t *testing.T, rdb redis.UniversalClient, mode adapter.SubscriptionMode) func(rooms ...string) {
	return func(rooms ...string) {
		t.Helper()
		if mode == adapter.Static {
			return
		}
		for _, room := range rooms {
			channel := "socket.io#/#" + room + "#"
			testenv.Until(t, 5*time.Second, "subscription of "+room, func() bool {
				c, ok := rdb.(*redis.Client)
				if cluster, is := rdb.(*redis.ClusterClient); is {
					var err error
					if c, err = cluster.MasterForKey(context.Background(), channel); err != nil {
						return false
					}
				} else if !ok {
					t.Fatalf("%T", rdb)
				}
				counts, err := c.PubSubShardNumSub(context.Background(), channel).Result()
				return err == nil && counts[channel] == 1
			})
		}
	}
}

var modes = []adapter.SubscriptionMode{adapter.Dynamic, adapter.Static, adapter.DynamicPrivate}

func TestShardedBetweenGoReplicas(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			o := &adapter.ShardedOptions{SubscriptionMode: mode}
			a := newGoReplica(t, adapter.ShardedRedis(rdb, o), nil)
			b := newGoReplica(t, adapter.ShardedRedis(rdb, o), nil)
			operations(t, "sharded", a, b, roomsSubscribed(t, rdb, mode))
		})
	}
}

func TestShardedFromGoToNode(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			rdb, where := newRedis(t)
			node := newNodeReplica(t, nodeConfig{Kind: "sharded", Where: where, Opts: map[string]any{"subscriptionMode": mode}})
			a := newGoReplica(t, adapter.ShardedRedis(rdb, &adapter.ShardedOptions{SubscriptionMode: mode}), nil)
			operations(t, "sharded", a, node, roomsSubscribed(t, rdb, mode))
		})
	}
}

func TestShardedFromNodeToGo(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			rdb, where := newRedis(t)
			node := newNodeReplica(t, nodeConfig{Kind: "sharded", Where: where, Opts: map[string]any{"subscriptionMode": mode}})
			b := newGoReplica(t, adapter.ShardedRedis(rdb, &adapter.ShardedOptions{SubscriptionMode: mode}), nil)
			operations(t, "sharded", node, b, roomsSubscribed(t, rdb, mode))
		})
	}
}
