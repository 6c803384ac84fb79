package adapter_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
)

// A node that lost its subscription asks the others only when their answers can
// reach it: a request that goes out earlier runs into its timeout.
func TestRequests_WithoutOwnSubscription_AreAskedWhenItIsBack(t *testing.T) {
	t.Parallel()
	for name, make := range answeringAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			proxy, through := proxied(t, rdb)
			a, b := newGoReplica(t, make(rdb), nil), newGoReplica(t, make(through), nil)
			arrives(t, 5*time.Second, a, b)
			arrives(t, 5*time.Second, b, a)
			c := a.connect(t, "/")
			type request struct {
				command
				got string
			}
			requests := []request{
				{command{Cmd: "serverSideEmitWithAck", NSP: "/", Args: []any{"hi"}}, `["hello from go"]`},
				{command{Cmd: "fetchSockets", NSP: "/", To: []string{c.id()}}, c.id()},
				{command{Cmd: "emitWithAck", NSP: "/", To: []string{c.id()}, Args: []any{"ask", 1}}, `["answer of 1"]`},
			}
			if name == "classic" {
				requests = append(requests, request{command{Cmd: "remoteDisconnect", NSP: "/", SID: c.id()}, "null"})
			}
			for _, tt := range requests {
				lost := statsOf(b).Resubscribed
				proxy.refuseConns("subscribe")
				testenv.Until(t, 5*time.Second, "the subscription to be lost", func() bool { return statsOf(b).Resubscribed > lost })
				type result struct {
					got string
					err error
				}
				done := newChannel[result]()
				before := statsOf(b)
				go func() { // ends with the request
					// The pauses between attempts to subscribe grow from request to request, up to 2 s.
					ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
					defer cancel()
					got, err := b.doUntil(ctx, tt.command)
					done <- result{got, err}
				}()
				testenv.Until(t, 5*time.Second, "the request to be made", func() bool { return statsOf(b).Requests > before.Requests })
				proxy.refuseConns("")
				testenv.Until(t, 30*time.Second, "the request to be sent, or to fail", func() bool { return statsOf(b).Published > before.Published || len(done) > 0 })
				if tt.Cmd == "emitWithAck" && len(done) == 0 {
					c.answer(t)
				}
				if r := <-done; r.err != nil || !strings.Contains(r.got, tt.got) {
					t.Errorf("%s: %s, %v", tt.Cmd, r.got, r.err)
				}
			}
		})
	}
}

// newChannel is for functions in which make is another word.
func newChannel[T any]() chan T { return make(chan T, 1) }

// answeringAdapters are all ways in which answers come back.
var answeringAdapters = map[string]func(redis.UniversalClient) socketio.NewAdapter{
	"classic": quickAdapters["classic"],
	"sharded": quickAdapters["sharded"],
	"streams": quickAdapters["streams"],
	"streams, sharded": func(rdb redis.UniversalClient) socketio.NewAdapter {
		o := *quickStreams
		o.UseShardedPubSub = true
		return adapter.RedisStreams(rdb, &o)
	},
}
