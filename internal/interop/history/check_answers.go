package history

import (
	"slices"
	"strconv"
	"strings"
)

// NotReached is in the Reason of a question that ended before its time because the others were
// not reached, which is true only while something is wrong with its node.
const NotReached = "not reached"

// checkCall judges an event with acknowledgements: which sessions answered, and when a lack of
// answers is a fault.
func (c *checker) checkCall(o *operation) {
	if o.result == Info && o.end.Phase == "" || o.result == Fail {
		return // its node died: nothing is known
	}
	key := stream{o.Sender, o.Room}
	answered := map[string]bool{}
	for _, name := range o.end.Names {
		if answered[name] {
			c.fail(RuleAnswers, o.until(), "%s answered %s/%s:%d twice", name, o.Sender, o.Room, o.Seq)
		}
		answered[name] = true
		s := c.sessions[name]
		switch {
		case s == nil:
			c.fail(RuleAnswers, o.until(), "%q answered %s/%s:%d and is no session", name, o.Sender, o.Room, o.Seq)
		case !slices.ContainsFunc(s.received[key], func(a arrival) bool { return a.seq == o.Seq && a.at <= o.until() }):
			c.fail(RuleAnswers, o.until(), "%s answered %s/%s:%d before it got it", name, o.Sender, o.Room, o.Seq)
		}
	}
	unreached := strings.Contains(o.end.Reason, NotReached) && c.faulty(o.At, o.until(), o.Node)
	if o.result == Info && o.until()-o.At < o.Limit && !unreached {
		c.fail(RuleTimeout, o.until(), "%s/%s:%d timed out after %v, not %v", o.Sender, o.Room, o.Seq, o.until()-o.At, o.Limit)
	}
	for _, s := range c.sortedSessions() {
		stay := s.connection(o.At, o.until())
		if stay == nil || answered[s.id] || !s.throughout(o.Room, in, o.At, o.until()) || c.faulty(o.At, o.until(), o.Node, stay.node) {
			continue
		}
		if c.rules.LateJoins && !c.subscribedToCalls(s, o) {
			continue
		}
		c.fail(RuleAnswers, o.until(), "%s was in %s and did not answer %s:%d", s.id, o.Room, o.Sender, o.Seq)
	}
}

// subscribedToCalls reports whether an event of the same node reached the room of the session before.
func (c *checker) subscribedToCalls(s *session, o *operation) bool {
	for key, list := range s.received {
		if key.room != o.Room || len(c.streams[key]) == 0 || c.streams[key][0].Node != o.Node {
			continue
		}
		if s.subscribed(o.Room, list, o.At) {
			return true
		}
	}
	return false
}

// checkInbound judges what a session asked its server: each answer is that of its question, and the
// server handled the questions in their order and none twice.
func (c *checker) checkInbound(s *session) {
	for i, o := range s.asks {
		if o.result != OK {
			continue
		}
		if len(o.end.Names) != 1 || o.end.Names[0] != strconv.Itoa(o.Seq) {
			c.fail(RuleInbound, o.until(), "%s asked %d and got the answer of %q", s.id, o.Seq, o.end.Names)
		}
		if o.end.Seen >= o.Seq {
			c.fail(RuleInbound, o.until(), "the server of %s handled %d after %d", s.id, o.Seq, o.end.Seen)
		}
		// A question that was answered earlier on the same connection was handled earlier.
		if i > 0 {
			before := s.asks[i-1]
			if before.result == OK && before.until() < o.At && s.connection(before.At, o.until()) != nil && o.end.Seen < before.Seq {
				c.fail(RuleInbound, o.until(), "the server of %s handled %d after %d and forgot %d", s.id, o.Seq, o.end.Seen, before.Seq)
			}
		}
	}
}
