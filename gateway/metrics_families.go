package gateway

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"posthouse/socketio/access"
	"posthouse/socketio/hook"
)

// family is one metric of the gateway. The list of them is the documentation
// (docs/operations.md), the dashboard and, where the library counts, the collector.
type family struct {
	name, kind, help string
	labels           []string
	onlyRedis        bool
	unit             string // of the dashboard, in Grafana's words; "" for plain numbers

	desc *prometheus.Desc // of those that socketioCollector shows
}

// collected describes a family of socketioCollector.
func collected(name, kind, help string, labels ...string) family {
	return family{name: name, kind: kind, help: help, labels: labels, desc: prometheus.NewDesc(name, help, labels, nil)}
}

func described(name, kind, help string, labels ...string) family {
	return family{name: name, kind: kind, help: help, labels: labels}
}

// families are in the order of the documentation.
var families = func() []family {
	all := []family{
		collected("socketio_connections", "gauge", "Engine.IO connections that are open.", "transport"),
		collected("socketio_sockets", "gauge", "Sockets that are connected; namespaces that are not configured are \"other\".", "namespace"),
		collected("socketio_connections_opened_total", "counter", "Connections that began, by their first transport.", "transport"),
		collected("socketio_connections_closed_total", "counter", "Connections that ended.", "reason"),
		collected("socketio_connect_errors_total", "counter", "Requests refused by the engine, by its code, and CONNECTs refused in a namespace.", "code"),
		collected("socketio_upgrades_total", "counter", "Upgrades from polling.", "result"),
		collected("socketio_packets_total", "counter", "Messages of clients and to clients, without heartbeats.", "direction"),
		collected("socketio_bytes_total", "counter", "Bytes of these messages, before compression.", "direction"),
		collected("socketio_events_total", "counter", "Events, one for each receiver.", "namespace", "direction"),
		described("socketio_event_seconds", "histogram", "Time that the handlers of an event took.", "namespace"),
		described("socketio_ack_seconds", "histogram", "Time until the acknowledgement of a client came."),
		described("socketio_flush_seconds", "histogram", "Time from a send until nothing waits for that client, of every sixteenth."),
		collected("socketio_send_queue_bytes", "gauge", "Bytes that wait for clients."),
		collected("socketio_mailbox_events", "gauge", "Events that wait for their handlers."),
		collected("socketio_slow_closed_total", "counter", "Connections closed because the client took nothing."),
		collected("socketio_recovered_total", "counter", "Clients that came back with a session.", "result"),
		described("socketio_adapter_published_total", "counter", "Messages that Redis took."),
		described("socketio_adapter_received_total", "counter", "Messages of other replicas that were acted on."),
		described("socketio_adapter_lag_seconds", "gauge", "From here through Redis and back, by the slowest adapter's last probe."),
		described("socketio_adapter_requests_total", "counter", "Requests to other replicas, by what was asked.", "kind", "result"),
		described("socketio_adapter_reconnects_total", "counter", "Subscriptions that were made again."),
		described("socketio_adapter_gaps_total", "counter", "Times entries of a stream went unread."),
		described("socketio_adapter_dropped_total", "counter", "Messages that were not published or not acted on.", "reason"),
		described("socketio_relay_requests_total", "counter", "Requests of sessions that other replicas hold.", "result"),
		described("socketio_relay_sockets", "gauge", "WebSockets that are relayed to other replicas."),
		described("socketio_cluster_nodes", "gauge", "Replicas that live, this one included."),
		described("posthouse_connections", "gauge", "Open Engine.IO connections."),
		collected("posthouse_memory_share", "gauge", "Memory in use of what the cgroup or GOMEMLIMIT allows: 1 is the limit, 0 that there is none."),
		described("posthouse_refused_total", "counter", "Requests and events refused, by the limit they met.", "limit"),
		described("posthouse_login_total", "counter", "What happened to logins: attempts that ended, claims, exchanges, spooled claims.", "what", "account", "reason"),
		described("posthouse_login_stage_total", "counter", "Logins that reached a stage: shown, scanned, claimed, delivered.", "stage"),
		described("posthouse_login_stage_seconds", "histogram", "Time of a login since the stage before.", "stage"),
		collected("posthouse_spool_claims", "gauge", "Claims that wait for the store."),
		collected("posthouse_wechat_quota_remaining", "gauge", "QR codes that the account may still make today.", "account"),
		described("posthouse_webhook_seconds", "histogram", "Answers to pushes from WeChat.", "account", "kind", "answer"),
		described("posthouse_webhook_events_total", "counter", "Pushes refused, claims and faults of the webhook.", "what", "account", "reason"),
		described("posthouse_wechat_api_total", "counter", "Calls of WeChat's API.", "account", "api", "outcome"),
		described("posthouse_panics_total", "counter", "Panics of tasks that were recovered: a bug to report, with the log's stack.", "task"),
		collected("posthouse_namespace_refused_total", "counter", "Events that the rules of configured namespaces refused.", "code"),
		collected("posthouse_jwks_total", "counter", "Fetches of key sets that failed, and answers from an old set.", "result"),
		collected("posthouse_hook_total", "counter", "Requests to the back ends of configured namespaces.", "result"),
		collected("posthouse_hook_disconnects", "gauge", "Disconnects that wait to be posted."),
	}
	for i := range all {
		f := &all[i]
		switch {
		case hasAnyPrefix(f.name, "socketio_adapter_", "socketio_relay_", "socketio_cluster_"):
			f.onlyRedis = true
		}
		switch {
		case hasAnySuffix(f.name, "_seconds"):
			f.unit = "s"
		case hasAnySuffix(f.name, "_bytes", "_bytes_total"):
			f.unit = "bytes"
		}
	}
	return all
}()

