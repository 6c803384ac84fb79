package presence

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
	"weak"

	"posthouse/internal/loglimit"
	"posthouse/socketio"
)

const (
	defaultGrace    = 10 * time.Second
	defaultInterval = time.Second
	defaultTimeout  = 2 * time.Second
)

// Options say whose presence is known.
type Options struct {
	// Rooms tells which rooms have presence; access.Matching makes such a function of
	// patterns. Required.
	Rooms func(room string) bool
	// User names the user of a socket; sockets of "" do not count. Default: the data of
	// name sub, which auth.Guard and hook.Client set.
	User func(s *socketio.Socket) string
	// Store is what the nodes share. Default: the memory of this node.
	Store Store
	// Grace is how long a user whose last connection ended is still there: a page that is
	// loaded again is no news. Default 10 s.
	Grace time.Duration
	// Interval is the shortest time between two notices to a room. Default 1 s.
	Interval time.Duration
	// Timeout bounds each wait for the store. Default 2 s.
	Timeout time.Duration
	// Logger is told when the store cannot be reached, and when it can again. Default
	// slog.Default().
	Logger *slog.Logger
}

// Presence knows who is in the rooms of namespaces. Safe for concurrent use.
type Presence struct {
	o       Options
	lines   loglimit.Limiter
	writing chan struct{} // capacity 1: held while changes are taken and written
	wake    chan struct{} // capacity 1: there are changes to write

	mu         sync.Mutex // guards what follows; LocalAdapter's locks may be taken under it
	rooms      map[string]*room
	sockets    map[socketKey]*tracked
	pending    map[changeKey]Change
	watched    map[weak.Pointer[socketio.Namespace]]struct{}
	stale      bool      // the store could not be reached the last time
	settledAt  time.Time // from when what the store says is the whole truth
	leaseSince time.Time // since when the lease is held without interruption; zero before the first
	sweptAt    time.Time
}

type changeKey struct{ room, user string }

// room is a room with users of this node.
type room struct {
	namespace *socketio.Namespace
	name      string
	users     map[string]*localUser
	view      map[string]Member // as it was told to the members; nil: not read yet
	dirty     bool              // the view may be old
	lastRead  map[string]Member // as it was read since the view changed; nil: not read since
}

// localUser is a user with connections to this node.
type localUser struct {
	connections int
	since       time.Time
	leftAt      time.Time // when the last connection ended
}

// defaultUser is the subject of a socket's token: auth.Subject and hook store it so.
var defaultUser = socketio.NewKey[string]("sub")

// New returns a Presence. Its error names the option.
func New(opts *Options) (*Presence, error) {
	if opts == nil || opts.Rooms == nil {
		return nil, errors.New("presence: Options.Rooms is missing: name the rooms that have presence")
	}
	p := &Presence{
		o: *opts, writing: make(chan struct{}, 1), wake: make(chan struct{}, 1), stale: true,
		rooms: map[string]*room{}, sockets: map[socketKey]*tracked{}, pending: map[changeKey]Change{},
		watched: map[weak.Pointer[socketio.Namespace]]struct{}{},
	}
	if p.o.Grace < 0 || p.o.Interval < 0 || p.o.Timeout < 0 {
		return nil, errors.New("presence: Grace, Interval and Timeout cannot be negative")
	}
	if p.o.User == nil {
		p.o.User = func(s *socketio.Socket) string { user, _ := defaultUser.Of(s); return user }
	}
	if p.o.Store == nil {
		p.o.Store = newMemory(defaultLease).node()
	}
	if p.o.Grace == 0 {
		p.o.Grace = defaultGrace
	}
	if p.o.Interval == 0 {
		p.o.Interval = defaultInterval
	}
	if p.o.Timeout == 0 {
		p.o.Timeout = defaultTimeout
	}
	if p.o.Logger == nil {
		p.o.Logger = slog.Default()
	}
	return p, nil
}

// Watches reports whether a room has presence.
func (p *Presence) Watches(room string) bool { return p.o.Rooms(room) }

