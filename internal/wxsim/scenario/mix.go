package scenario

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// Mix is how many percent of the logins, or of the pushes, have a certain fate.
// The fates of logins exclude one another; what they leave is plain sign-ins.
type Mix struct {
	NeverScan  float64 // the tab is closed without a scan
	Cancelled  float64 // the tab cancels; a scan follows
	Replaced   float64 // the tab refreshes; a person scans the old code
	Expired    float64 // the code runs out; a scan follows (Replaced if codes live longer than 20 s)
	Late       float64 // the follow page is opened in time, the follow comes after the code ran out (likewise)
	TwoPeople  float64 // two people scan one code
	Rescan     float64 // one person scans twice
	Reconnect  float64 // the connection is lost around the scan
	LostAck    float64 // … at the moment the token arrived
	PKCE       float64 // the token comes as a code; combines with the above
	Denied     float64 // "not me", or a wrong number, where the gateway asks for one; combines likewise
	Duplicates float64 // of pushes: delivered two or three times, some late
	Delays     float64 // of pushes: late
	Reorders   float64 // of pushes: after the next one
}

// DefaultMix has some of everything.
func DefaultMix() Mix {
	return Mix{
		NeverScan: 3, Cancelled: 3, Replaced: 5, Expired: 3, Late: 3, TwoPeople: 10, Rescan: 5, Reconnect: 15, LostAck: 5,
		PKCE: 20, Denied: 10, Duplicates: 15, Delays: 10, Reorders: 3,
	}
}

// shares names the fields as a command line does.
func (m *Mix) shares() map[string]*float64 {
	return map[string]*float64{
		"never-scan": &m.NeverScan, "cancelled": &m.Cancelled, "replaced": &m.Replaced, "expired": &m.Expired, "late": &m.Late,
		"two-people": &m.TwoPeople, "rescan": &m.Rescan, "reconnect": &m.Reconnect, "lost-ack": &m.LostAck, "pkce": &m.PKCE,
		"denied": &m.Denied, "duplicates": &m.Duplicates, "delays": &m.Delays, "reorders": &m.Reorders,
	}
}

// Set changes one share by its name, such as "two-people".
func (m *Mix) Set(name string, percent float64) error {
	share := m.shares()[name]
	if share == nil {
		return fmt.Errorf("scenario: no share %q in the mix; there are %s", name, strings.Join(slices.Sorted(maps.Keys(m.shares())), ", "))
	}
	if percent < 0 || percent > 100 {
		return fmt.Errorf("scenario: the share %s is not between 0 and 100 percent", name)
	}
	*share = percent
	return nil
}

// The fates of logins, as reports name them.
const (
	neverScanned = "never scanned"
	isCancelled  = "cancelled"
	isReplaced   = "replaced"
	isExpired    = "expired"
	isLate       = "late"
	twoPeople    = "two people"
	scannedTwice = "scanned twice"
	reconnected  = "reconnected"
	lostAck      = "lost ack"
	plain        = "plain"
	isDenied     = "denied" // whatever it was meant to be
)

// fate draws what happens to a login from the login's own stream.
func (m Mix) fate(r *rand.Rand) string {
	x := r.Float64() * 100
	for _, f := range []struct {
		percent float64
		name    string
	}{
		{m.NeverScan, neverScanned}, {m.Cancelled, isCancelled}, {m.Replaced, isReplaced},
		{m.Expired, isExpired}, {m.Late, isLate}, {m.TwoPeople, twoPeople}, {m.Rescan, scannedTwice},
		{m.Reconnect, reconnected}, {m.LostAck, lostAck},
	} {
		if x < f.percent {
			return f.name
		}
		x -= f.percent
	}
	return plain
}

// rule is a fault of the simulator (docs/wechat.md §6 item 8), as its API takes it.
type rule struct {
	Kind        string  `json:"kind"`
	Event       string  `json:"event,omitempty"`
	Person      string  `json:"person,omitempty"`
	API         string  `json:"api,omitempty"`
	Nth         int     `json:"nth,omitempty"`
	Times       int     `json:"times,omitempty"`
	Probability float64 `json:"probability,omitempty"`
	MS          int     `json:"ms,omitempty"`
	Count       int     `json:"count,omitempty"`
	Seconds     int     `json:"seconds,omitempty"`
	Replica     int     `json:"replica,omitempty"`
	Status      int     `json:"status,omitempty"`
	ErrCode     int     `json:"errcode,omitempty"`
}

// rules are the faults of pushes that the mix asks for.
func (m Mix) rules() []rule {
	rules := []rule{}
	add := func(percent float64, r rule) {
		if percent > 0 {
			r.Probability = percent / 100
			rules = append(rules, r)
		}
	}
	add(m.Duplicates/2, rule{Kind: "duplicate", Count: 2})
	add(m.Duplicates/2, rule{Kind: "duplicate", Count: 1, MS: 2500})
	add(m.Delays, rule{Kind: "delay", MS: 800})
	add(m.Reorders, rule{Kind: "reorder"})
	return rules
}
