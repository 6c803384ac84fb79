package history

import (
	"fmt"
	"slices"
	"time"
)

// Rules are what the cluster under test promises.
type Rules struct {
	// Replays says that a node that was cut off from Redis reads what it missed.
	Replays bool
	// LateJoins says that a join is complete for events of other nodes only once the first of
	// them has arrived: the node subscribes to a room after its first socket joined.
	LateJoins bool
	// Settle is how long after its emit an event must have arrived when nothing is wrong.
	Settle time.Duration
	// Gone is how long after its connection was lost a socket may still be listed.
	Gone time.Duration
	// Stale is how old the rooms may be that a session has when its node was killed.
	Stale time.Duration
}

// Violation is a rule that the history breaks.
type Violation struct {
	Rule string
	At   time.Duration
	Text string
}

func (v Violation) String() string { return fmt.Sprintf("%s at %v: %s", v.Rule, v.At, v.Text) }

// The names of the rules.
const (
	RuleOrder     = "order"     // events of one sender to one room arrive in the order in which they were sent
	RuleOnce      = "once"      // no session gets an event twice
	RuleMember    = "member"    // an event arrives only at sockets that may have been in its room
	RuleSent      = "sent"      // only what was sent arrives
	RuleDelivery  = "delivery"  // an event that nothing was in the way of arrives
	RuleRecovery  = "recovery"  // a recovered session has missed nothing
	RuleIdentity  = "identity"  // recovered means the session and the rooms of before, not recovered a new one
	RuleAnswers   = "answers"   // each acknowledgement once, from members, and from all of them unless something failed
	RuleTimeout   = "timeout"   // no timeout before its time
	RuleInbound   = "inbound"   // a server handles the events of a socket once, in order, and answers each with its answer
	RuleFetch     = "fetch"     // a list of sockets has those that are certainly there and none that is certainly not
	RuleSide      = "side"      // other servers answer once each, and all of them unless something failed
	RuleKick      = "kick"      // sockets are disconnected when the server was told so, and only then
	RuleHeal      = "heal"      // after a fault the cluster comes together again
	RuleCompleted = "completed" // an operation ends once, and what ended was begun
)

// AllRules lists the names of the rules.
var AllRules = []string{RuleOrder, RuleOnce, RuleMember, RuleSent, RuleDelivery, RuleRecovery, RuleIdentity, RuleAnswers,
	RuleTimeout, RuleInbound, RuleFetch, RuleSide, RuleKick, RuleHeal, RuleCompleted}

// checker is a history that has been read.
type checker struct {
	rules    Rules
	end      time.Duration
	ops      []*operation
	sent     map[message]*operation
	streams  map[stream][]*operation // what each sender sent to each room, in its order
	sessions map[string]*session
	faults   []*operation
	receipts map[message][]receipt
	broken   []Violation
}

// stream is what one sender sends to one room, message one event of it.
type stream struct{ sender, room string }

type message struct {
	stream
	seq int
}

// receipt is the arrival of an event at one of the sessions.
type receipt struct {
	by   *session
	at   time.Duration
	node string
}

// operation is an invocation and how it ended; an operation without an end ended at the
// end of the history as Info.
type operation struct {
	Entry
	end    Entry
	result Phase
}

func (o *operation) until() time.Duration { return o.end.At }

// Check returns what is wrong with a history, in the order of time.
func Check(entries []Entry, rules Rules) []Violation {
	c := &checker{rules: rules, sent: map[message]*operation{}, streams: map[stream][]*operation{}, sessions: map[string]*session{}, receipts: map[message][]receipt{}}
	if len(entries) > 0 {
		c.end = entries[len(entries)-1].At
	}
	c.pair(entries)
	c.readSessions(entries)
	for _, s := range c.sortedSessions() {
		c.checkOrder(s)
		c.checkSenders(s)
		c.checkMembership(s)
		c.checkDelivery(s)
		c.checkRecovery(s)
		c.checkRooms(s)
		c.checkInbound(s)
	}
	for _, o := range c.ops {
		switch o.Action {
		case Call:
			c.checkCall(o)
		case Fetch:
			c.checkFetch(o)
		case Side:
			c.checkSide(o)
		}
	}
	c.checkKicks()
	for _, f := range c.faults {
		if f.result == Fail {
			c.fail(RuleHeal, f.until(), "%s of %q: %s", f.Reason, f.Node, f.end.Reason)
		}
	}
	slices.SortStableFunc(c.broken, func(a, b Violation) int { return int(a.At - b.At) })
	return c.broken
}

func (c *checker) fail(rule string, at time.Duration, format string, args ...any) {
	c.broken = append(c.broken, Violation{rule, at, fmt.Sprintf(format, args...)})
}

func (c *checker) pair(entries []Entry) {
	open := map[int]*operation{}
	ended := map[int]bool{}
	for _, e := range entries {
		switch e.Phase {
		case Invoke:
			if open[e.ID] != nil || ended[e.ID] {
				c.fail(RuleCompleted, e.At, "operation %d begins twice", e.ID)
				continue
			}
			o := &operation{Entry: e, end: Entry{At: c.end}, result: Info}
			open[e.ID] = o
			c.ops = append(c.ops, o)
		case OK, Fail, Info:
			o := open[e.ID]
			if o == nil {
				rule := RuleCompleted
				if e.Action == Ask || e.Action == Call {
					rule = RuleAnswers
				}
				c.fail(rule, e.At, "%s of %s ends, which has ended or was never begun (%d)", e.Action, e.Process, e.ID)
				continue
			}
			delete(open, e.ID)
			ended[e.ID] = true
			o.end, o.result = e, e.Phase
		case Note:
		}
	}
	for _, o := range c.ops {
		switch o.Action {
		case Emit, Call:
			key := stream{o.Sender, o.Room}
			c.sent[message{key, o.Seq}] = o
			c.streams[key] = append(c.streams[key], o)
		case Fault:
			c.faults = append(c.faults, o)
		}
	}
}

// faulty reports whether something was wrong with one of the nodes, or with all, at some time
// between from and to. A fault that did not end as OK goes on.
func (c *checker) faulty(from, to time.Duration, nodes ...string) bool {
	for _, f := range c.faults {
		if f.Node != "" && !slices.Contains(nodes, f.Node) || f.At > to {
			continue
		}
		if f.result != OK || f.until() >= from {
			return true
		}
	}
	return false
}

// lostItsWord reports whether a node was killed or cut off at some time between from and to: what
// it knew of its sessions may not be in Redis.
func (c *checker) lostItsWord(from, to time.Duration, node string) bool {
	return slices.ContainsFunc(c.faults, func(f *operation) bool {
		return f.Reason != Starting && (f.Node == "" || f.Node == node) && f.At <= to && (f.result != OK || f.until() >= from)
	})
}

// anyFault is faulty for all nodes.
func (c *checker) anyFault(from, to time.Duration) bool {
	for _, f := range c.faults {
		over := f.result == OK && f.until() < from
		if f.At <= to && !over && !(f.Reason == Killed && f.At+c.rules.Gone < from) {
			return true
		}
	}
	return false
}

// The reasons of faults that rules know.
const (
	Killed   = "killed"   // the node never comes back
	CutOff   = "cut off"  // from Redis, for a while
	Starting = "starting" // until the node knows the others and they know it
)
