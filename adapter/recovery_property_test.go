package adapter_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// recoveryTrial is a cluster under trouble, whose senders number what they send to one
// room, and clients of that room that come and go.
type recoveryTrial struct {
	t        *testing.T
	rdb      redis.UniversalClient
	make     func(redis.UniversalClient) socketio.NewAdapter
	random   *rand.Rand
	replicas []*numberedReplica
	node     *nodeReplica
	nodeSent int
	made     int
	senders  sync.WaitGroup

	recovered, fresh int
	trace            []string
}

// numberedReplica sends ["n", name, 0], ["n", name, 1], … to the room of all.
type numberedReplica struct {
	*mortalReplica
	name string
	dead atomic.Bool
}

// roamer is a client, and what it got in its present session: the next number of each
// sender.
type roamer struct {
	client *sockettest.Client
	at     *numberedReplica
	offset string
	next   map[string]int
	seen   []string
	broken string // what is wrong with it
}

func (r *recoveryTrial) newReplica() *numberedReplica {
	r.made++
	n := &numberedReplica{mortalReplica: newMortalReplica(r.t, r.rdb, r.make), name: fmt.Sprintf("go%d", r.made)}
	n.OnConnection(func(s *socketio.Socket) {
		_ = s.Join("room")
		s.On("sync", func(*socketio.Event) { _ = s.EmitAck("marker", func(socketio.Args, error) {}) })
		// Whatever was missed has been sent by now.
		_ = s.EmitAck("marker", func(socketio.Args, error) {})
	})
	r.senders.Go(func() {
		pace := time.NewTicker(3 * time.Millisecond)
		defer pace.Stop()
		for i := 0; !n.dead.Load(); i++ {
			<-pace.C
			_ = n.To("room").Emit("n", n.name, i) // what fails is lost for others: they must learn of it
		}
	})
	return n
}

// read takes events up to the next marker.
func (r *recoveryTrial) read(c *roamer) {
	r.t.Helper()
	for {
		m := c.client.Next()
		if m.Name == "marker" {
			return
		}
		var list []json.RawMessage
		var name string
		var i int
		if err := json.Unmarshal([]byte(m.Args.String()), &list); err != nil || len(list) < 2 ||
			json.Unmarshal(list[0], &name) != nil || json.Unmarshal(list[1], &i) != nil {
			r.t.Fatalf("event %s%s", m.Name, m.Args)
		}
		offset := ""
		if len(list) > 2 {
			_ = json.Unmarshal(list[2], &offset)
			if offset != "-" && strings.Contains(c.offset, "-") && c.offset != "-" && !less(c.offset, offset) {
				r.t.Errorf("offset %s after %s", offset, c.offset)
			}
			c.offset = offset
		}
		if c.seen = append(c.seen, fmt.Sprintf("%s:%d@%s", name, i, offset)); len(c.seen) > 4000 {
			c.seen = c.seen[2000:]
		}
		if want, known := c.next[name]; known && i != want && c.broken == "" {
			// With a gap or a repeat it must not be recovered any more.
			c.broken = fmt.Sprintf("got %s:%d@%s, want %d, on %s, after %v", name, i, offset, want, c.at.name, c.seen[max(0, len(c.seen)-30):])
		}
		c.next[name] = i + 1
	}
}

// comeBack connects the client again, to any replica.
func (r *recoveryTrial) comeBack(c *roamer) {
	r.t.Helper()
	at := r.replicas[r.random.IntN(len(r.replicas))]
	auth := map[string]any{"pid": c.client.PID}
	if c.offset != "" {
		auth["offset"] = c.offset
	}
	before := c.client
	c.client, c.at = at.Connect("/", auth), at
	if c.client.ID != before.ID {
		r.fresh++
		c.offset, c.next, c.seen, c.broken = "", map[string]int{}, nil, ""
		r.read(c)
		return
	}
	r.recovered++
	r.read(c)
	if c.broken != "" {
		r.t.Fatalf("recovered on %s although: %s\nthis came to pass: %v", at.name, c.broken, r.trace)
	}
}

// A recovered client got exactly the events of its room, in order, without a gap or a
// repeat: while nodes die, connections to Redis are cut, the log is trimmed, and Node
// nodes that write no log send as well.
func TestRecovery_RecoveredMeansNothingMissed(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			rdb, where := newRedis(t)
			r := &recoveryTrial{t: t, rdb: rdb, make: make, random: rand.New(rand.NewPCG(seed, 1))}
			kind, opts := name, map[string]any(nil)
			if name == "sharded, static" {
				kind, opts = "sharded", map[string]any{"subscriptionMode": "static"}
			}
			if name != "sharded" { // there its presence alone ends all recovery
				server := map[string]any{}
				if name == "streams" {
					server["connectionStateRecovery"] = map[string]any{}
				}
				r.node = newNodeReplica(t, nodeConfig{Kind: kind, Where: where, Opts: opts, Server: server})
			}
			defer r.senders.Wait()
			defer func() {
				for _, n := range r.replicas {
					n.dead.Store(true)
				}
			}()
			for range 3 {
				r.replicas = append(r.replicas, r.newReplica())
			}
			testenv.Until(t, 10*time.Second, "cluster", func() bool {
				return must(t, r.replicas[0], command{Cmd: "serverCount"}) >= "3"
			})
			var roamers []*roamer
			for i := range 4 {
				c := &roamer{at: r.replicas[i%3], next: map[string]int{}}
				c.client = c.at.Connect("/", nil)
				r.read(c)
				roamers = append(roamers, c)
			}
			for range 120 {
				r.step(roamers)
			}
			t.Logf("%d recovered, %d fresh", r.recovered, r.fresh)
			if r.recovered == 0 || r.fresh == 0 {
				t.Errorf("%d recovered, %d fresh: the trial shows nothing", r.recovered, r.fresh)
			}
		})
	}
}

func (r *recoveryTrial) step(roamers []*roamer) {
	r.t.Helper()
	victim := r.random.IntN(len(r.replicas))
	happens := func(what string) {
		r.trace = append(r.trace, fmt.Sprintf("%s %s@%d", what, r.replicas[victim].name, time.Now().UnixMilli()))
	}
	switch n := r.random.IntN(100); {
	case n < 3: // killed: another takes its place
		happens("kill")
		dead := r.replicas[victim]
		dead.kill()
		dead.dead.Store(true)
		r.replicas[victim] = r.newReplica()
	case n < 8:
		happens("cut subscription")
		r.replicas[victim].proxy.cut("subscribe")
	case n < 12:
		happens("cut reader")
		r.replicas[victim].proxy.cut("xread")
	case n < 16:
		happens("cut")
		r.replicas[victim].proxy.cut("")
	case n < 19:
		for _, stream := range []string{"socket.io", "socket.io-log"} {
			if err := r.rdb.XTrimMaxLen(r.t.Context(), stream, 30).Err(); err != nil {
				r.t.Fatal(err)
			}
		}
	case n < 30 && r.node != nil:
		must(r.t, r.node, command{Cmd: "emit", To: []string{"room"}, Args: []any{"n", "node", r.nodeSent}})
		r.nodeSent++
	}
	c := roamers[r.random.IntN(len(roamers))]
	if !c.at.dead.Load() {
		if r.random.IntN(2) == 0 { // has read everything, or not
			c.client.Emit("sync")
			r.read(c)
		}
		if r.random.IntN(3) > 0 { // else the old connection is half open
			c.client.Close()
		}
	}
	r.comeBack(c)
}
