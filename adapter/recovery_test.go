package adapter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

func withRecovery() *socketio.Options {
	return &socketio.Options{Recovery: &socketio.Recovery{}}
}

// lastArg is the offset that recovery appends to an event.
func lastArg(t *testing.T, m *sockettest.Message) string {
	t.Helper()
	var list []any
	if err := json.Unmarshal([]byte(m.Args.String()), &list); err != nil || len(list) == 0 {
		t.Fatalf("arguments %s", m.Args)
	}
	s, ok := list[len(list)-1].(string)
	if !ok {
		t.Fatalf("no offset in %s", m.Args)
	}
	return s
}

// kept waits until the session is in Redis.
func kept(t *testing.T, rdb redis.UniversalClient, pid string) {
	t.Helper()
	testenv.Until(t, 5*time.Second, "session", func() bool {
		return rdb.Exists(context.Background(), "sio:session:"+pid).Val() == 1
	})
}

func TestRecovery_ClientRecoversOnAnotherReplica(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	a := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
	b := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
	c := a.Connect("/", nil)
	must(t, a, command{Cmd: "join", SID: c.ID, Rooms: []string{"room1"}})
	must(t, a, command{Cmd: "data", SID: c.ID, Data: map[string]any{"user": "bob"}})

	// Own and foreign events come with offsets that grow.
	must(t, a, command{Cmd: "emit", Args: []any{"own", 1}})
	must(t, a, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"own", 2}})
	offset1 := lastArg(t, c.Expect("own"))
	offset2 := lastArg(t, c.Expect("own"))
	if !(offset1 < offset2) {
		t.Errorf("offsets %s and %s", offset1, offset2)
	}
	must(t, b, command{Cmd: "emit", Args: []any{"foreign"}})
	offset := lastArg(t, c.Expect("foreign"))
	must(t, a, command{Cmd: "unicast", SID: c.ID, Args: []any{"unicast"}})
	offset = max(offset, lastArg(t, c.Expect("unicast")))

	c.Close()
	kept(t, rdb, c.PID)
	must(t, b, command{Cmd: "emit", Args: []any{"missed", 1, bin(7)}})
	must(t, a, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"missed", 2}})
	must(t, a, command{Cmd: "emit", To: []string{"elsewhere"}, Args: []any{"missed", "not"}})
	must(t, a, command{Cmd: "emit", Except: []string{"room1"}, Args: []any{"missed", "not"}})
	must(t, a, command{Cmd: "emit", Volatile: true, Args: []any{"missed", "not"}})
	must(t, b, command{Cmd: "emit", To: []string{c.ID}, Args: []any{"missed", 3}})

	back := b.Connect("/", map[string]any{"pid": c.PID, "offset": offset})
	if back.ID != c.ID || back.PID != c.PID {
		t.Fatalf("a new session: %s %s", back.ID, back.PID)
	}
	for _, want := range []string{`1,{"$bin":"07"}`, `2`, `3`} {
		m := back.Expect("missed")
		if got := mark(m.Args.String(), m.Args.Attachments); got[:len(want)+2] != "["+want+"," {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	must(t, a, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"live"}})
	back.Expect("live")
	back.Quiet()
	if got := must(t, a, command{Cmd: "fetchSockets", To: []string{"room1"}}); len(got) < 10 || !json.Valid([]byte(got)) {
		t.Errorf("sockets: %s", got)
	}

	// The session was used up: after a goodbye nothing comes back.
	back.Disconnect()
	testenv.Until(t, 5*time.Second, "the socket's end", func() bool { return !b.LocalAdapter().HasSocket(c.ID) })
	c2 := a.Connect("/", map[string]any{"pid": c.PID, "offset": offset})
	if c2.ID == c.ID {
		t.Error("recovered after the client had left")
	}
}

