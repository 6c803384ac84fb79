package history

import (
	"slices"
	"sort"
	"time"
)

func (c *checker) checkOrder(s *session) {
	for key, list := range s.received {
		highest, seen := arrival{}, map[int]bool{}
		for _, a := range list {
			switch {
			case seen[a.seq]:
				c.fail(RuleOnce, a.at, "%s got %s/%s:%d twice", s.id, key.sender, key.room, a.seq)
			case a.seq < highest.seq:
				c.fail(RuleOrder, a.at, "%s got %s/%s:%d after %d", s.id, key.sender, key.room, a.seq, highest.seq)
			}
			seen[a.seq] = true
			if a.seq > highest.seq {
				highest = a
			}
		}
	}
}

func (c *checker) checkSenders(s *session) {
	for key, list := range s.received {
		for _, a := range list {
			if o := c.sent[message{key, a.seq}]; o == nil || o.At > a.at {
				c.fail(RuleSent, a.at, "%s got %s/%s:%d, which was not sent by then", s.id, key.sender, key.room, a.seq)
			}
		}
	}
}

func (c *checker) checkMembership(s *session) {
	for key, list := range s.received {
		for _, a := range list {
			o := c.sent[message{key, a.seq}]
			if o != nil && s.throughout(key.room, out, o.At, a.at) {
				c.fail(RuleMember, a.at, "%s got %s/%s:%d, sent at %v, and was not in the room all the time", s.id, key.sender, key.room, a.seq, o.At)
			}
		}
	}
}

// checkDelivery holds each event against the connection that it had to arrive on: nothing was
// wrong with its two nodes, the socket was in the room, and a later event of the stream
// has arrived, or much time has passed.
func (c *checker) checkDelivery(s *session) {
	for key, sent := range c.streams {
		if s.rooms[key.room] == nil {
			continue
		}
		got := sortedArrivals(s.received[key])
		for _, o := range sent {
			if o.result == Fail || o.result == Info && o.Action == Emit || has(got, o.Seq) {
				continue
			}
			evidence, ok := c.evidence(o, got)
			if !ok {
				continue
			}
			stay := s.connection(o.At, evidence)
			if stay == nil || !s.throughout(key.room, in, o.At, evidence) || c.obstructed(o, stay, evidence) {
				continue
			}
			if c.rules.LateJoins && !s.subscribed(key.room, got, o.At) {
				continue
			}
			c.fail(RuleDelivery, o.At, "%s was in %s, but %s:%d never came, nor by %v", s.id, key.room, key.sender, o.Seq, evidence)
		}
	}
}

// evidence is when an event that has not arrived is known to be lost: with the arrival of a later
// one, or when it is overdue.
func (c *checker) evidence(o *operation, got []arrival) (time.Duration, bool) {
	i := sort.Search(len(got), func(i int) bool { return got[i].seq > o.Seq })
	at, known := o.until()+c.rules.Settle, o.until()+c.rules.Settle <= c.end
	for ; i < len(got); i++ {
		if got[i].at < at || !known {
			at, known = got[i].at, true
		}
	}
	return at, known
}

// obstructed reports whether something was in the way of an event.
func (c *checker) obstructed(o *operation, at *stay, until time.Duration) bool {
	if c.rules.Replays && o.Action == Emit && o.Node != at.node {
		// The node of the receiver may have been cut off: it reads on where it was.
		for _, f := range c.faults {
			if f.Node == at.node && f.Reason == CutOff && f.result == OK {
				continue
			}
			if (f.Node == "" || f.Node == at.node || f.Node == o.Node) && f.At <= until && (f.result != OK || f.until() >= o.At) {
				return true
			}
		}
		return false
	}
	return c.faulty(o.At, until, o.Node, at.node)
}

// subscribed reports whether an event of the stream arrived after the last change of the room and
// before a time.
func (s *session) subscribed(room string, got []arrival, before time.Duration) bool {
	var since time.Duration
	for _, x := range s.rooms[room] {
		if x.at <= before {
			since = x.at
		}
	}
	return slices.ContainsFunc(got, func(a arrival) bool { return a.at > since && a.at < before })
}

// checkRecovery holds what a session got until it was recovered against what was sent to its rooms
// before: an event is missing when another socket has got it by then, when a later one of the
// stream had arrived, or when nothing was in the way of it on its way to Redis.
func (c *checker) checkRecovery(s *session) {
	for _, x := range s.stays {
		if !x.recovered {
			continue
		}
		for key, sent := range c.streams {
			if s.rooms[key.room] == nil {
				continue
			}
			got := sortedArrivals(s.received[key])
			for _, o := range sent {
				if o.Action == Emit && o.result != Fail && o.until() < x.began && o.At >= s.stays[0].since && !has(got, o.Seq) {
					c.checkMissed(s, x, o, got)
				}
			}
		}
	}
}

func (c *checker) checkMissed(s *session, x *stay, o *operation, got []arrival) {
	next := forever
	for _, a := range got {
		if a.seq > o.Seq {
			next = min(next, a.at)
		}
	}
	if !s.throughout(o.Room, in, o.At, min(next, x.since)) {
		return
	}
	switch {
	case next < x.began && (!c.rules.LateJoins || s.subscribed(o.Room, got, o.At)):
	case c.witnessed(o, s, x.began) && next >= x.began:
	case o.result == OK && o.until()+time.Second < x.began && !c.faulty(o.At, x.since, o.Node):
	default:
		return
	}
	c.fail(RuleRecovery, x.since, "%s was recovered at %s without %s/%s:%d, sent at %v", s.id, x.node, o.Sender, o.Room, o.Seq, o.At)
}

// witnessed reports whether another session got an event before a time, by way of Redis: what a
// node delivers to its own sockets while it is cut off has not happened yet for the others.
func (c *checker) witnessed(o *operation, but *session, before time.Duration) bool {
	cutOff := c.faulty(o.At, before, o.Node)
	return slices.ContainsFunc(c.receipts[message{stream{o.Sender, o.Room}, o.Seq}], func(r receipt) bool {
		return r.by != but && r.at < before && (!cutOff || r.node != o.Node)
	})
}

func sortedArrivals(list []arrival) []arrival {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b arrival) int { return a.seq - b.seq })
	return list
}

func has(sorted []arrival, seq int) bool {
	_, found := slices.BinarySearchFunc(sorted, seq, func(a arrival, seq int) int { return a.seq - seq })
	return found
}
