package adapter_test

import (
	"errors"
	"testing"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio"
)

// An event with acknowledgements whose publication is late finds its client where that is by
// then: the client has not got it at the replica that it has left.
func TestRecovery_EmitWithAck_PublishedLate_ReachesAClientThatMovedOnce(t *testing.T) {
	t.Parallel()
	for name, newAdapter := range recoveringAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			proxy, through := proxied(t, rdb)
			a, b := newGoReplica(t, newAdapter(through), withRecovery()), newGoReplica(t, newAdapter(rdb), withRecovery())
			knowEachOther(t, a, b)
			offers(t, b, b.Connect("/", nil))
			c := a.Connect("/", nil)
			offset := offers(t, a, c)
			isCurrent(t, rdb, c, 1, "{}")

			release := proxy.delay("the call")
			defer release()
			type result struct {
				acks []socketio.Args
				err  error
			}
			answered := make(chan result, 1)
			go func() {
				acks, err := a.Of("/").To(c.ID).EmitWithAck(t.Context(), "the call")
				answered <- result{acks, err}
			}()
			testenv.Until(t, 5*time.Second, "the publication", func() bool { return proxy.heldConns() > 0 })
			c.Quiet()
			c.Close()
			back := b.Connect("/", map[string]any{"pid": c.PID, "offset": offset})
			if back.ID != c.ID {
				t.Fatal("a new session")
			}
			release()
			back.Expect("the call").Ack("here")
			back.Quiet()
			if got := <-answered; got.err != nil || len(got.acks) != 1 || got.acks[0].String() != `["here"]` {
				t.Errorf("acknowledgements: %v %v", got.acks, got.err)
			}
		})
	}
}

// While Redis does not answer, an event with acknowledgements waits; when its time is over it is
// an error, and the sockets of the replica get the event with the others.
func TestRecovery_EmitWithAck_TimeIsOverFirst_EventComesAfterwards(t *testing.T) {
	t.Parallel()
	for name, newAdapter := range recoveringAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			proxy, through := proxied(t, rdb)
			a, b := newGoReplica(t, newAdapter(through), withRecovery()), newGoReplica(t, newAdapter(rdb), withRecovery())
			knowEachOther(t, a, b)
			onA, onB := a.Connect("/", nil), b.Connect("/", nil)
			release := proxy.delay("the call")
			defer release()
			acks, err := a.Of("/").To(onA.ID, onB.ID).Timeout(300*time.Millisecond).EmitWithAck(t.Context(), "the call")
			var partial *socketio.PartialError
			if len(acks) != 0 || !errors.As(err, &partial) || partial.Expected != 2 {
				t.Errorf("%v %v", acks, err)
			}
			release()
			onA.Expect("the call")
			onB.Expect("the call")
		})
	}
}