func findFamily(name string) *family {
	for i := range families {
		if families[i].name == name {
			return &families[i]
		}
	}
	return nil
}

func hasAnyPrefix(name string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

func hasAnySuffix(name string, suffixes ...string) bool {
	return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
}

// productSamples are the gauges of the gateway itself and the counters of its parts.
func (a *App) productSamples() (all []sample) {
	add := func(family string, value float64, labels ...string) { all = append(all, sample{family, value, labels}) }
	waiting := 0
	if a.spool != nil {
		waiting = a.spool.Len()
	}
	add("posthouse_spool_claims", float64(waiting))
	add("posthouse_memory_share", a.admission.memory.currentShare())
	if a.accounts != nil {
		for _, account := range a.accounts.inOrder {
			if left, known := account.dailyBudget.remaining(); known {
				add("posthouse_wechat_quota_remaining", float64(left), account.Name)
			}
		}
	}
	if a.namespaces == nil {
		return all
	}
	var refused access.Stats
	for _, rules := range a.namespaces.rules {
		st := rules.Stats()
		refused.Forbidden += st.Forbidden
		refused.BadRequest += st.BadRequest
		refused.Unavailable += st.Unavailable
		refused.Other += st.Other
	}
	add("posthouse_namespace_refused_total", float64(refused.Forbidden), "forbidden")
	add("posthouse_namespace_refused_total", float64(refused.BadRequest), "bad_request")
	add("posthouse_namespace_refused_total", float64(refused.Unavailable), "unavailable")
	add("posthouse_namespace_refused_total", float64(refused.Other), otherLabel)
	retired := a.namespaces.retiredStats.Load()
	failures, stale := retired.Failures, retired.Stale
	for _, set := range *a.namespaces.keySets.Load() {
		st := set.keys.Stats()
		failures += st.Failures
		stale += st.Stale
	}
	add("posthouse_jwks_total", float64(failures), "failed")
	add("posthouse_jwks_total", float64(stale), "stale")
	var hooks hook.Stats
	for _, client := range a.namespaces.hooks {
		st := client.Stats()
		hooks.Posted += st.Posted
		hooks.Failed += st.Failed
		hooks.Refused += st.Refused
		hooks.Dropped += st.Dropped
		hooks.Disconnects += st.Disconnects
	}
	add("posthouse_hook_total", float64(hooks.Posted), "posted")
	add("posthouse_hook_total", float64(hooks.Failed), "failed")
	add("posthouse_hook_total", float64(hooks.Refused), "refused")
	add("posthouse_hook_total", float64(hooks.Dropped), "dropped")
	add("posthouse_hook_disconnects", float64(hooks.Disconnects))
	return all
}
