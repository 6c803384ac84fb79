package gateway

import (
	"cmp"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"posthouse/socketio"
)

// socketioCollector shows what the library counts, and asks it only when metrics are
// asked for.
type socketioCollector struct{ app *App }

// sample is one series of the library's counters.
type sample struct {
	family string
	value  float64
	labels []string
}

// Describe implements prometheus.Collector.
func (c *socketioCollector) Describe(ch chan<- *prometheus.Desc) {
	for i := range families {
		if families[i].desc != nil {
			ch <- families[i].desc
		}
	}
}

// Collect implements prometheus.Collector.
func (c *socketioCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.samples() {
		f := findFamily(s.family)
		kind := prometheus.CounterValue
		if f.kind == "gauge" {
			kind = prometheus.GaugeValue
		}
		ch <- prometheus.MustNewConstMetric(f.desc, kind, s.value, s.labels...)
	}
}

func (c *socketioCollector) samples() (all []sample) {
	io := c.app.ioServer
	if io == nil { // metrics are built before the server
		return nil
	}
	add := func(family string, value float64, labels ...string) { all = append(all, sample{family, value, labels}) }
	st := io.Stats()
	e := st.Engine
	for transport, n := range e.Sessions {
		add("socketio_connections", float64(n), transport)
	}
	for transport, n := range e.Opened {
		add("socketio_connections_opened_total", float64(n), transport)
	}
	for reason, n := range e.Closed {
		add("socketio_connections_closed_total", float64(n), string(reason))
	}
	for code, n := range e.Refused {
		add("socketio_connect_errors_total", float64(n), strconv.Itoa(code))
	}
	add("socketio_connect_errors_total", float64(st.ConnectErrors), "namespace")
	for result, n := range e.Upgrades {
		add("socketio_upgrades_total", float64(n), result)
	}
	add("socketio_packets_total", float64(e.PacketsIn), "in")
	add("socketio_packets_total", float64(e.PacketsOut), "out")
	add("socketio_bytes_total", float64(e.BytesIn), "in")
	add("socketio_bytes_total", float64(e.BytesOut), "out")
	for name, n := range c.byLabel(&st) {
		add("socketio_sockets", float64(n.Sockets), name)
		add("socketio_events_total", float64(n.EventsIn), name, "in")
		add("socketio_events_total", float64(n.EventsOut), name, "out")
	}
	add("socketio_send_queue_bytes", float64(io.Engine().QueuedBytes()))
	add("socketio_mailbox_events", float64(io.WaitingEvents()))
	add("socketio_slow_closed_total", float64(e.SlowClosed))
	add("socketio_recovered_total", float64(st.Recovered), "ok")
	add("socketio_recovered_total", float64(st.NotRecovered), "failed")
	return append(all, c.app.productSamples()...)
}

// byLabel sums the namespaces up: a name that is not configured was chosen by a client.
func (c *socketioCollector) byLabel(st *socketio.Stats) map[string]socketio.NamespaceStats {
	sums := map[string]socketio.NamespaceStats{otherLabel: st.Former}
	for _, label := range c.app.metrics.namespaceLabels {
		sums[label] = socketio.NamespaceStats{}
	}
	add := func(name string, n socketio.NamespaceStats) {
		label := c.app.metrics.namespaceLabel(name)
		sum := sums[label]
		sum.Sockets += n.Sockets
		sum.EventsIn += n.EventsIn
		sum.EventsOut += n.EventsOut
		sums[label] = sum
	}
	for name, n := range st.Namespaces {
		add(cmp.Or(n.Pattern, name), n)
	}
	for pattern, n := range st.FormerPatterns {
		add(pattern, n)
	}
	return sums
}

// maxNamespaceLabels bounds the series of a configuration with many namespaces; those
// beyond are otherLabel.
const maxNamespaceLabels = 20

// knowNamespaces closes the set of namespaces that may become labels, and makes their
// histograms. It is called before anything is observed.
func (m *metrics) knowNamespaces(configured []Namespace) {
	m.namespaceLabels = []string{"/", "/login"}
	for i := range configured {
		if name := configured[i].Name; len(m.namespaceLabels) < maxNamespaceLabels {
			m.namespaceLabels = append(m.namespaceLabels, labelText(name))
		}
	}
	m.eventTimesByName = map[string]prometheus.Observer{}
	for _, label := range append(m.namespaceLabels, otherLabel) {
		m.eventTimesByName[label] = m.eventTimes.WithLabelValues(label)
	}
}

// labelOf is the name of a configured namespace: for a child of a pattern, the pattern.
func (m *metrics) labelOf(n *socketio.Namespace) string {
	return m.namespaceLabel(cmp.Or(n.Pattern(), n.Name()))
}

func (m *metrics) namespaceLabel(name string) string {
	if _, known := m.eventTimesByName[name]; known {
		return name
	}
	return otherLabel
}

// observer times events and acknowledgements.
func (m *metrics) observer() *socketio.Observer {
	return &socketio.Observer{
		EventHandled: func(e *socketio.Event, start time.Time) {
			m.eventTimesByName[m.labelOf(e.Socket().Namespace())].Observe(time.Since(start).Seconds())
		},
		AckReceived: func(_ *socketio.Socket, start time.Time) { m.ackTimes.Observe(time.Since(start).Seconds()) },
	}
}

// observeFlush is engineio.Options.OnFlush.
func (m *metrics) observeFlush(took time.Duration) { m.flushTimes.Observe(took.Seconds()) }