// storeName is the name of a room in the store. No namespace has a comma in its name.
func storeName(n *socketio.Namespace, room string) string { return n.Name() + "," + room }

// enter counts a connection of a user in a room; the caller holds mu.
func (p *Presence) enter(n *socketio.Namespace, name, user string) {
	key := storeName(n, name)
	r := p.rooms[key]
	if r == nil {
		r = &room{namespace: n, name: name, users: map[string]*localUser{}, dirty: true}
		p.rooms[key] = r
	}
	u := r.users[user]
	if u == nil {
		u = &localUser{since: time.Now()}
		r.users[user] = u
	}
	u.connections++
	p.queue(Change{Room: key, User: user, Since: u.since, Connections: u.connections})
}

// exit takes one back. With grace the user may be back at once; the caller holds mu.
func (p *Presence) exit(n *socketio.Namespace, name, user string, grace bool) {
	key := storeName(n, name)
	r := p.rooms[key]
	if r == nil || r.users[user] == nil {
		return
	}
	u := r.users[user]
	u.connections--
	switch {
	case u.connections > 0 || grace:
		u.leftAt = time.Now()
		p.queue(Change{Room: key, User: user, Since: u.since, Connections: u.connections})
	default:
		p.remove(key, r, user)
	}
}

// remove forgets a user of this node; the caller holds mu.
func (p *Presence) remove(key string, r *room, user string) {
	delete(r.users, user)
	if len(r.users) == 0 {
		delete(p.rooms, key)
	}
	p.queue(Change{Room: key, User: user, Gone: true})
}

// queue leaves a change for Run; the caller holds mu.
func (p *Presence) queue(c Change) {
	p.pending[changeKey{c.Room, c.User}] = c
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// List is the members of a room.
type List struct {
	Members []Member `json:"members"`
	// Stale says that the store cannot be reached, or has just come back: the members are
	// those known last.
	Stale bool `json:"stale,omitempty" doc:"The list is the one known last: Redis is away."`
}

// ErrUnknown means that the store cannot be reached and this node knows nothing of the
// room.
var ErrUnknown = errors.New("presence: the members are not known now")

// Members returns who is in a room, in the order of their names.
func (p *Presence) Members(ctx context.Context, n *socketio.Namespace, name string) (*List, error) {
	key := storeName(n, name)
	if p.trusted() {
		ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
		defer cancel()
		err := p.write(ctx)
		var members []Member
		if err == nil {
			members, err = p.o.Store.Read(ctx, key)
		}
		if err == nil {
			p.noteRead(key, members)
			sortMembers(members)
			return &List{Members: members}, nil
		}
		p.failed(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.rooms[key]
	if r == nil {
		return nil, ErrUnknown
	}
	known := maps.Clone(r.view)
	if r.lastRead != nil {
		known = maps.Clone(r.lastRead)
	}
	if known == nil {
		known = map[string]Member{}
	}
	for user, u := range r.users {
		if _, ok := known[user]; !ok {
			known[user] = Member{user, u.since, u.connections}
		}
	}
	list := &List{Stale: true, Members: slices.Collect(maps.Values(known))}
	sortMembers(list.Members)
	return list, nil
}

// trusted reports whether what the store says is the whole truth.
func (p *Presence) trusted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.stale && !time.Now().Before(p.settledAt)
}

// noteRead keeps the members that were read. The first that were told are what notices
// begin with.
func (p *Presence) noteRead(key string, members []Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.rooms[key]
	if r == nil {
		return
	}
	r.lastRead = viewOf(members)
	if r.view == nil {
		r.view = r.lastRead
	}
}

func viewOf(members []Member) map[string]Member {
	view := make(map[string]Member, len(members))
	for _, m := range members {
		view[m.User] = m
	}
	return view
}

// failed takes note that the store cannot be reached.
func (p *Presence) failed(err error) {
	p.mu.Lock()
	p.stale = true
	p.mu.Unlock()
	if held, ok := p.lines.Allow(); ok {
		p.o.Logger.Warn("presence: the store cannot be reached", "error", err, "not_logged", held)
	}
}
