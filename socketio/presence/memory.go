package presence

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// defaultLease is how long a node that is silent is taken for alive (docs/realtime.md §6).
const defaultLease = 15 * time.Second

// memory is what the nodes of one process share. A server has one node.
type memory struct {
	lease time.Duration

	mu     sync.Mutex // guards what follows
	leases map[*memoryNode]time.Time
	rooms  map[string]map[string]*memoryUser
}

// memoryUser is a user in a room.
type memoryUser struct {
	since time.Time
	nodes map[*memoryNode]int // connections
}

// memoryNode is a Store in memory.
type memoryNode struct {
	shared  *memory
	changed map[string]bool // guarded by memory.mu
	all     bool            // guarded by memory.mu
}

func newMemory(lease time.Duration) *memory {
	return &memory{lease: lease, leases: map[*memoryNode]time.Time{}, rooms: map[string]map[string]*memoryUser{}}
}

func (m *memory) node() *memoryNode {
	return &memoryNode{shared: m, changed: map[string]bool{}, all: true}
}

// Lease implements Store.
func (n *memoryNode) Lease() time.Duration { return n.shared.lease }

// Renew implements Store.
func (n *memoryNode) Renew(context.Context) (lapsed bool, err error) {
	m := n.shared
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	lapsed = !m.aliveLocked(n, now)
	if lapsed {
		m.dropNodeLocked(n)
		n.all = true
	}
	m.leases[n] = now.Add(m.lease)
	return lapsed, nil
}

func (m *memory) aliveLocked(n *memoryNode, now time.Time) bool { return now.Before(m.leases[n]) }

// Write implements Store.
func (n *memoryNode) Write(_ context.Context, changes []Change) error {
	m := n.shared
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, c := range changes {
		users := m.rooms[c.Room]
		u := users[c.User]
		was := m.isHereLocked(u, now)
		if c.Gone {
			if u != nil {
				delete(u.nodes, n)
				m.tidyLocked(c.Room, c.User, u)
			}
		} else {
			if users == nil {
				users = map[string]*memoryUser{}
				m.rooms[c.Room] = users
			}
			if !was {
				u = &memoryUser{since: c.Since, nodes: map[*memoryNode]int{}}
				users[c.User] = u
			}
			u.nodes[n] = c.Connections
		}
		if m.isHereLocked(m.rooms[c.Room][c.User], now) != was {
			m.noteLocked(c.Room)
		}
	}
	return nil
}

func (m *memory) isHereLocked(u *memoryUser, now time.Time) bool {
	if u == nil {
		return false
	}
	for n := range u.nodes {
		if m.aliveLocked(n, now) {
			return true
		}
	}
	return false
}

func (m *memory) tidyLocked(room, user string, u *memoryUser) {
	if len(u.nodes) > 0 {
		return
	}
	delete(m.rooms[room], user)
	if len(m.rooms[room]) == 0 {
		delete(m.rooms, room)
	}
}

func (m *memory) noteLocked(room string) {
	for n := range m.leases {
		n.changed[room] = true
	}
}

// Read implements Store.
func (n *memoryNode) Read(_ context.Context, room string) ([]Member, error) {
	m := n.shared
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	list := []Member{}
	for user, u := range m.rooms[room] {
		if !m.isHereLocked(u, now) {
			continue
		}
		sum := 0
		for node, count := range u.nodes {
			if m.aliveLocked(node, now) {
				sum += count
			}
		}
		list = append(list, Member{user, u.since, sum})
	}
	return list, nil
}

// Changed implements Store.
func (n *memoryNode) Changed(context.Context) (rooms []string, all bool, err error) {
	m := n.shared
	m.mu.Lock()
	defer m.mu.Unlock()
	for room := range n.changed {
		rooms = append(rooms, room)
	}
	all = n.all
	clear(n.changed)
	n.all = false
	return rooms, all, nil
}

// Sweep implements Store.
func (n *memoryNode) Sweep(context.Context) error {
	m := n.shared
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for node := range m.leases {
		if !m.aliveLocked(node, now) {
			m.dropNodeLocked(node)
		}
	}
	return nil
}

func (m *memory) dropNodeLocked(n *memoryNode) {
	if _, known := m.leases[n]; !known {
		return
	}
	for room, users := range m.rooms {
		for user, u := range users {
			if _, has := u.nodes[n]; has {
				delete(u.nodes, n)
				m.noteLocked(room)
				m.tidyLocked(room, user, u)
			}
		}
	}
	delete(m.leases, n)
}

// sortMembers puts members in the order of their users.
func sortMembers(list []Member) {
	slices.SortFunc(list, func(a, b Member) int { return cmp.Compare(a.User, b.User) })
}
