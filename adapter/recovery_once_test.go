package adapter

import (
	"fmt"
	"testing"

	"posthouse/socketio/parser"
)

// A broadcast of this node comes by the reader, has its reply from Redis, and is waited for
// no longer: in any order. The node's sockets get it once, and nothing is kept of it.
func TestRecovery_OwnBroadcast_IsDeliveredOnceInEveryOrder(t *testing.T) {
	t.Parallel()
	const count = 3 // of broadcasts that look the same
	steps := map[string]func(a *recoveryLog, b *ownBroadcast, id entryID) (delivered int){
		"entry": func(a *recoveryLog, b *ownBroadcast, id entryID) int {
			if a.takeOwn(id, b.message) {
				return 1
			}
			return 0
		},
		"reply": func(a *recoveryLog, b *ownBroadcast, id entryID) int {
			a.entryAdded(b, id.String(), nil)
			return 0
		},
		"patience": func(a *recoveryLog, b *ownBroadcast, _ entryID) int {
			if a.giveUp(b) {
				return 1
			}
			return 0
		},
	}
	orders := 0
	// done counts how many broadcasts have taken each step: Redis and the reader keep the
	// order of a node's broadcasts, and those wait equally long.
	var walk func(done map[string]int, order []string)
	walk = func(done map[string]int, order []string) {
		whole := true
		for _, name := range []string{"entry", "reply", "patience"} {
			if done[name] < count {
				whole = false
				done[name]++
				walk(done, append(order[:len(order):len(order)], name))
				done[name]--
			}
		}
		if !whole {
			return
		}
		orders++
		a := &recoveryLog{ownBroadcasts: map[entryID]*ownBroadcast{}, earlyEntries: map[entryID]earlyEntry{}, abandonedBroadcasts: map[*ownBroadcast]struct{}{}}
		var list []*ownBroadcast
		for range count {
			m := &clusterMessage{packet: &parser.Packet{Data: []byte(`["same"]`)}}
			list = append(list, &ownBroadcast{message: m, number: uint64(len(list)), settled: make(chan struct{})})
		}
		next, delivered := map[string]int{}, 0
		for _, name := range order {
			i := next[name]
			next[name]++
			delivered += steps[name](a, list[i], entryID{uint64(i + 1), 0})
		}
		if delivered != count {
			t.Errorf("%d of %d delivered: %v", delivered, count, order)
		}
		if left := fmt.Sprint(len(a.ownBroadcasts), len(a.earlyEntries), len(a.abandonedBroadcasts)); left != "0 0 0" {
			t.Errorf("own, early and abandoned broadcasts that are left: %s: %v", left, order)
		}
	}
	walk(map[string]int{}, nil)
	if orders != 1680 { // 9!/(3!·3!·3!)
		t.Fatalf("%d orders", orders)
	}
}
