package adapter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio/sockettest"
)

// A node with the log whose heartbeats are late is no publisher without the log: it is still
// subscribed, and what it sends is in the log.
func TestLog_SilentNode_IsNoPublisherWithoutTheLog(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	o := &adapter.ShardedOptions{Log: quickLog, HeartbeatInterval: 200 * time.Millisecond}
	proxy, through := proxied(t, rdb)
	a, b := newGoReplica(t, adapter.ShardedRedis(through, o), withRecovery()), newGoReplica(t, adapter.ShardedRedis(rdb, o), withRecovery())
	knowEachOther(t, a, b)
	c := b.Connect("/", nil)
	offset := offers(t, b, c)
	release := proxy.delay(`"type":"beat"`)
	defer release()
	testenv.Until(t, 10*time.Second, "silence", func() bool { return statsOf(b).Nodes == 0 })
	if n := must(t, b, command{Cmd: "serverCount"}); n != "2" {
		t.Fatalf("redis counts %s nodes", n)
	}
	if !isRecovered(t, rdb, b, c, offset) {
		t.Error("not recovered beside a silent node")
	}
}

// A node with the log that has just started is counted before its name is known.
func TestLog_NodeThatStarts_IsNoPublisherWithoutTheLog(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	b := newGoReplica(t, recoveringAdapters["sharded"](rdb), withRecovery())
	c := b.Connect("/", nil)
	offset := offers(t, b, c)
	proxy, through := proxied(t, rdb)
	release := proxy.delay(`"type":"hello"`)
	defer release()
	newGoReplica(t, recoveringAdapters["sharded"](through), withRecovery())
	testenv.Until(t, 5*time.Second, "the new node", func() bool { return must(t, b, command{Cmd: "serverCount"}) == "2" })
	looks := make(chan struct{}, 1)
	testenv.Monitor(t, rdb.(*redis.Client).Options().Addr, func(line string) {
		if strings.Contains(line, "socket.io#/#") && strings.Contains(strings.ToLower(line), `"pubsub"`) {
			select {
			case looks <- struct{}{}:
			default:
			}
		}
	})
	c.Close()
	kept(t, rdb, c.PID)
	back := make(chan *sockettest.Client, 1)
	go func() {
		client, err := b.TryConnect("/", map[string]any{"pid": c.PID, "offset": offset}, nil)
		if err != nil {
			t.Error(err)
		}
		back <- client
	}()
	<-looks
	release()
	if client := <-back; client != nil && client.ID != c.ID {
		t.Error("not recovered beside a node that has just started")
	}
}
