package presence

import (
	"context"
	"errors"
	"slices"
	"time"
)

// maxBatch bounds the changes of one write.
const maxBatch = 1000

// settleTime is how long after this node's lease had lapsed the other nodes have to write
// again what they know: until then no user is said to have left (docs/realtime.md §6).
const settleTime = 2 * time.Second

// Run writes what this node knows, and tells rooms who came and who left, until ctx ends.
// The users of a node that ends stay until its lease does: most are back elsewhere by then.
func (p *Presence) Run(ctx context.Context) {
	tick := time.NewTicker(p.o.Interval)
	defer tick.Stop()
	for {
		p.round(ctx)
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				waiting = false
			case <-p.wake:
				if p.trusted() {
					p.do(ctx, p.write)
				}
			}
		}
	}
}

// do calls fn with a deadline. It reports whether the store did it.
func (p *Presence) do(ctx context.Context, fn func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	err := fn(ctx)
	if err != nil && !errors.Is(context.Cause(ctx), context.Canceled) {
		p.failed(err)
	}
	return err == nil
}

// round is what Run does at each tick.
func (p *Presence) round(ctx context.Context) {
	p.endGraces()
	if !p.do(ctx, p.renew) || !p.do(ctx, p.write) || !p.do(ctx, p.sweep) {
		return
	}
	if !p.do(ctx, p.noteChanges) {
		return
	}
	p.mu.Lock()
	wasStale := p.stale
	p.stale = false
	settled := !time.Now().Before(p.settledAt)
	p.mu.Unlock()
	if wasStale {
		p.markAll()
	}
	if settled {
		p.tellRooms(ctx)
	}
}

// endGraces lets go of users who have not come back.
func (p *Presence) endGraces() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for key, r := range p.rooms {
		for user, u := range r.users {
			if u.connections == 0 && now.Sub(u.leftAt) >= p.o.Grace {
				p.remove(key, r, user)
			}
		}
	}
}

// renew holds the lease, each time: that it is gone is how a Redis that lost its data is
// noticed. When the lease had ended, everything is written again.
func (p *Presence) renew(ctx context.Context) error {
	lapsed, err := p.o.Store.Renew(ctx)
	if err != nil {
		return err
	}
	if !lapsed {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.leaseSince.IsZero() { // not at the start
		p.settledAt = time.Now().Add(min(settleTime, p.o.Store.Lease()/2))
		p.o.Logger.Info("presence: the lease had ended; everything is written again")
	}
	p.leaseSince = time.Now()
	for key, r := range p.rooms {
		r.dirty = true
		for user, u := range r.users {
			p.pending[changeKey{key, user}] = Change{Room: key, User: user, Since: u.since, Connections: u.connections}
		}
	}
	return nil
}

// write writes the changes that wait. Changes that could not be written wait on.
func (p *Presence) write(ctx context.Context) error {
	select {
	case p.writing <- struct{}{}:
		defer func() { <-p.writing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		p.mu.Lock()
		var batch []Change
		for key, c := range p.pending {
			delete(p.pending, key)
			c.RoomEmpty = c.Gone && p.rooms[c.Room] == nil
			if batch = append(batch, c); len(batch) == maxBatch {
				break
			}
		}
		p.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		if err := p.o.Store.Write(ctx, batch); err != nil {
			p.mu.Lock()
			for _, c := range batch {
				key := changeKey{c.Room, c.User}
				if _, newer := p.pending[key]; !newer {
					p.pending[key] = c
				}
			}
			p.mu.Unlock()
			return err
		}
	}
}

// sweep removes what dead nodes left. A node that was itself cut off leaves that to others:
// the leases it sees ended may be those of nodes that were cut off as well.
func (p *Presence) sweep(ctx context.Context) error {
	p.mu.Lock()
	lease := p.o.Store.Lease()
	now := time.Now()
	due := now.Sub(p.sweptAt) >= lease/5 && !now.Before(p.settledAt)
	if due {
		p.sweptAt = now
	}
	p.mu.Unlock()
	if !due {
		return nil
	}
	return p.o.Store.Sweep(ctx)
}

// noteChanges marks the rooms that changed.
func (p *Presence) noteChanges(ctx context.Context) error {
	changed, all, err := p.o.Store.Changed(ctx)
	if err != nil {
		return err
	}
	if all {
		p.markAll()
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range changed {
		if r := p.rooms[key]; r != nil {
			r.dirty = true
		}
	}
	return nil
}

func (p *Presence) markAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.rooms {
		r.dirty = true
	}
}

// notice is the event "presence".
type notice struct {
	Room   string   `json:"room"`
	Joined []string `json:"joined" nullable:"false"`
	Left   []string `json:"left" nullable:"false"`
}

// tellRooms reads the rooms that changed and tells their members of this node.
func (p *Presence) tellRooms(ctx context.Context) {
	p.mu.Lock()
	var keys []string
	for key, r := range p.rooms {
		if r.dirty {
			keys = append(keys, key)
			r.dirty = false // what changes from here on is read the next time
		}
	}
	p.mu.Unlock()
	for i, key := range keys {
		var members []Member
		ok := p.do(ctx, func(ctx context.Context) (err error) {
			members, err = p.o.Store.Read(ctx, key)
			return err
		})
		if !ok {
			p.mu.Lock()
			for _, key := range keys[i:] {
				if r := p.rooms[key]; r != nil {
					r.dirty = true
				}
			}
			p.mu.Unlock()
			return
		}
		p.tell(key, members)
	}
}

// tell sends what is new in a room.
func (p *Presence) tell(key string, members []Member) {
	now := viewOf(members)
	p.mu.Lock()
	r := p.rooms[key]
	if r == nil {
		p.mu.Unlock()
		return
	}
	before := r.view
	r.view, r.lastRead = now, nil
	namespace := r.namespace
	n := notice{Room: r.name, Joined: []string{}, Left: []string{}}
	p.mu.Unlock()
	if before == nil {
		return // the first view is no news
	}
	for user := range now {
		if _, was := before[user]; !was {
			n.Joined = append(n.Joined, user)
		}
	}
	for user := range before {
		if _, is := now[user]; !is {
			n.Left = append(n.Left, user)
		}
	}
	if len(n.Joined)+len(n.Left) == 0 {
		return
	}
	slices.Sort(n.Joined)
	slices.Sort(n.Left)
	_ = namespace.To(n.Room).Local().Emit("presence", n) // sockets of this node: nothing waits
}
