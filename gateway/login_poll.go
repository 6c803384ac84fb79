package gateway

import "time"

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

	began   time.Time // the latest round of reads
	read    time.Time // the latest read; a round of very many tickets has several
	suspect bool      // at the last look
}

// due reports whether to read now. unread says that the latest round is not through.
func (p *pollPlan) due(unread bool) bool {
	now, suspect := p.now(), true
	if p.proved != nil {
		suspect = now.Sub(p.proved()) > proofLate
	}
	changed := suspect != p.suspect
	p.suspect = suspect
	every, since := pollTrusted, p.began
	if suspect {
		every = pollSuspect
	}
	if unread {
		every, since = pollSuspect, p.read
	}
	// A change is a reason of its own, but not twice a second: a subscription that
	// comes and goes must not make the reads frequent.
	if now.Sub(since) < every && !(changed && now.Sub(p.read) >= pollSuspect/2) {
		return false
	}
	p.read = now
	if !unread {
		p.began = now
	}
	return true
}

// proved is how the namespace's adapter tells when messages last arrived, nil when it
// does not.
func (n *loginNamespace) proved() func() time.Time {
	if a, ok := n.namespace.Adapter().(interface{ Proved() time.Time }); ok {
		return a.Proved
	}
	return nil
}
