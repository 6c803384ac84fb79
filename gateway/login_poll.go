package gateway

import (
	"time"

	"posthouse/adapter"
)

// How often a replica reads the tickets that its sockets wait for. A message between
// replicas says when there is news, so reading is for messages that got lost. While the
// subscription proves that messages arrive, a read of all tickets is rare. As soon as a
// proof is late it is done every second, and at once (docs/reliability.md §3 row F6).
const (
	pollTick    = 250 * time.Millisecond // between looks at the plan
	pollSuspect = time.Second            // between reads while messages may get lost
	pollTrusted = 6 * time.Second        // between reads while messages arrive
	// proofEvery is between proofs; one that is proofLate makes the subscription suspect.
	proofEvery = 500 * time.Millisecond
	proofLate  = proofEvery + 250*time.Millisecond
)

// pollPlan decides when the tickets are read. It belongs to one goroutine.
type pollPlan struct {
	now func() time.Time
	// lastProof is when a message last proved that messages arrive; nil where that is not
	// known: another adapter, or no Redis, where reading costs nothing.
	lastProof func() time.Time

	// subscriptionsMade counts how often a subscription was made again; nil as for lastProof.
	subscriptionsMade func() uint64

	roundBegan time.Time // the latest round of reads
	lastRead   time.Time // the latest read; a round of very many tickets has several
	wasSuspect bool      // at the last look
	roundOwed  bool      // wasSuspect has changed since the latest round began
	seenRemade uint64    // what subscriptionsMade said at the last look
	cutAt      time.Time // the look that saw it change: older proofs are another subscription's
}

// readDue reports whether to read now. unread says that the latest round is not through.
func (p *pollPlan) readDue(unread bool) bool {
	now, suspect := p.now(), true
	if p.lastProof != nil {
		if p.subscriptionsMade != nil {
			if cuts := p.subscriptionsMade(); cuts != p.seenRemade {
				p.seenRemade, p.cutAt = cuts, now
			}
		}
		proved := p.lastProof()
		suspect = now.Sub(proved) > proofLate || !proved.After(p.cutAt)
	}
	p.roundOwed = p.roundOwed || suspect != p.wasSuspect
	p.wasSuspect = suspect
	every, since := pollTrusted, p.roundBegan
	if suspect {
		every = pollSuspect
	}
	if unread {
		every, since = pollSuspect, p.lastRead
	}
	// A change is a reason of its own: what was said before messages arrived again is
	// found by no other. It waits for its time after the read before, for a subscription
	// that comes and goes must not make the reads frequent.
	if now.Sub(since) < every && !(p.roundOwed && !unread && now.Sub(p.lastRead) >= pollSuspect/2) {
		return false
	}
	p.lastRead = now
	if !unread {
		p.roundBegan, p.roundOwed = now, false
	}
	return true
}

// pollPlan makes the plan for the namespace's adapter.
func (n *loginNamespace) pollPlan() *pollPlan {
	p := &pollPlan{now: time.Now}
	type proving interface {
		Proved() time.Time
		Stats() adapter.Stats
	}
	if a, ok := n.namespace.Adapter().(proving); ok {
		p.lastProof, p.subscriptionsMade = a.Proved, func() uint64 { return a.Stats().Resubscribed }
	}
	return p
}
