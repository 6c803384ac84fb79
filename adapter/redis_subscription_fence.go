package adapter

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// fenceAgain is after how long a word is published again: the channel may not have been
// subscribed the first time.
const fenceAgain = 200 * time.Millisecond

// fence returns nil when every message has been handled that was published before, to the
// channels of this subscription. It publishes a word to itself by way of each server on
// which messages may have been published, and waits for all of them.
func (l *subscription) fence(ctx context.Context) error {
	publish := func(ctx context.Context, c *redis.Client) error {
		word := "fence " + hexID()
		back := make(chan struct{})
		l.mu.Lock()
		if l.openFences == nil {
			l.openFences = make(map[string]chan struct{})
		}
		l.openFences[word] = back
		l.mu.Unlock()
		defer func() {
			l.mu.Lock()
			delete(l.openFences, word)
			l.mu.Unlock()
		}()
		again := time.NewTicker(fenceAgain)
		defer again.Stop()
		for {
			var err error
			if l.probeChannel.kind == toShardChannel {
				err = c.SPublish(ctx, l.probeChannel.name, word).Err()
			} else {
				err = c.Publish(ctx, l.probeChannel.name, word).Err()
			}
			if err != nil {
				return err
			}
			select {
			case <-back:
				return nil
			case <-again.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	if l.probeChannel.kind != toShardChannel && l.redisNodes.clusterClient != nil {
		return l.redisNodes.clusterClient.ForEachMaster(ctx, publish)
	}
	owner, err := l.redisNodes.ownerOf(ctx, l.probeChannel.name)
	if err != nil {
		return err
	}
	return publish(ctx, owner)
}

// fenceReturned takes a word that came back.
func (l *subscription) fenceReturned(word string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if back := l.openFences[word]; back != nil {
		delete(l.openFences, word)
		close(back)
	}
}

// fence is that of all subscriptions.
func (s *shardedSubscription) fence(ctx context.Context) error {
	s.mu.Lock()
	shards := s.runningShards
	s.mu.Unlock()
	for _, l := range shards {
		if err := l.subscription.fence(ctx); err != nil {
			return err
		}
	}
	return nil
}
