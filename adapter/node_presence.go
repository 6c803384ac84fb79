package adapter

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
)

// presenceMessage is what Go nodes tell each other on their own channel.
type presenceMessage struct {
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

// presence knows the other Go nodes of a namespace.
type presence struct {
	ownUID         string
	beatInterval   time.Duration
	silenceTimeout time.Duration
	publishMessage func(payload []byte) // publishes on the channel of the nodes
	onNodeLeft     func(uid string)     // called when a node said goodbye or fell silent
	now            func() time.Time     // for tests
	canHear        func() bool          // whether beats can arrive; nil means always

	mu           sync.Mutex           // guards what follows
	lastHeard    map[string]time.Time // when a node was last heard of
	silentNodes  map[string]struct{}  // nodes that missed their beats
	foreignNodes map[string]struct{}  // nodes that are not ours, known by name only
}

func newPeers(uid string, interval time.Duration, say func([]byte), left func(string)) *presence {
	return &presence{
		ownUID: uid, beatInterval: interval, silenceTimeout: heartbeatsMissed * interval, publishMessage: say, onNodeLeft: left, now: time.Now,
		lastHeard: make(map[string]time.Time), silentNodes: make(map[string]struct{}),
		foreignNodes: make(map[string]struct{}),
	}
}

func (p *presence) sendPresence(t presenceType) {
	b, err := json.Marshal(presenceMessage{p.ownUID, t})
	if err == nil {
		p.publishMessage(b)
	}
}

// run says hello and then beats until ctx ends.
func (p *presence) run(ctx context.Context) {
	p.sendPresence(presenceHello)
	ticker := time.NewTicker(p.beatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.sendPresence(presenceBeat)
			p.dropSilent()
		}
	}
}

// receiveMessage takes a message of the channel of the nodes. It reports whether it made sense.
func (p *presence) receiveMessage(payload []byte) bool {
	var m presenceMessage
	if json.Unmarshal(payload, &m) != nil || m.UID == "" || len(m.UID) > 64 {
		return false
	}
	if m.UID == p.ownUID {
		return true
	}
	switch m.Type {
	case presenceHello, presenceBeat:
		p.mu.Lock()
		_, known := p.lastHeard[m.UID]
		if known || len(p.lastHeard) < maxPeers {
			p.lastHeard[m.UID] = p.now()
		}
		delete(p.silentNodes, m.UID)
		delete(p.foreignNodes, m.UID)
		p.mu.Unlock()
		if m.Type == presenceHello || !known {
			p.sendPresence(presenceBeat)
		}
	case presenceBye:
		p.mu.Lock()
		delete(p.lastHeard, m.UID)
		delete(p.silentNodes, m.UID)
		delete(p.foreignNodes, m.UID)
		p.mu.Unlock()
		p.onNodeLeft(m.UID)
	default:
		return false
	}
	return true
}

// dropSilent looks for nodes that missed their beats.
func (p *presence) dropSilent() {
	var gone []string
	deaf := p.canHear != nil && !p.canHear()
	p.mu.Lock()
	for uid, seen := range p.lastHeard {
		if deaf { // this node missed the beats: requests would leave out nodes that live
			p.lastHeard[uid] = p.now()
			continue
		}
		if p.now().Sub(seen) > p.silenceTimeout {
			delete(p.lastHeard, uid)
			if len(p.silentNodes) < maxPeers {
				p.silentNodes[uid] = struct{}{}
			}
			gone = append(gone, uid)
		}
	}
	p.mu.Unlock()
	for _, uid := range gone {
		p.onNodeLeft(uid)
	}
}

// isGo reports whether uid is a Go node that lives.
func (p *presence) isGo(uid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.lastHeard[uid]
	return ok
}

// isKnown reports whether nodeNames has uid among those that live.
func (p *presence) isKnown(uid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, alive := p.lastHeard[uid]
	_, foreign := p.foreignNodes[uid]
	return alive || foreign
}

// countAlive returns how many other Go nodes live.
func (p *presence) countAlive() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lastHeard)
}

// nodeNames returns the nodes that live, and those that fell silent.
func (p *presence) nodeNames() (alive, silent []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	alive = slices.AppendSeq(slices.Collect(maps.Keys(p.lastHeard)), maps.Keys(p.foreignNodes))
	return alive, slices.Collect(maps.Keys(p.silentNodes))
}

// rememberForeign remembers the name of a node that sent something, for telling who did
// not answer.
func (p *presence) rememberForeign(uid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.endSilenceLocked(uid) {
		return
	}
	if _, ok := p.lastHeard[uid]; ok || uid == p.ownUID || len(p.foreignNodes) >= maxPeers || len(uid) > 64 {
		return
	}
	p.foreignNodes[uid] = struct{}{}
}

// heardFrom notes an answer of a node. One that was cut off may answer before its next beat:
// a request that did not count it would end without it.
func (p *presence) heardFrom(uid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endSilenceLocked(uid)
}

// endSilenceLocked reports whether the node had fallen silent, and lives from now on.
func (p *presence) endSilenceLocked(uid string) bool {
	if _, ok := p.silentNodes[uid]; !ok {
		return false
	}
	delete(p.silentNodes, uid)
	p.lastHeard[uid] = p.now()
	return true
}

// forgetNode drops a node that is not ours and that Redis no longer counts.
func (p *presence) forgetNode(uid string) {
	p.mu.Lock()
	delete(p.foreignNodes, uid)
	p.mu.Unlock()
}

// forgetSilent drops a silent node that Redis no longer counts either.
func (p *presence) forgetSilent(uid string) {
	p.mu.Lock()
	delete(p.silentNodes, uid)
	p.mu.Unlock()
}
