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
	// proved is when a message last proved that messages arrive; nil where that is not
	// known: another adapter, or no Redis, where reading costs nothing.
	proved func() time.Time

	// remade counts how often a subscription was made again; nil as for proved.
	remade func() uint64

	began   time.Time // the latest round of reads
	read    time.Time // the latest read; a round of very many tickets has several
	suspect bool      // at the last look
	owed    bool      // suspect has changed since the latest round began
	cuts    uint64    // what remade said at the last look
	cut     time.Time // the look that saw it change: older proofs are another subscription's
}

// due reports whether to read now. unread says that the latest round is not through.
func (p *pollPlan) due(unread bool) bool {
	now, suspect := p.now(), true
	if p.proved != nil {
		if p.remade != nil {
			if cuts := p.remade(); cuts != p.cuts {
				p.cuts, p.cut = cuts, now
			}
		}
		proved := p.proved()
		suspect = now.Sub(proved) > proofLate || !proved.After(p.cut)
	}
	p.owed = p.owed || suspect != p.suspect
	p.suspect = suspect
	every, since := pollTrusted, p.began
	if suspect {
		every = pollSuspect
	}
	if unread {
		every, since = pollSuspect, p.read
	}
	// A change is a reason of its own: what was said before messages arrived again is
	// found by no other. It waits for its time after the read before, for a subscription
	// that comes and goes must not make the reads frequent.
	if now.Sub(since) < every && !(p.owed && !unread && now.Sub(p.read) >= pollSuspect/2) {
		return false
	}
	p.read = now
	if !unread {
		p.began, p.owed = now, false
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
		p.proved, p.remade = a.Proved, func() uint64 { return a.Stats().Resubscribed }
	}
	return p
}
