package adapter

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

func TestPublisher_Hold_WakesWithTheRelease(t *testing.T) {
	t.Parallel()
	var st counters
	p := newPublisher(redisNodes{}, "x", &st, slog.New(slog.DiscardHandler))
	expect := func(when string, want bool) {
		t.Helper()
		if got := len(p.wakeSignal) > 0; got != want {
			t.Errorf("%s: awake %v", when, got)
		}
		select {
		case <-p.wakeSignal:
		default:
		}
	}
	add := func(onReply func(any, error)) {
		t.Helper()
		if err := p.queueCommand(redisCommand{key: "x", onReply: onReply}); err != nil {
			t.Error(err)
		}
	}
	add(nil)
	expect("without a holder", true)
	first, second := p.hold(), p.hold()
	add(nil)
	expect("held", false)
	add(func(any, error) {})
	expect("a reply may be waited for", true)
	add(nil)
	first()
	expect("one of two has released", true)
	add(nil)
	expect("the other still holds", false)
	second()
	expect("both have released", true)
	add(nil)
	expect("without a holder again", true)
}

// Messages that are written while others are sent have memory of their own.
func TestPublication_Reused_MessagesStayWhole(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 300
	addr, _ := testenv.Redis(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { rdb.Close() })
	s := sockettest.NewServer(t, &socketio.Options{NewAdapter: Redis(rdb, nil)})
	sub := rdb.PSubscribe(t.Context(), "socket.io#/#*")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if i%10 == 0 {
					defer s.Of("/").Adapter().(*Classic).HoldPublishing()()
				}
				if err := s.To(fmt.Sprint("room", w)).Emit("msg", w, i, strings.Repeat(fmt.Sprint(w), i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	defer wg.Wait()
	var next [writers]int
	for range writers * each {
		m, err := sub.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, p, o, err := decodeClassicBroadcast([]byte(m.Payload))
		if err != nil {
			t.Fatal(err)
		}
		var w int
		fmt.Sscanf(m.Channel, "socket.io#/#room%d#", &w)
		want := fmt.Sprintf(`["msg",%d,%d,"%s"]`, w, next[w], strings.Repeat(fmt.Sprint(w), next[w]))
		if string(p.Data) != want || len(o.Rooms) != 1 || o.Rooms[0] != fmt.Sprint("room", w) {
			t.Fatalf("%s: %s for %q, want %s", m.Channel, p.Data, o.Rooms, want)
		}
		next[w]++
	}
}

// A client's hooks, such as those for traces, show commands.
func TestPublication_Command_IsShownByHooks(t *testing.T) {
	t.Parallel()
	m := newPublication()
	m.channel, m.payload = append(m.channel, "room"...), append(m.payload, "hello"...)
	if got := m.command.String(); !strings.HasPrefix(got, "publish room hello") {
		t.Error(got)
	}
}
