package history

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// forever is after every history.
const forever = time.Duration(1<<63 - 1)

// session is what happened to one socket, over all its connections.
type session struct {
	id       string
	owner    string
	stays    []*stay
	rooms    map[string][]change
	changing map[string]bool // rooms that a change from another node is about to reach
	tainted  map[string]bool // rooms that one may reach at any time
	received map[stream][]arrival
	reads    []*operation // Rooms
	asks     []*operation
	over     time.Duration // when its client got another session, or left for good
	replaced bool          // the client lost it and got another
}

// stay is one connection of a session: certainly connected from since to lost, and perhaps
// from began on and a while after lost.
type stay struct {
	node      string
	began     time.Duration
	since     time.Duration
	lost      time.Duration
	told      time.Duration // when the server was told to end it, if that is how it was lost
	reason    string
	recovered bool
}

// membership of a room, as far as it is certain.
type membership int

const (
	out membership = iota
	unsure
	in
)

// change is what a membership is from a time on.
type change struct {
	at time.Duration
	is membership
}

// arrival is an event at a session.
type arrival struct {
	seq int
	at  time.Duration
}

func (c *checker) sortedSessions() []*session {
	list := make([]*session, 0, len(c.sessions))
	for _, s := range c.sessions {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *session) int { return cmp.Compare(a.stays[0].since, b.stays[0].since) })
	return list
}

func (c *checker) readSessions(entries []Entry) {
	byID := map[int]*operation{}
	for _, o := range c.ops {
		byID[o.ID] = o
	}
	current := map[string]*session{} // by process
	for _, e := range entries {
		o := byID[e.ID]
		switch {
		case e.Action == Connect && e.Phase == OK && o != nil:
			c.connected(o, current)
		case e.Action == Lost:
			if s := c.sessions[e.Session]; s != nil {
				last := s.stays[len(s.stays)-1]
				last.lost, last.reason = min(last.lost, e.At), e.Reason
				if e.Reason == KickedReason {
					last.told = min(last.told, c.firstKick(e.At))
				}
			}
		case e.Action == Receive:
			s := c.sessions[e.Session]
			if s == nil {
				c.fail(RuleIdentity, e.At, "an event for the session %q, which is unknown", e.Session)
				continue
			}
			key := stream{e.Sender, e.Room}
			s.received[key] = append(s.received[key], arrival{e.Seq, e.At})
			c.receipts[message{key, e.Seq}] = append(c.receipts[message{key, e.Seq}], receipt{s, e.At, s.stays[len(s.stays)-1].node})
		case e.Action == Join || e.Action == Leave:
			if s := c.sessions[e.Session]; s != nil {
				if o != nil && o.Reason == Remote && e.Phase != Invoke && e.Phase != Fail &&
					(e.Phase == Info || s.connection(o.At, o.until()) == nil || c.anyFault(o.At, o.until()+time.Second)) {
					// A node may still be about to learn of it that the session comes to later.
					s.tainted[e.Room] = true
				}
				s.changeRoom(e)
				s.changing[e.Room] = e.Phase == Invoke && e.Reason == Remote
			}
		case e.Action == Rooms && e.Phase == OK && o != nil:
			if s := c.sessions[e.Session]; s != nil {
				s.reads = append(s.reads, o)
				s.learn(o)
			}
		case e.Action == Ask && e.Phase == Invoke && o != nil:
			if s := c.sessions[e.Session]; s != nil {
				s.asks = append(s.asks, o)
			}
		}
	}
}

