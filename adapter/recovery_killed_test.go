package adapter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// A mortalReplica can be cut off from Redis for good: to the rest of the cluster that
// is a kill.
type mortalReplica struct {
	*goReplica
	proxy *faultProxy
}

func newMortalReplica(t *testing.T, rdb redis.UniversalClient, make func(redis.UniversalClient) socketio.NewAdapter) *mortalReplica {
	t.Helper()
	proxy, through := proxied(t, rdb)
	return &mortalReplica{newGoReplica(t, make(through), withRecovery()), proxy}
}

// kill ends every connection to Redis, the later ones as well.
func (r *mortalReplica) kill() { r.proxy.refuseConns("*") }

// currentSessions returns the sessions of connected sockets that Redis holds, by socket id.
func currentSessions(t *testing.T, rdb redis.UniversalClient) map[string]socketio.RecoverableSession {
	t.Helper()
	found := map[string]socketio.RecoverableSession{}
	for _, uid := range rdb.SMembers(t.Context(), "sio:session:live#/#").Val() {
		for field, text := range rdb.HGetAll(t.Context(), "sio:session:live#/#"+uid+"#").Val() {
			if field == "node" {
				continue // it is in every hash
			}
			var s socketio.RecoverableSession
			if err := json.Unmarshal([]byte(text), &s); err != nil {
				t.Fatal(err)
			}
			if s.PID != "" {
				t.Error("the private id of a session is in Redis")
			}
			found[s.SID] = s
		}
	}
	return found
}

// isCurrent waits until Redis holds the session of c with so many rooms and this data.
func isCurrent(t *testing.T, rdb redis.UniversalClient, c *sockettest.Client, rooms int, data string) {
	t.Helper()
	testenv.Until(t, 5*time.Second, "the session in redis", func() bool {
		s, ok := currentSessions(t, rdb)[c.ID]
		return ok && len(s.Rooms) == rooms && string(s.Data) == data
	})
}

func TestRecovery_ReplicaKilled_ClientRecoversOnAnother(t *testing.T) {
	t.Parallel()
	for _, received := range []bool{true, false} {
		rdb, _ := newRedis(t)
		streams := func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.RedisStreams(rdb, quickStreams) }
		a := newMortalReplica(t, rdb, streams)
		b := newGoReplica(t, streams(rdb), withRecovery())
		knowEachOther(t, a.goReplica, b)
		c := a.Connect("/", nil)
		must(t, a, command{Cmd: "join", SID: c.ID, Rooms: []string{"room1"}})
		must(t, a, command{Cmd: "data", SID: c.ID, Data: map[string]any{"user": "bob"}})
		isCurrent(t, rdb, c, 2, `{"user":"bob"}`)
		auth := map[string]any{"pid": c.PID}
		if received {
			must(t, a, command{Cmd: "emit", Args: []any{"first"}})
			auth["offset"] = lastArg(t, c.Expect("first"))
		}
		a.kill()
		must(t, b, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"missed", 1}})
		must(t, b, command{Cmd: "emit", Except: []string{"room1"}, Args: []any{"missed", "not"}})
		must(t, b, command{Cmd: "emit", To: []string{c.ID}, Args: []any{"missed", 2}})

		back := b.Connect("/", auth)
		if back.ID != c.ID || back.PID != c.PID {
			t.Fatalf("a new session, received %t", received)
		}
		for _, want := range []string{"1", "2"} {
			if got := back.Expect("missed").Args.JSON(0); got != want {
				t.Errorf("missed %s, want %s", got, want)
			}
		}
		if got := must(t, b, command{Cmd: "fetchSockets", Local: true, To: []string{"room1"}}); !strings.Contains(got, `"data":{"user":"bob"}`) {
			t.Errorf("sockets: %s", got)
		}
		back.Quiet()
		// The session is used up where it was, and is current on the new node.
		isCurrent(t, rdb, back, 2, `{"user":"bob"}`)
		if again := b.Connect("/", map[string]any{"pid": c.PID + "x"}); again.ID == c.ID {
			t.Error("a foreign id was recovered")
		}
	}
}

// Redis forgets the session of a client that has left.
func TestRecovery_CurrentSessions_EndWithTheirSockets(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	a := newGoReplica(t, adapter.RedisStreams(rdb, quickStreams), withRecovery())
	stays, leaves, lost := a.Connect("/", nil), a.Connect("/", nil), a.Connect("/", nil)
	for _, c := range []*sockettest.Client{stays, leaves, lost} {
		isCurrent(t, rdb, c, 1, "{}")
	}
	must(t, a, command{Cmd: "join", SID: stays.ID, Rooms: []string{"room1", "room2"}})
	isCurrent(t, rdb, stays, 3, "{}")
	must(t, a, command{Cmd: "socketsLeave", Rooms: []string{"room1"}})
	isCurrent(t, rdb, stays, 2, "{}")
	leaves.Disconnect()
	lost.Close()
	kept(t, rdb, lost.PID)
	testenv.Until(t, 5*time.Second, "one session", func() bool { return len(currentSessions(t, rdb)) == 1 })
	isCurrent(t, rdb, stays, 2, "{}")
}

// A Redis that lost everything gets the sessions of connected sockets again.
func TestRecovery_CurrentSessions_AreWrittenAgainAfterTheyWereLost(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	o := withRecovery()
	o.Recovery.MaxDisconnection = time.Second
	a := newGoReplica(t, adapter.RedisStreams(rdb, quickStreams), o)
	c := a.Connect("/", nil)
	isCurrent(t, rdb, c, 1, "{}")
	if err := rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	isCurrent(t, rdb, c, 1, "{}")
}

// Changes of sessions that come together share their commands.
func TestRecovery_CurrentSessions_ChangesShareTheirCommands(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			a := newGoReplica(t, make(rdb), withRecovery())
			var clients []*sockettest.Client
			for range 20 {
				clients = append(clients, a.Connect("/", nil))
			}
			isCurrent(t, rdb, clients[19], 1, "{}")
			if err := rdb.ConfigResetStat(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			pace := time.NewTicker(10 * time.Millisecond) // changes that come for longer than one write waits
			defer pace.Stop()
			changes := 0
			for range 120 {
				<-pace.C
				for _, c := range clients {
					must(t, a, command{Cmd: "data", SID: c.ID, Data: map[string]any{"n": changes}})
				}
				changes++
			}
			for _, c := range clients {
				isCurrent(t, rdb, c, 1, fmt.Sprintf(`{"n":%d}`, changes-1))
			}
			halves := int(time.Since(began)/(500*time.Millisecond)) + 2
			var writes int
			_, _ = fmt.Sscanf(rdb.InfoMap(t.Context(), "commandstats").Val()["Commandstats"]["cmdstat_hset"], "calls=%d", &writes)
			if writes == 0 || writes > halves {
				t.Errorf("%d HSET for %d changes in %d half seconds", writes, changes*len(clients), halves)
			}
		})
	}
}
