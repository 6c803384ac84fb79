package adapter_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
	"posthouse/socketio/sockettest"
)

// A write of a node that was cut off may reach Redis when another node goes on with the
// session. Its text is not the session: when that node dies as well, the client is recovered with the
// rooms of now, or not at all.
func TestRecovery_LateWriteOfAReplicaCutOff_IsNoSession(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			a, b := newMortalReplica(t, rdb, make), newMortalReplica(t, rdb, make)
			d := newGoReplica(t, make(rdb), withRecovery())
			knowEachOther(t, a.goReplica, b.goReplica, d)
			offers(t, b.goReplica, b.Connect("/", nil))
			c := a.Connect("/", nil)
			offset := offers(t, a.goReplica, c)
			isCurrent(t, rdb, c, 1, "{}")
			hash, field, text := currentField(t, rdb, c)

			a.kill()
			back := b.Connect("/", map[string]any{"pid": c.PID, "offset": offset})
			if back.ID != c.ID {
				t.Fatal("a new session")
			}
			must(t, b, command{Cmd: "join", SID: c.ID, Rooms: []string{"room1"}})
			isCurrent(t, rdb, c, 2, "{}")
			if err := rdb.HSet(t.Context(), hash, field, text).Err(); err != nil { // the late write
				t.Fatal(err)
			}
			b.kill()
			if again := d.Connect("/", map[string]any{"pid": c.PID, "offset": offset}); again.ID == c.ID && !d.Socket(c.ID).InRoom("room1") {
				t.Error("recovered with the rooms of before the cut")
			}
		})
	}
}

// setHook tells of each SET when the client has made its last attempt.
type setHook struct {
	redis.Hook
	over chan struct{}
}

func (h setHook) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h setHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (h setHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() == "set" {
			h.over <- struct{}{}
		}
		return err
	}
}

// A session is written once when its socket ends, also when no reply comes: a repetition could
// come behind the node that took the session, and would be found when that one dies.
func TestRecovery_NoReply_SessionIsKeptOnce(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	proxy, through := proxied(t, rdb)
	hook := setHook{over: make(chan struct{}, 100)}
	through.AddHook(hook)
	a := newGoReplica(t, recoveringAdapters["streams"](through), withRecovery())
	c := a.Connect("/", nil)
	isCurrent(t, rdb, c, 1, "{}")
	release := proxy.delay(strings.ToLower("sio:session:" + c.PID))
	defer release()
	c.Close()
	<-hook.over
	if n := proxy.heldConns(); n != 1 {
		t.Errorf("the session was sent %d times", n)
	}
}

// currentField returns the hash and the field in which Redis holds the session of c, and what
// is there.
func currentField(t *testing.T, rdb redis.UniversalClient, c *sockettest.Client) (hash, field, text string) {
	t.Helper()
	const nodes = "sio:session:live#/#"
	for _, uid := range rdb.SMembers(t.Context(), nodes).Val() {
		for field, text := range rdb.HGetAll(t.Context(), nodes+uid+"#").Val() {
			if strings.Contains(text, c.ID) {
				return nodes + uid + "#", field, text
			}
		}
	}
	t.Fatal("the session is not in redis")
	return "", "", ""
}

// A node that is killed right after it wrote its first session leaves it where others look.
func TestRecovery_FirstSessionOfAReplica_IsFoundAtOnce(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	proxy, through := proxied(t, rdb)
	release := proxy.delay("sio:session:live#/#\r\n") // the set of the nodes, not a hash
	defer release()
	a := newGoReplica(t, recoveringAdapters["streams"](through), withRecovery())
	c := a.Connect("/", nil)
	testenv.Until(t, 10*time.Second, "the name of the node on its way", func() bool { return proxy.heldConns() > 0 })
	if hashes := rdb.Keys(t.Context(), "sio:session:live#/#?*").Val(); len(hashes) > 0 {
		t.Errorf("%q is there, and no other node finds it", hashes)
	}
	release()
	isCurrent(t, rdb, c, 1, "{}")
}
