package history

import (
	"slices"
	"time"
)

// checkFetch judges a list of the sockets of a room.
func (c *checker) checkFetch(o *operation) {
	if o.end.Phase == "" || o.result == Fail {
		return
	}
	listed := map[string]bool{}
	for _, name := range o.end.Names {
		if listed[name] {
			c.fail(RuleFetch, o.until(), "%s listed %s twice in %s", o.Node, name, o.Room)
		}
		listed[name] = true
		if c.sessions[name] == nil && !c.anyFault(o.At-c.rules.Gone, o.until()) && o.until()+c.rules.Gone < c.end {
			c.fail(RuleFetch, o.until(), "%s listed %q in %s, which is no session", o.Node, name, o.Room)
		}
	}
	for _, s := range c.sortedSessions() {
		switch {
		case listed[s.id]:
			if s.stays[0].began > o.until() {
				c.fail(RuleFetch, o.until(), "%s listed %s before it was there", o.Node, s.id)
			} else if s.throughout(o.Room, out, o.At, o.until()) {
				c.fail(RuleFetch, o.until(), "%s listed %s, which is not in %s", o.Node, s.id, o.Room)
			} else if s.gone(o.At, o.until(), c.rules.Gone) && !c.anyFault(o.At-c.rules.Gone, o.until()) {
				c.fail(RuleFetch, o.until(), "%s listed %s in %s, which has long been gone", o.Node, s.id, o.Room)
			}
		case s.connection(o.At, o.until()) != nil && s.throughout(o.Room, in, o.At, o.until()):
			if !c.anyFault(o.At, o.until()) {
				c.fail(RuleFetch, o.until(), "%s did not list %s, which is in %s", o.Node, s.id, o.Room)
			}
		}
	}
}

// checkSide judges a question to the other servers; Reason of its end is empty unless an error was told.
func (c *checker) checkSide(o *operation) {
	if o.end.Phase == "" || o.result == Fail {
		return
	}
	answered := map[string]bool{}
	for _, name := range o.end.Names {
		if answered[name] {
			c.fail(RuleSide, o.until(), "%s answered %s twice", name, o.Node)
		}
		if name == o.Node {
			c.fail(RuleSide, o.until(), "%s answered itself", name)
		}
		answered[name] = true
	}
	if c.anyFault(o.At, o.until()) {
		return
	}
	for _, name := range c.upThroughout(o.At, o.until()) {
		if name != o.Node && !answered[name] {
			c.fail(RuleSide, o.until(), "%s did not answer %s", name, o.Node)
		}
	}
}

// upThroughout returns the nodes that have started before from and were not killed until to.
func (c *checker) upThroughout(from, to time.Duration) (up []string) {
	for _, f := range c.faults {
		if f.Reason != Starting || f.result != OK || f.until() >= from {
			continue
		}
		dead := slices.ContainsFunc(c.faults, func(k *operation) bool { return k.Node == f.Node && k.Reason == Killed && k.At <= to })
		if !dead {
			up = append(up, f.Node)
		}
	}
	return up
}

// KickedReason is the reason of a lost connection that its server ended with a word.
const KickedReason = "io server disconnect"

// kickPatience is how long a socket that its server has ended may wait for the word of it
// (docs/realtime.md §8).
const kickPatience = 5 * time.Second

// firstKick returns when the first of the disconnections began of which a session can have
// heard at a time.
func (c *checker) firstKick(heard time.Duration) time.Duration {
	first := heard
	for _, o := range c.ops {
		if o.Action == Kick && o.At >= heard-kickPatience {
			first = min(first, o.At)
		}
	}
	return first
}

// checkKicks judges disconnections by servers.
func (c *checker) checkKicks() {
	var kicks []*operation
	for _, o := range c.ops {
		if o.Action == Kick {
			kicks = append(kicks, o)
		}
	}
	for _, s := range c.sortedSessions() {
		for _, x := range s.stays {
			if x.reason == KickedReason && !slices.ContainsFunc(kicks, func(o *operation) bool {
				return o.At <= x.lost && !s.throughout(o.Room, out, o.At, x.lost)
			}) {
				c.fail(RuleKick, x.lost, "%s was disconnected by its server without a reason", s.id)
			}
		}
		for _, o := range kicks {
			over := o.until() + c.rules.Settle
			if o.result != OK || over > c.end {
				continue
			}
			stay := s.connection(o.At, over)
			if stay == nil || !s.throughout(o.Room, in, o.At, over) || c.faulty(o.At, over, o.Node, stay.node) {
				continue
			}
			if c.rules.LateJoins && !c.subscribedToCalls(s, o) {
				continue
			}
			c.fail(RuleKick, over, "%s was in %s and was not disconnected", s.id, o.Room)
		}
	}
}

// checkRooms judges what a server told about the rooms of a session.
func (c *checker) checkRooms(s *session) {
	for _, o := range s.reads {
		for room := range s.rooms {
			listed := slices.Contains(o.end.Names, room)
			if listed && s.throughout(room, out, o.At, o.until()) || !listed && s.throughout(room, in, o.At, o.until()) {
				c.fail(RuleIdentity, o.until(), "%s is in the rooms %q at its server: wrong about %s", s.id, o.end.Names, room)
			}
		}
	}
}
