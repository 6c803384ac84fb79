package adapter

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
)

// A link changes its subscriptions with the commands of their kinds, also once it runs.
func TestLink_AddAndRemoveWhileRunning_UseTheSubscriptionsKind(t *testing.T) {
	addr, _ := testenv.Redis(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true})
	defer rdb.Close()
	nodes := redisNodes{singleClient: rdb}
	got := make(chan string, 8)
	l := newSubscription(nodes, func(context.Context) (*redis.Client, error) { return rdb, nil }, redisChannel{"probe", toChannel}, time.Minute,
		&counters{}, slog.New(slog.DiscardHandler), func(channel, payload string) { got <- channel + " " + payload })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { // ends with ctx
		defer close(done)
		l.run(ctx)
	}()
	defer func() { cancel(); <-done }()
	<-l.firstTry
	for _, c := range []struct {
		s       redisChannel
		channel string
		publish func(ctx context.Context, channel string, message any) *redis.IntCmd
	}{
		{redisChannel{"one", toChannel}, "one", rdb.Publish},
		{redisChannel{"pat*", toPattern}, "pattern", rdb.Publish},
		{redisChannel{"shard", toShardChannel}, "shard", rdb.SPublish},
	} {
		l.add(c.s)
		testenv.Until(t, 5*time.Second, "a subscriber of "+c.channel, func() bool { return c.publish(ctx, c.channel, "x").Val() == 1 })
		if m := <-got; m != c.channel+" x" {
			t.Errorf("%q was delivered", m)
		}
		l.remove(c.s)
		testenv.Until(t, 5*time.Second, "no subscriber of "+c.channel, func() bool {
			for len(got) > 0 {
				<-got
			}
			return c.publish(ctx, c.channel, "x").Val() == 0
		})
	}
}

// A subscription to one server of a Redis Cluster does not wait for the end of its pause when
// that to another one is made again.
func TestShardedSubscription_OneIsBack_OthersTryAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		links := newShardLinks(redisNodes{}, "probe", time.Second, &counters{}, slog.New(slog.DiscardHandler), nil)
		var attempts atomic.Int64
		l := newSubscription(redisNodes{}, func(context.Context) (*redis.Client, error) {
			attempts.Add(1)
			return nil, errors.New("no server")
		}, redisChannel{"probe", toShardChannel}, time.Second, &counters{}, slog.New(slog.DiscardHandler), nil)
		l.siblings = links
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); l.run(ctx) }()
		time.Sleep(20 * backoffMax) // the pauses are long by now
		synctest.Wait()
		before := attempts.Load()
		links.oneIsBack()
		synctest.Wait()
		if n := attempts.Load() - before; n != 1 {
			t.Errorf("%d attempts in the moment in which another subscription was made", n)
		}
		cancel()
		<-ended
	})
}
