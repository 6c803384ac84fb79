package adapter

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio"
)

func TestPeersFallSilentAndComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var said, left []string
		p := newPeers("me", 5*time.Second, func(b []byte) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, string(b))
		}, func(uid string) {
			mu.Lock()
			defer mu.Unlock()
			left = append(left, uid)
		})
		ctx, cancel := context.WithCancel(t.Context())
		go p.run(ctx)
		synctest.Wait()
		gone := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(left)
		}
		heard := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(said)
		}
		if said := heard(); !slices.Equal(said, []string{`{"uid":"me","type":"hello"}`}) {
			t.Errorf("said %q", said)
		}
		p.receiveMessage([]byte(`{"uid":"a","type":"hello"}`))
		p.receiveMessage([]byte(`{"uid":"b","type":"beat"}`))
		if alive, _ := p.nodeNames(); len(alive) != 2 || !p.isGo("a") {
			t.Errorf("alive: %q", alive)
		}
		if said := heard(); len(said) != 3 { // both were new: they get a beat
			t.Errorf("said %q", said)
		}
		time.Sleep(8 * time.Second)
		p.receiveMessage([]byte(`{"uid":"a","type":"beat"}`))
		time.Sleep(8 * time.Second)
		synctest.Wait()
		alive, silent := p.nodeNames()
		if !slices.Equal(alive, []string{"a"}) || !slices.Equal(silent, []string{"b"}) || !slices.Equal(gone(), []string{"b"}) {
			t.Errorf("alive %q, silent %q, left %q", alive, silent, gone())
		}
		p.receiveMessage([]byte(`{"uid":"b","type":"beat"}`))
		p.receiveMessage([]byte(`{"uid":"a","type":"bye"}`))
		alive, silent = p.nodeNames()
		if !slices.Equal(alive, []string{"b"}) || len(silent) != 0 || !slices.Equal(gone(), []string{"b", "a"}) {
			t.Errorf("alive %q, silent %q, left %q", alive, silent, gone())
		}
		cancel()
		synctest.Wait()
	})
}

func TestBackoffGrowsToTwoSecondsWithJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b backoff
		want := []time.Duration{50, 100, 200, 400, 800, 1600, 2000, 2000}
		for _, ms := range want {
			began := time.Now()
			if !b.wait(t.Context()) {
				t.Fatal("ended")
			}
			if d := time.Since(began); d < ms*time.Millisecond/2 || d > ms*time.Millisecond {
				t.Errorf("waited %v, want about %v", d, ms*time.Millisecond)
			}
		}
	})
}

func TestPublisher_FullQueueRefuses(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	rdb := redis.NewClient(&redis.Options{Addr: l.Addr().String(), DialTimeout: time.Second, ReadTimeout: time.Second, MaxRetries: -1})
	defer rdb.Close()
	nodes, err := newRedisNodes(rdb)
	if err != nil {
		t.Fatal(err)
	}
	var st counters
	p := newPublisher(nodes, "x", &st, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	go p.run(ctx)
	payload := make([]byte, 1<<20)
	refused := 0
	for range 200 {
		if err := p.queueCommand(publishCommand("publish", "x", payload)); errors.Is(err, ErrQueueFull) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused < 100 || refused > 140 { // 64 MiB wait, and a batch is on its way
		t.Errorf("%d of 200 refused", refused)
	}
	if n := st.publishRefused.Load(); n != uint64(refused) {
		t.Errorf("counted %d", n)
	}
	cancel()
	<-p.runReturned
	if err := p.queueCommand(publishCommand("publish", "x", nil)); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if n := st.publishFailed.Load(); n != uint64(200-refused) {
		t.Errorf("%d failed", n)
	}
}

func TestAProbeThatIsLateWhileMessagesArriveIsForgivenForATime(t *testing.T) {
	t.Parallel()
	var p probeState
	if p.isSilent() {
		t.Error("before the first probe")
	}
	p.lastSent, p.dueNext = 1, 1
	p.lastReturned.Store(1)
	if p.isSilent() {
		t.Error("although it came back")
	}
	p.lastSent, p.dueNext = 2, 2
	for i := range busyProbes {
		p.sawTraffic.Store(true)
		if got, want := p.isSilent(), i == busyProbes-1; got != want {
			t.Errorf("busy look %d: %v", i, got)
		}
	}
	p = probeState{lastSent: 1, dueNext: 1}
	if !p.isSilent() {
		t.Error("neither probe nor message came")
	}
	p = probeState{lastSent: 2, dueNext: 1}
	p.lastReturned.Store(1)
	if p.isSilent() {
		t.Error("a proof that was sent just now is not overdue")
	}
}

func TestARequestEndsWhenAllAnsweredOrLeft(t *testing.T) {
	t.Parallel()
	ended := func(r *clusterRequest) bool {
		select {
		case <-r.allArrived:
			return true
		default:
			return false
		}
	}
	r := newRequest(opFetchSockets)
	r.takeAnswer("early", func() {})
	r.setExpected(3, []string{"early", "a", "b"})
	r.nodeLeft("b")
	r.nodeLeft("b")
	r.nodeLeft("stranger")
	if ended(r) {
		t.Fatal("a is missing")
	}
	r.takeAnswer("a", func() {})
	if !ended(r) {
		t.Error("all have answered or left")
	}

	r = newRequest(opEmitWithAck)
	r.setExpected(1, nil)
	r.takeAnswer("a", func() { r.clientCount += 2 })
	r.takeAnswer("a", func() { t.Error("twice") })
	r.takeAck(socketio.Value{})
	if ended(r) {
		t.Fatal("a client is missing")
	}
	r.takeAck(socketio.Value{})
	if !ended(r) {
		t.Error("all clients have answered")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r = newRequest(opServerSideEmit)
	r.setExpected(2, []string{"b", "a"})
	var partial *socketio.PartialError
	if err := r.wait(ctx); !errors.As(err, &partial) || !slices.Equal(partial.Missing, []string{"a", "b"}) || partial.Expected != 2 {
		t.Errorf("%+v", err)
	}
}

func TestStreamNamesAreThoseOfTheReference(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		nsp  string
		n    int
		safe bool
		want string
	}{
		{"/", 1, false, "s"}, {"/", 4, false, "s-3"}, {"/login", 4, false, "s-2"},
		{"/notifications", 4, false, "s--3"}, {"/notifications", 4, true, "s-1"}, {"/lobby/eu", 4, false, "s-0"},
	} {
		if got := streamOf("s", tt.n, tt.nsp, tt.safe); got != tt.want {
			t.Errorf("%s of %d: %s, want %s", tt.nsp, tt.n, got, tt.want)
		}
	}
}

func TestEntryIDs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "1", "1-", "-1", "1-1-1", "+1-1", "a-1", " 1-1", "1-99999999999999999999999"} {
		if _, ok := parseEntryID(bad); ok {
			t.Errorf("%q is accepted", bad)
		}
	}
	id, ok := parseEntryID("1795346453668-0")
	if !ok || id.String() != "1795346453668-0" || id.next().String() != "1795346453668-1" || id.compare(id.next()) >= 0 {
		t.Errorf("%v", id)
	}
}
