package adapter

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
)

// presence is what Go nodes tell each other on their own channel.
type presence struct {
	UID  string       `json:"uid"`
	Type presenceType `json:"type"`
}

type presenceType string

const (
	presenceHello presenceType = "hello" // just started: please answer with a beat
	presenceBeat  presenceType = "beat"
	presenceBye   presenceType = "bye"
)

// maxPeers bounds what a flood of invented names can make us remember.
const maxPeers = 4096

// peers knows the other Go nodes of a namespace.
type peers struct {
	uid      string
	interval time.Duration
	timeout  time.Duration
	say      func(payload []byte) // publishes on the channel of the nodes
	left     func(uid string)     // called when a node said goodbye or fell silent
	now      func() time.Time     // for tests
	hears    func() bool          // whether beats can arrive; nil means always

	mu     sync.Mutex
	alive  map[string]time.Time // when a node was last heard of
	silent map[string]struct{}  // nodes that missed their beats
	others map[string]struct{}  // nodes that are not ours, known by name only
}

func newPeers(uid string, interval time.Duration, say func([]byte), left func(string)) *peers {
	return &peers{
		uid: uid, interval: interval, timeout: heartbeatsMissed * interval, say: say, left: left, now: time.Now,
		alive: make(map[string]time.Time), silent: make(map[string]struct{}),
		others: make(map[string]struct{}),
	}
}

func (p *peers) tell(t presenceType) {
	b, err := json.Marshal(presence{p.uid, t})
	if err == nil {
		p.say(b)
	}
}

// run says hello and then beats until ctx ends.
func (p *peers) run(ctx context.Context) {
	p.tell(presenceHello)
	ticker := time.NewTicker(p.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.tell(presenceBeat)
			p.sweep()
		}
	}
}

// hear takes a message of the channel of the nodes. It reports whether it made sense.
func (p *peers) hear(payload []byte) bool {
	var m presence
	if json.Unmarshal(payload, &m) != nil || m.UID == "" || len(m.UID) > 64 {
		return false
	}
	if m.UID == p.uid {
		return true
	}
	switch m.Type {
	case presenceHello, presenceBeat:
		p.mu.Lock()
		_, known := p.alive[m.UID]
		if known || len(p.alive) < maxPeers {
			p.alive[m.UID] = p.now()
		}
		delete(p.silent, m.UID)
		delete(p.others, m.UID)
		p.mu.Unlock()
		if m.Type == presenceHello || !known {
			p.tell(presenceBeat)
		}
	case presenceBye:
		p.mu.Lock()
		delete(p.alive, m.UID)
		delete(p.silent, m.UID)
		delete(p.others, m.UID)
		p.mu.Unlock()
		p.left(m.UID)
	default:
		return false
	}
	return true
}

// sweep looks for nodes that missed their beats.
func (p *peers) sweep() {
	var gone []string
	deaf := p.hears != nil && !p.hears()
	p.mu.Lock()
	for uid, seen := range p.alive {
		if deaf { // this node missed the beats: requests would leave out nodes that live
			p.alive[uid] = p.now()
			continue
		}
		if p.now().Sub(seen) > p.timeout {
			delete(p.alive, uid)
			if len(p.silent) < maxPeers {
				p.silent[uid] = struct{}{}
			}
			gone = append(gone, uid)
		}
	}
	p.mu.Unlock()
	for _, uid := range gone {
		p.left(uid)
	}
}

// isGo reports whether uid is a Go node that lives.
func (p *peers) isGo(uid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.alive[uid]
	return ok
}

// count returns how many other Go nodes live.
func (p *peers) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.alive)
}

// names returns the nodes that live, and those that fell silent.
func (p *peers) names() (alive, silent []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	alive = slices.AppendSeq(slices.Collect(maps.Keys(p.alive)), maps.Keys(p.others))
	return alive, slices.Collect(maps.Keys(p.silent))
}

// note remembers the name of a node that sent something, for telling who did
// not answer.
func (p *peers) note(uid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.alive[uid]; ok || uid == p.uid || len(p.others) >= maxPeers || len(uid) > 64 {
		return
	}
	p.others[uid] = struct{}{}
}

// forgetNode drops a node that is not ours and that Redis no longer counts.
func (p *peers) forgetNode(uid string) {
	p.mu.Lock()
	delete(p.others, uid)
	p.mu.Unlock()
}

// forget drops a silent node that Redis no longer counts either.
func (p *peers) forget(uid string) {
	p.mu.Lock()
	delete(p.silent, uid)
	p.mu.Unlock()
}