func (c *checker) connected(o *operation, current map[string]*session) {
	at, before := o.end.At, current[o.Process]
	s := c.sessions[o.end.Session]
	switch {
	case o.end.Recovered && before == nil:
		c.fail(RuleIdentity, at, "%s was recovered without a session before", o.Process)
	case o.end.Recovered && before != s:
		c.fail(RuleIdentity, at, "%s had the session %s and was recovered as %s", o.Process, before.id, o.end.Session)
	case o.end.Recovered && before.stays[len(before.stays)-1].reason == KickedReason:
		c.fail(RuleIdentity, at, "%s was disconnected by its server and recovered as %s", o.Process, before.id)
	case !o.end.Recovered && s != nil:
		c.fail(RuleIdentity, at, "%s got the session %s, which %s had, as a new one", o.Process, s.id, s.owner)
	}
	if s == nil {
		s = &session{id: o.end.Session, owner: o.Process, rooms: map[string][]change{}, changing: map[string]bool{}, tainted: map[string]bool{}, received: map[stream][]arrival{}, over: forever}
		c.sessions[s.id] = s
	}
	if before != nil && before != s {
		before.over, before.replaced = at, true
		if last := before.stays[len(before.stays)-1]; last.lost == forever {
			last.lost = at
		}
	}
	if len(s.stays) > 0 {
		last := s.stays[len(s.stays)-1]
		last.lost = min(last.lost, at)
		// The session that was kept may be a little older than what its node knew, when that
		// was killed or cut off.
		if c.lostItsWord(last.lost-c.rules.Stale, at, last.node) {
			for room, list := range s.rooms {
				if n := len(list); list[n-1].at+c.rules.Stale > last.lost && n > 1 {
					s.rooms[room] = append(list, change{last.lost, unsure})
				}
			}
		}
	}
	s.stays = append(s.stays, &stay{node: o.end.Node, began: o.At, since: at, lost: forever, told: forever, recovered: o.end.Recovered})
	current[o.Process] = s
}

func (s *session) changeRoom(e Entry) {
	is := unsure
	now := s.membership(e.Room, e.At)
	switch {
	case e.Phase == OK && e.Action == Join:
		is = in
	case e.Phase == OK:
		is = out
	case e.Phase == Invoke && e.Action == Join && now == in, e.Phase == Invoke && e.Action == Leave && now == out:
		return
	case e.Phase == Fail:
		return
	}
	s.set(e.Room, e.At, is)
}

// Remote is the Reason of a Join or Leave that another node carries to the session's own.
const Remote = "remote"

func (s *session) set(room string, at time.Duration, is membership) {
	if len(s.rooms[room]) == 0 {
		s.rooms[room] = []change{{0, out}}
	}
	if s.tainted[room] {
		is = unsure
	}
	if list := s.rooms[room]; list[len(list)-1].is == is {
		return // no change
	}
	s.rooms[room] = append(s.rooms[room], change{at, is})
}

// learn settles what was uncertain when the server told the rooms, but for what is being changed.
func (s *session) learn(o *operation) {
	for room, list := range s.rooms {
		last := list[len(list)-1]
		if last.is != unsure || last.at > o.At || s.changing[room] {
			continue
		}
		if slices.Contains(o.end.Names, room) {
			s.set(room, o.until(), in)
		} else {
			s.set(room, o.until(), out)
		}
	}
}

// membership is what is certain at a time.
func (s *session) membership(room string, at time.Duration) membership {
	list := s.rooms[room]
	i := sort.Search(len(list), func(i int) bool { return list[i].at > at })
	if i == 0 {
		return out
	}
	return list[i-1].is
}

// throughout reports whether the membership was certainly is from one time to another.
func (s *session) throughout(room string, is membership, from, to time.Duration) bool {
	if s.membership(room, from) != is {
		return false
	}
	for _, c := range s.rooms[room] {
		if c.at > from && c.at <= to && c.is != is {
			return false
		}
	}
	return true
}

// connection returns the stay that certainly lasted from one time to another, or nil.
func (s *session) connection(from, to time.Duration) *stay {
	for _, x := range s.stays {
		if x.since <= from && min(x.lost, x.told) > to {
			return x
		}
	}
	return nil
}

// gone reports whether the session was certainly at no node from one time on to another: its
// last connection was lost long before, and none had begun.
func (s *session) gone(from, to, window time.Duration) bool {
	for _, x := range s.stays {
		if x.began <= to && (x.lost == forever || x.lost+window > from) {
			return false
		}
	}
	return true
}
