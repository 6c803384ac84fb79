package adapter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// errClient is returned for clients that cannot carry an adapter.
var errClient = errors.New("adapter: need a *redis.Client (single server or Sentinel) or a *redis.ClusterClient")

// redisNodes finds the Redis server that a channel or key lives on. Commands are
// sent to the servers directly, so that order is kept and each subscription is
// known to be where messages go.
type redisNodes struct {
	singleClient  *redis.Client
	clusterClient *redis.ClusterClient
}

func newRedisNodes(rdb redis.UniversalClient) (redisNodes, error) {
	switch c := rdb.(type) {
	case *redis.Client:
		if c != nil {
			return redisNodes{singleClient: c}, nil
		}
	case *redis.ClusterClient:
		if c != nil {
			return redisNodes{clusterClient: c}, nil
		}
	}
	return redisNodes{}, fmt.Errorf("%w, not %T", errClient, rdb)
}

// ownerOf returns the client of the server that owns key.
func (n redisNodes) ownerOf(ctx context.Context, key string) (*redis.Client, error) {
	if n.singleClient != nil {
		return n.singleClient, nil
	}
	return n.clusterClient.MasterForKey(ctx, key)
}

// refreshTopology asks for a new look at the topology after an error. It does not wait.
func (n redisNodes) refreshTopology(ctx context.Context) {
	if n.clusterClient != nil {
		n.clusterClient.ReloadState(ctx)
	}
}

// countSubscribers counts the subscribers of each channel, over all masters.
func (n redisNodes) countSubscribers(ctx context.Context, sharded bool, channels ...string) (map[string]int, error) {
	count := func(ctx context.Context, c *redis.Client) (map[string]int64, error) {
		if sharded {
			return c.PubSubShardNumSub(ctx, channels...).Result()
		}
		return c.PubSubNumSub(ctx, channels...).Result()
	}
	sum := make(map[string]int, len(channels))
	if n.singleClient != nil {
		counts, err := count(ctx, n.singleClient)
		for channel, c := range counts {
			sum[channel] += int(c)
		}
		return sum, err
	}
	var mu sync.Mutex
	err := n.clusterClient.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		counts, err := count(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		for channel, c := range counts {
			sum[channel] += int(c)
		}
		return err
	})
	return sum, err
}

// onServerOf gives a name the hash tag with which it is on the server of another key of a
// cluster.
func onServerOf(key, name string) string {
	tag, found := hashTag(key)
	if !found {
		tag = key
	}
	if own, has := hashTag(name); has && own == tag {
		return name
	}
	return braces.Replace(name) + "{" + tag + "}"
}

var braces = strings.NewReplacer("{", "", "}", "")

// hashTag returns what of a key decides about its slot, if that is not all of it.
func hashTag(key string) (tag string, found bool) {
	_, rest, found := strings.Cut(key, "{")
	tag, _, closed := strings.Cut(rest, "}")
	return tag, found && closed && tag != ""
}
