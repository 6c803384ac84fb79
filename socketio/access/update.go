package access

import (
	"errors"
	"fmt"
	"slices"

	"posthouse/socketio"
)

// ruleSet are the rules in force. Immutable.
type ruleSet struct {
	o      Options
	rooms  []pattern
	join   []pattern
	events map[string]eventOwner
}

// eventOwner tells what handles an event.
type eventOwner uint8

const (
	ownedByOther   eventOwner = iota // Options.Other, where there is one
	ownedByProgram                   // the handlers of the program, and of history and presence
	ownedByJoin
	ownedByLeave
	ownedByRelay
)

func newRuleSet(opts *Options) (*ruleSet, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	r := &ruleSet{o: o, events: map[string]eventOwner{}}
	for _, list := range []struct {
		name  string
		texts []string
		stars bool
		into  *[]pattern
	}{{"Rooms", o.Rooms, false, &r.rooms}, {"Join", o.Join, true, &r.join}} {
		for _, text := range list.texts {
			p, err := parsePattern(text, list.stars)
			if err != nil {
				return nil, fmt.Errorf("%w (Options.%s)", err, list.name)
			}
			if p.claims() && o.Claim == nil {
				return nil, fmt.Errorf("access: room %q (Options.%s) names a claim, and Options.Claim is nil", text, list.name)
			}
			*list.into = append(*list.into, p)
		}
	}
	for _, event := range o.Relay {
		if event == "" || slices.Contains(reserved, event) {
			return nil, fmt.Errorf("access: event %q (Options.Relay) is reserved", event)
		}
	}
	if o.MaxRooms < 0 || o.EventsPerSecond < 0 || o.EventsBurst < 0 {
		return nil, errors.New("access: MaxRooms, EventsPerSecond and EventsBurst cannot be negative")
	}
	if o.MaxRooms == 0 {
		r.o.MaxRooms = defaultMaxRooms
	}
	if len(r.rooms) > r.o.MaxRooms {
		return nil, fmt.Errorf("access: %d Rooms are more than MaxRooms, %d", len(r.rooms), r.o.MaxRooms)
	}
	r.nameEvents()
	return r, nil
}

func (r *ruleSet) nameEvents() {
	for _, event := range r.o.Known {
		r.events[event] = ownedByProgram
	}
	if r.o.History != nil {
		r.events["history"] = ownedByProgram
	}
	if r.o.Presence != nil {
		r.events["presence"] = ownedByProgram
	}
	if len(r.join) > 0 {
		r.events["join"], r.events["leave"] = ownedByJoin, ownedByLeave
	}
	for _, event := range r.o.Relay {
		r.events[event] = ownedByRelay
	}
}

// ErrUpdate is wrapped by the errors of Update for rules that cannot take changes.
var ErrUpdate = errors.New("access: rules without Options.Other cannot be changed")

// Update puts other rules in the place of those in force: for events and joins at once, for
// Rooms and the rate of events from the next connection on. Sockets stay in the rooms that
// they are in. The options History, Presence, Joiner, Claim, Known and Other stay those of
// New, which must have named Other. An error changes nothing.
func (r *Rules) Update(opts *Options) error {
	if r.first.o.Other == nil {
		return ErrUpdate
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	fixed := &r.first.o
	o.History, o.Presence, o.Joiner, o.Claim, o.Known, o.Other = fixed.History, fixed.Presence, fixed.Joiner, fixed.Claim, fixed.Known, fixed.Other
	set, err := newRuleSet(&o)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.current.Swap(set)
	if before.o.EventsPerSecond == o.EventsPerSecond && before.o.EventsBurst == o.EventsBurst {
		return nil
	}
	perSecond := o.EventsPerSecond
	if perSecond == 0 {
		perSecond = -1 // the server's bound
	}
	for _, n := range r.applied {
		n.LimitEvents(perSecond, o.EventsBurst)
	}
	return nil
}

// ifServed runs the handler of an event of the first rules while those in force have it
// too; otherwise handleOther has given the event away.
func (r *Rules) ifServed(fn func(*socketio.Event)) func(*socketio.Event) {
	return func(e *socketio.Event) {
		name := e.Name()
		if set := r.current.Load(); set == r.first || set.events[name] == r.first.events[name] {
			fn(e)
		}
	}
}

// handleOther is called for every event, ahead of the handlers of its name.
func (r *Rules) handleOther(e *socketio.Event) {
	name := e.Name()
	owner := r.current.Load().events[name]
	if owner == ownedByOther {
		r.first.o.Other(e)
		return
	}
	if owner == r.first.events[name] {
		return // it has a handler of its own
	}
	switch owner {
	case ownedByJoin:
		r.handleJoin(e)
	case ownedByLeave:
		r.answered(r.leaveRoom)(e)
	case ownedByRelay:
		r.answered(r.relay)(e)
	}
}
