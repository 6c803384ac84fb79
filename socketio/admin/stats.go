package admin

import (
	"slices"
	"strings"
	"time"

	"posthouse/socketio/engineio"
)

// statsInterval is how often server_stats goes out; the page takes a server for unhealthy
// that is silent for ten seconds.
const statsInterval = 2 * time.Second

// serverStats is the argument of server_stats.
type serverStats struct {
	ServerID            string            `json:"serverId"`
	Hostname            string            `json:"hostname"`
	PID                 int               `json:"pid"`
	Uptime              float64           `json:"uptime"` // seconds
	ClientsCount        int               `json:"clientsCount"`
	PollingClientsCount int               `json:"pollingClientsCount"`
	AggregatedEvents    []aggregatedEvent `json:"aggregatedEvents"`
	Namespaces          []namespaceStats  `json:"namespaces"`
	// DroppedEvents are those above the budget since the start. The page ignores it.
	DroppedEvents uint64 `json:"droppedEvents"`
}

type namespaceStats struct {
	Name         string `json:"name"`
	SocketsCount int    `json:"socketsCount"`
}

// aggregatedEvent is how often something happened since the last server_stats.
type aggregatedEvent struct {
	Timestamp int64  `json:"timestamp"` // milliseconds of a whole second
	Type      string `json:"type"`
	SubType   string `json:"subType,omitempty"`
	Count     uint64 `json:"count"`
}

// statsReporter remembers the counters of the last server_stats. Only runStats uses it.
type statsReporter struct {
	last engineio.Stats
}

// runStats sends server_stats, the first at once.
func (a *Admin) runStats() {
	tick := time.NewTicker(statsInterval)
	defer tick.Stop()
	for {
		a.forgetNamespaces()
		_ = a.namespace.Emit("server_stats", a.currentStats(time.Now())) // a closed adapter ends with the server
		select {
		case <-tick.C:
		case <-a.ctx.Done():
			return
		}
	}
}

func (a *Admin) currentStats(now time.Time) serverStats {
	engine := a.io.Engine().Stats()
	s := serverStats{
		ServerID: a.options.ServerID, Hostname: a.hostname, PID: pid(), Uptime: now.Sub(a.startedAt).Seconds(),
		ClientsCount: int(sum(engine.Sessions)), PollingClientsCount: int(engine.Sessions["polling"]),
		AggregatedEvents: a.reporter.report(engine, now), Namespaces: []namespaceStats{},
		DroppedEvents: a.counts.dropped.Load(),
	}
	// The page merges lists by index: they must stay sorted alike.
	for _, n := range a.io.Namespaces() {
		s.Namespaces = append(s.Namespaces, namespaceStats{n.Name(), n.Len()})
	}
	return s
}

// report is what happened since the last call.
func (r *statsReporter) report(now engineio.Stats, at time.Time) []aggregatedEvent {
	events := []aggregatedEvent{}
	second := at.Truncate(time.Second).UnixMilli()
	add := func(kind, subType string, count uint64) {
		if count > 0 {
			events = append(events, aggregatedEvent{second, kind, subType, count})
		}
	}
	add("rawConnection", "", sum(now.Opened)-sum(r.last.Opened))
	for reason, count := range now.Closed {
		add("rawDisconnection", string(reason), count-r.last.Closed[reason])
	}
	add("packetsIn", "", now.PacketsIn-r.last.PacketsIn)
	add("packetsOut", "", now.PacketsOut-r.last.PacketsOut)
	add("bytesIn", "", now.BytesIn-r.last.BytesIn)
	add("bytesOut", "", now.BytesOut-r.last.BytesOut)
	slices.SortFunc(events, func(a, b aggregatedEvent) int {
		return strings.Compare(a.Type+a.SubType, b.Type+b.SubType)
	})
	r.last = now
	return events
}

func sum(counts map[string]uint64) (total uint64) {
	for _, count := range counts {
		total += count
	}
	return total
}
