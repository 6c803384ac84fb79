package history_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/internal/interop/history"
	"posthouse/internal/testenv"
)

var (
	duration = flag.Duration("duration", 6*time.Second, "how long clients and faults go on, for each adapter")
	seed     = flag.Uint64("seed", 0, "repeats a run; 0 takes a new one")
	keep     = flag.String("history", "", "a directory for the histories")
)

func TestMain(m *testing.M) {
	if config := os.Getenv(nodeVariable); config != "" {
		fmt.Fprintln(os.Stderr, runNode(config))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// setup is a cluster to try.
type setup struct {
	name     string
	adapter  string
	recovery bool
	cluster  bool
}

var setups = []setup{
	{"classic", "classic", false, false},
	{"classic with log", "classic", true, false},
	{"sharded on a cluster", "sharded", false, true},
	{"sharded with log", "sharded", true, false},
	{"streams", "streams", true, false},
	{"streams on a cluster", "streams", true, true},
}

func (s setup) rules() history.Rules {
	return history.Rules{
		Replays:   s.adapter == "streams",
		LateJoins: s.adapter == "sharded" && !s.recovery,
		Settle:    settle,
		Gone:      pingInterval + pingTimeout + 5*time.Second, // and the heartbeats of a busy machine
		Stale:     3 * time.Second,
	}
}

const (
	settle  = 15 * time.Second
	slots   = 3
	clients = 6
)

// The histories of clients whose nodes are killed and cut off hold against the rules of
// docs/reliability.md §5.
func TestHistory(t *testing.T) {
	testenv.Need(t, "redis-server", "redis-cli")
	for _, s := range setups {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			number := *seed
			if number == 0 {
				number = uint64(time.Now().UnixNano())
			}
			t.Logf("seed %d", number)
			entries := runCluster(t, s, number)
			if *keep != "" || t.Failed() {
				save(t, s, entries)
			}
			broken := history.Check(entries, s.rules())
			for i, v := range broken {
				if i == 20 {
					t.Errorf("and %d more", len(broken)-i)
					break
				}
				t.Error(v)
			}
			if len(broken) > 0 && *keep == "" {
				save(t, s, entries)
			}
			t.Log(summary(entries))
		})
	}
}

func save(t *testing.T, s setup, entries []history.Entry) {
	dir := *keep
	if dir == "" {
		dir = os.TempDir()
	}
	f, err := os.Create(filepath.Join(dir, "history-"+strings.ReplaceAll(s.name, " ", "-")+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := history.Write(f, entries); err != nil {
		t.Fatal(err)
	}
	t.Logf("the history is in %s", f.Name())
}

func runCluster(t *testing.T, s setup, number uint64) []history.Entry {
	r := &run{t: t, setup: s, log: &recorder{begin: time.Now()}, random: rand.New(rand.NewPCG(number, 1))}
	r.redis = startRedis(t, s.cluster)
	for slot := range slots {
		r.start(slot)
	}
	for _, n := range r.living() {
		r.together(n.started)
	}
	var actors []*actor
	for i := range clients {
		a, err := newActor(r, i)
		if err != nil {
			t.Fatal(err)
		}
		defer a.close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err = a.socket.Connect(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		actors = append(actors, a)
	}
	stopActors, stopSenders := make(chan struct{}), make(chan struct{})
	var acting, sending sync.WaitGroup
	for _, a := range actors {
		acting.Go(func() { a.act(stopActors) })
	}
	for slot := range slots {
		x, y := &sender{run: r, slot: slot, random: r.newRandom()}, &sender{run: r, slot: slot, random: r.newRandom()}
		sending.Go(func() { x.send(stopSenders) })
		sending.Go(func() { y.ask(stopSenders) })
	}
	r.trouble(r.newRandom(), time.Now().Add(*duration))
	close(stopActors)
	acting.Wait()
	close(stopSenders)
	sending.Wait()
	since := time.Since(r.log.begin)
	// Each sender's last event shows what of the others was lost.
	for slot := range slots {
		x := &sender{run: r, slot: slot, random: r.newRandom(), tag: "last"}
		for room := range rooms {
			x.emit(fmt.Sprint("room", room))
		}
	}
	limit := time.Now().Add(settle)
	rules := s.rules()
	rules.Settle = 0 // nothing may be missing any more
	testenv.Until(t, settle+time.Minute, "the last events", func() bool {
		return time.Now().After(limit) || !missing(history.Check(r.log.snapshot(), rules), since)
	})
	if time.Now().After(limit) {
		r.log.add(history.Entry{Phase: history.Note, Action: history.End})
	}
	return r.log.snapshot()
}

// missing reports whether an event is missing that was sent since.
func missing(broken []history.Violation, since time.Duration) bool {
	for _, v := range broken {
		if v.Rule == history.RuleDelivery && v.At >= since {
			return true
		}
	}
	return false
}

func summary(entries []history.Entry) string {
	count := map[history.Action]int{}
	recovered, fresh := 0, 0
	for _, e := range entries {
		if e.Phase == history.OK || e.Phase == history.Note {
			count[e.Action]++
		}
		switch {
		case e.Action == history.Connect && e.Phase == history.OK && e.Recovered:
			recovered++
		case e.Action == history.Connect && e.Phase == history.OK:
			fresh++
		case e.Action == history.Fault && e.Phase == history.Invoke:
			count[history.Action(e.Reason)]++
		}
	}
	return fmt.Sprintf("%d entries, %d recovered, %d new sessions, %v", len(entries), recovered, fresh, count)
}
