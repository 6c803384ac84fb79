package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"posthouse/adapter"
)

// clusterNamespaces are those of the gateway; their adapters' numbers are summed up.
var clusterNamespaces = []string{"/", "/login"}

// clusterCollector shows what the adapters and the relay count. It exists only with
// Redis.
type clusterCollector struct{ app *App }

type clusterMetric struct {
	desc    *prometheus.Desc
	kind    prometheus.ValueType
	valueOf func(a adapter.Stats, r adapter.RelayStats) float64
	tags    []string
}

var clusterMetrics = func() (all []clusterMetric) {
	add := func(name, help string, labels []string, tags []string, kind prometheus.ValueType, of func(adapter.Stats, adapter.RelayStats) float64) {
		all = append(all, clusterMetric{prometheus.NewDesc("socketio_"+name, help, labels, nil), kind, of, tags})
	}
	counter := func(name, help string, of func(adapter.Stats, adapter.RelayStats) float64) {
		add(name, help, nil, nil, prometheus.CounterValue, of)
	}
	gauge := func(name, help string, of func(adapter.Stats, adapter.RelayStats) float64) {
		add(name, help, nil, nil, prometheus.GaugeValue, of)
	}
	counter("adapter_published_total", "Messages that Redis took.", func(a adapter.Stats, _ adapter.RelayStats) float64 { return float64(a.Published) })
	counter("adapter_received_total", "Messages of other replicas that were acted on.", func(a adapter.Stats, _ adapter.RelayStats) float64 { return float64(a.Received) })
	counter("adapter_reconnects_total", "Subscriptions that were made again.", func(a adapter.Stats, _ adapter.RelayStats) float64 { return float64(a.Resubscribed) })
	counter("adapter_gaps_total", "Times entries of a stream went unread.", func(a adapter.Stats, _ adapter.RelayStats) float64 { return float64(a.StreamGaps) })
	gauge("adapter_lag_seconds", "From here through Redis and back, by the slowest adapter's last probe.", func(a adapter.Stats, _ adapter.RelayStats) float64 { return a.Lag.Seconds() })
	gauge("cluster_nodes", "Replicas that live, this one included.", func(a adapter.Stats, _ adapter.RelayStats) float64 { return float64(a.Nodes + 1) })
	for reason, of := range map[string]func(adapter.Stats) uint64{
		"failed":    func(a adapter.Stats) uint64 { return a.PublishFailed },
		"refused":   func(a adapter.Stats) uint64 { return a.PublishRefused },
		"own":       func(a adapter.Stats) uint64 { return a.Own },
		"foreign":   func(a adapter.Stats) uint64 { return a.Foreign },
		"malformed": func(a adapter.Stats) uint64 { return a.Malformed },
		"unknown":   func(a adapter.Stats) uint64 { return a.Unknown },
		"overload":  func(a adapter.Stats) uint64 { return a.RequestsLost },
	} {
		add("adapter_dropped_total", "Messages that were not published or not acted on.", []string{"reason"}, []string{reason}, prometheus.CounterValue,
			func(a adapter.Stats, _ adapter.RelayStats) float64 { return float64(of(a)) })
	}
	for i, kind := range adapter.RequestKinds() {
		requests := func(result string, of func(adapter.RequestStats) uint64) {
			add("adapter_requests_total", "Requests to other replicas, by what was asked.", []string{"kind", "result"}, []string{kind, result}, prometheus.CounterValue,
				func(a adapter.Stats, _ adapter.RelayStats) float64 { return float64(of(a.ByKind[i])) })
		}
		requests("ok", func(r adapter.RequestStats) uint64 { return r.Sent - min(r.Failed, r.Sent) })
		requests("failed", func(r adapter.RequestStats) uint64 { return r.Failed })
	}
	for result, of := range map[string]func(adapter.RelayStats) uint64{
		"relayed":    func(r adapter.RelayStats) uint64 { return r.Relayed },
		"unknown":    func(r adapter.RelayStats) uint64 { return r.Unknown },
		"failed":     func(r adapter.RelayStats) uint64 { return r.Failed },
		"untrusted":  func(r adapter.RelayStats) uint64 { return r.Untrusted },
		"taken_back": func(r adapter.RelayStats) uint64 { return r.TakenBack },
	} {
		add("relay_requests_total", "Requests of sessions that other replicas hold, and what happened to owners' entries in Redis.", []string{"result"}, []string{result},
			prometheus.CounterValue, func(_ adapter.Stats, r adapter.RelayStats) float64 { return float64(of(r)) })
	}
	gauge("relay_sockets", "WebSockets that are relayed to other replicas.", func(_ adapter.Stats, r adapter.RelayStats) float64 { return float64(r.Sockets) })
	return all
}()

// Describe implements prometheus.Collector.
func (c *clusterCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range clusterMetrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *clusterCollector) Collect(ch chan<- prometheus.Metric) {
	sum, relayed := c.sumStats(), c.app.relay.Stats()
	for _, m := range clusterMetrics {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.valueOf(sum, relayed), m.tags...)
	}
}

// sumStats is the sum of the adapters' numbers; of lags and nodes it is the largest.
func (c *clusterCollector) sumStats() (sum adapter.Stats) {
	for _, name := range clusterNamespaces {
		if c.app.ioServer == nil {
			return sum
		}
		a, ok := c.app.ioServer.Of(name).Adapter().(interface{ Stats() adapter.Stats })
		if !ok {
			continue
		}
		sum = sum.Plus(a.Stats())
	}
	return sum
}
