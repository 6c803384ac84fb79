package gateway

import (
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	// peerMemory is how long the address of a replica is known as one after the last
	// request that the replica relayed here.
	peerMemory = 10 * time.Minute
	// maxPeers bounds how many addresses are known.
	maxPeers = 1024
)

// peerAddrs are the addresses from which other replicas relay. The requests of many
// clients come from such an address, so TCP connections are not limited by it:
// sessions have been counted by the addresses of their clients, at the replica that
// opened them. Safe for concurrent use.
type peerAddrs struct {
	mu         sync.Mutex // guards what follows; a leaf
	knownUntil map[netip.Addr]time.Time
}

// note keeps the address of a replica, whose request was signed.
func (p *peerAddrs) note(addr netip.Addr) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	until, known := p.knownUntil[addr]
	if known && until.Sub(now) > peerMemory/2 {
		return
	}
	if !known && len(p.knownUntil) >= maxPeers {
		p.dropExpiredLocked(now)
		if len(p.knownUntil) >= maxPeers {
			return
		}
	}
	p.knownUntil[addr] = now.Add(peerMemory)
}

// contains reports whether addr is that of a replica.
func (p *peerAddrs) contains(addr netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, known := p.knownUntil[addr]
	return known && time.Now().Before(until)
}

func (p *peerAddrs) dropExpiredLocked(now time.Time) {
	for addr, until := range p.knownUntil {
		if !now.Before(until) {
			delete(p.knownUntil, addr)
		}
	}
}

// notePeer is RelayOptions.OnPeer.
func (a *admission) notePeer(r *http.Request) {
	if addr := peerAddr(r.RemoteAddr); addr.IsValid() {
		a.peers.note(addr.WithZone(""))
	}
}