func TestRecovery_ClientMovesBetweenGoAndNode(t *testing.T) {
	t.Parallel()
	rdb, where := newRedis(t)
	goNode := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
	node := newNodeReplica(t, nodeConfig{Kind: "streams", Where: where, Server: map[string]any{"connectionStateRecovery": map[string]any{}}})
	testenv.Until(t, 5*time.Second, "cluster", func() bool { return must(t, goNode, command{Cmd: "serverCount"}) == "2" })

	c := goNode.Connect("/", nil)
	must(t, goNode, command{Cmd: "emit", Args: []any{"first"}})
	offset := lastArg(t, c.Expect("first"))
	c.Close()
	kept(t, rdb, c.PID)
	must(t, goNode, command{Cmd: "emit", Args: []any{"missed", 1}})
	var onNode struct {
		Client   int
		SID, PID string
	}
	answer := must(t, node, command{Cmd: "connect", Auth: map[string]any{"pid": c.PID, "offset": offset}})
	if err := json.Unmarshal([]byte(answer), &onNode); err != nil {
		t.Fatal(err)
	}
	if onNode.SID != c.ID {
		t.Fatalf("Node made a new session: %s", answer)
	}
	next := &nodeClient{r: node, Client: onNode.Client}
	if got := next.next(t); got[:len(`missed[1,"`)] != `missed[1,"` {
		t.Errorf("got %s", got)
	}
	must(t, node, command{Cmd: "emit", Args: []any{"second"}})
	next.next(t)
	var last string
	if err := json.Unmarshal([]byte(must(t, node, command{Cmd: "drop", Client: onNode.Client})), &last); err != nil {
		t.Fatal(err)
	}
	kept(t, rdb, c.PID)
	must(t, node, command{Cmd: "emit", Args: []any{"missed", 2}})
	back := goNode.Connect("/", map[string]any{"pid": c.PID, "offset": last})
	if back.ID != c.ID {
		t.Fatalf("Go made a new session: %s", back.ID)
	}
	back.Expect("missed")
}

func TestRecovery_TrimmedOffsetIsNotRecovered(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	a := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
	c := a.Connect("/", nil)
	must(t, a, command{Cmd: "emit", Args: []any{"first"}})
	offset := lastArg(t, c.Expect("first"))
	c.Close()
	kept(t, rdb, c.PID)
	for i := range 10 {
		must(t, a, command{Cmd: "emit", Args: []any{"missed", i}})
	}
	if err := rdb.XTrimMaxLen(t.Context(), "socket.io", 5).Err(); err != nil {
		t.Fatal(err)
	}
	if back := a.Connect("/", map[string]any{"pid": c.PID, "offset": offset}); back.ID == c.ID {
		t.Error("recovered with a gap")
	}
}

func TestRecovery_SessionThatMissedTooMuchIsNotRecovered(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	a := newGoReplica(t, adapter.RedisStreams(rdb, &adapter.StreamsOptions{MaxLen: 1 << 20}), withRecovery())
	c := a.Connect("/", nil)
	must(t, a, command{Cmd: "emit", Args: []any{"first"}})
	offset := lastArg(t, c.Expect("first"))
	c.Close()
	kept(t, rdb, c.PID)
	for range 101 { // one more than restoreRounds × restoreCount entries
		pipe := rdb.Pipeline()
		for range 1000 {
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", Values: []any{"uid", "x", "nsp", "/other", "type", "3"}})
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if back := a.Connect("/", map[string]any{"pid": c.PID, "offset": offset}); back.ID == c.ID {
		t.Error("recovered although it did not read to the end")
	}
}

func TestStreams_EventsOfTwoReplicasHaveOneOrderAndNoGap(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	a := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
	b := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
	c := a.Connect("/", nil)
	const each = 200
	errs := make(chan error, 4)
	for n, r := range []*goReplica{a, b, a, b} {
		go func() {
			for i := range each {
				if err := r.To().Emit("n", n, i); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	// The client comes and goes between the replicas while they emit.
	var seen [4]int
	before := ""
	replicas := []*goReplica{a, b}
	for count := 0; count < 4*each; count++ {
		m := c.Expect("n")
		var n, i int
		if err := m.Args.Bind(0, &n); err != nil {
			t.Fatal(err)
		}
		if err := m.Args.Bind(1, &i); err != nil {
			t.Fatal(err)
		}
		offset := lastArg(t, m)
		if i != seen[n] {
			t.Fatalf("sender %d: got %d, want %d (after offset %s)", n, i, seen[n], before)
		}
		seen[n]++
		if before != "" && !less(before, offset) {
			t.Fatalf("offset %s after %s", offset, before)
		}
		before = offset
		if count%100 == 50 {
			c.Close()
			kept(t, rdb, c.PID)
			next := replicas[count/100%2]
			back := next.Connect("/", map[string]any{"pid": c.PID, "offset": before})
			if back.ID != c.ID {
				t.Fatalf("not recovered at %s", before)
			}
			c = back
		}
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// less compares offsets as Redis does.
func less(a, b string) bool {
	var m1, s1, m2, s2 uint64
	_, _ = fmt.Sscanf(a, "%d-%d", &m1, &s1)
	_, _ = fmt.Sscanf(b, "%d-%d", &m2, &s2)
	return m1 < m2 || m1 == m2 && s1 < s2
}
