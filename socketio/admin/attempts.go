package admin

import (
	"net/netip"
	"sync"
	"time"
)

// attempts counts the failures of each address within windows of a minute.
type attempts struct {
	limit int

	mu        sync.Mutex // guards what follows
	addresses map[string]*failures
}

type failures struct {
	since time.Time
	count int
}

// maxAddresses bounds the addresses that are counted apart; further ones share a count.
const maxAddresses = 4096

func newAttempts(limit int) *attempts {
	return &attempts{limit: limit, addresses: map[string]*failures{}}
}

// begin counts an attempt as failed, unless the address has failed too often.
func (a *attempts) begin(address string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.find(address, time.Now())
	if f.count >= a.limit {
		return false
	}
	f.count++
	return true
}

// succeed takes back what begin counted.
func (a *attempts) succeed(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.find(address, time.Now()); f.count > 0 {
		f.count--
	}
}

func (a *attempts) find(address string, now time.Time) *failures {
	address = networkOf(address)
	isOver := func(f *failures) bool { return now.Sub(f.since) >= time.Minute }
	f := a.addresses[address]
	if f == nil && len(a.addresses) >= maxAddresses {
		for other, f := range a.addresses {
			if isOver(f) {
				delete(a.addresses, other)
			}
		}
		if len(a.addresses) >= maxAddresses {
			address = "" // of no client
			f = a.addresses[address]
		}
	}
	switch {
	case f == nil:
		f = &failures{since: now}
		a.addresses[address] = f
	case isOver(f):
		*f = failures{since: now}
	}
	return f
}

// networkOf is what one peer has of the address space: an IPv4 address, or the 64 bits of
// an IPv6 network, in which it may choose addresses as it likes.
func networkOf(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().Is4() {
		return address
	}
	network, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return network.String()
}
