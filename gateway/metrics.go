package gateway

import (
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"posthouse/internal/login"
)

// metrics are what operators watch. Labels come from closed sets only: nothing a
// client sends becomes a label.
type metrics struct {
	registry *prometheus.Registry

	refusals      *refusals
	loginEvents   *prometheus.CounterVec // by metric, account and reason
	answerTimes   *prometheus.HistogramVec
	webhookEvents *prometheus.CounterVec // by account, what and reason
	apiErrors     *prometheus.CounterVec // by account, api and class of the error
	panics        *prometheus.CounterVec // by task

	eventTimes           *prometheus.HistogramVec // by namespace
	ackTimes, flushTimes prometheus.Histogram
	stageCounts          *prometheus.CounterVec // of logins
	stageTimes           *prometheus.HistogramVec
	namespaceLabels      []string                       // the names that may become labels
	eventTimesByName     map[string]prometheus.Observer // of namespaceLabels and otherLabel
	webhookFloods        atomic.Uint64                  // pushes refused because too many came
	limitsPage           http.HandlerFunc               // GET /debug/limits; nil: there is none
	knownAccounts        map[string]bool                // the names that may become labels; nil: any name
	reasonSeries         reasonSeries                   // of logins and pushes
}

func newMetrics(connections func() float64) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "posthouse", Name: name, Help: help}, labels)
	}
	refused := counter("refused_total", "Requests and events refused, by the limit they met.", "limit")
	m := &metrics{
		registry:    prometheus.NewRegistry(),
		refusals:    newRefusals(refused),
		loginEvents: counter("login_total", "What happened to logins: attempts that ended, claims, exchanges, spooled claims.", "what", "account", "reason"),
		answerTimes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "posthouse", Name: "webhook_seconds", Help: "Answers to pushes from WeChat, by account, kind and answer.",
			NativeHistogramBucketFactor: bucketFactor, NativeHistogramMaxBucketNumber: maxBuckets, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"account", "kind", "answer"}),
		webhookEvents: counter("webhook_events_total", "Pushes refused, claims and faults of the webhook.", "what", "account", "reason"),
		apiErrors:     counter("wechat_api_total", "Calls of WeChat's API, by account, API and outcome.", "account", "api", "outcome"),
		panics:        counter("panics_total", "Panics of tasks of the gateway that were recovered, by task.", "task"),
	}
	m.eventTimes = prometheus.NewHistogramVec(histogramOf("socketio_event_seconds"), []string{"namespace"})
	m.ackTimes = prometheus.NewHistogram(histogramOf("socketio_ack_seconds"))
	m.flushTimes = prometheus.NewHistogram(histogramOf("socketio_flush_seconds"))
	m.stageCounts = counter("login_stage_total", findFamily("posthouse_login_stage_total").help, "stage")
	m.stageTimes = prometheus.NewHistogramVec(histogramOf("posthouse_login_stage_seconds"), []string{"stage"})
	m.fillLabels()
	m.knowNamespaces(nil)
	m.registry.MustRegister(m.eventTimes, m.ackTimes, m.flushTimes, m.stageCounts, m.stageTimes)
	m.registry.MustRegister(refused, m.loginEvents, m.answerTimes, m.webhookEvents, m.apiErrors, m.panics,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "posthouse", Name: "connections", Help: "Open Engine.IO connections."}, connections),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// The buckets of histograms are native ones (Prometheus 2.40 and later): as fine as this
// factor, as many as this, and one series for each set of labels.
const (
	bucketFactor = 1.1
	maxBuckets   = 100
)

func histogramOf(name string) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: findFamily(name).help,
		NativeHistogramBucketFactor: bucketFactor, NativeHistogramMaxBucketNumber: maxBuckets, NativeHistogramMinResetDuration: time.Hour,
	}
}

// loginStages are the stages of a login, in their order.
var loginStages = []string{login.StageShown, login.StageScanned, login.StageClaimed, login.StageDelivered}

// fillLabels makes the series that are there from the start, at 0.
func (m *metrics) fillLabels() {
	for _, stage := range loginStages {
		m.stageCounts.WithLabelValues(stage)
		m.stageTimes.WithLabelValues(stage)
	}
	for limit := range refusalFixes {
		m.refusals.counter.WithLabelValues(limit)
	}
	for _, limit := range quietRefusals {
		m.refusals.counter.WithLabelValues(limit)
	}
	for _, task := range guardedTasks {
		m.panics.WithLabelValues(task)
	}
}

// Stage implements login.StageCounter.
func (m *metrics) Stage(stage string, took time.Duration) {
	m.stageCounts.WithLabelValues(stage).Inc()
	m.stageTimes.WithLabelValues(stage).Observe(max(took, 0).Seconds())
}

// handler serves /metrics and /debug/pprof; it belongs on a listener of its own.
// Profiles show memory, so only peers on this machine get them unless everywhere is
// set.
func (m *metrics) handler(everywhere bool) http.Handler {
	mux := http.NewServeMux()
	if m.limitsPage != nil {
		mux.HandleFunc("GET /debug/limits", m.limitsPage)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	profiles := http.NewServeMux()
	profiles.HandleFunc("/debug/pprof/", pprof.Index)
	profiles.HandleFunc("/debug/pprof/profile", pprof.Profile)
	profiles.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	profiles.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/", func(w http.ResponseWriter, r *http.Request) {
		if !everywhere && !peerAddr(r.RemoteAddr).IsLoopback() {
			m.refusals.countRefusal("pprof", "peer", r.RemoteAddr)
			http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
			return
		}
		profiles.ServeHTTP(w, r)
	})
	return mux
}

// Count implements login.Counter. The account and the reason may have been read from
// Redis, where anybody may have written them: an account that is not configured, and
// a reason that has not the shape of one, become "other".
func (m *metrics) Count(metric, account, reason string) {
	m.loginEvents.WithLabelValues(m.reasonSeries.labelsOf("login", metric, m.accountLabel(account), reason)).Inc()
}

// apiCounter counts one account's calls of WeChat's API.
type apiCounter struct {
	metrics *metrics
	account string
}

func (c apiCounter) APICall(api, outcome string, _ int) {
	c.metrics.apiErrors.WithLabelValues(c.account, api, outcome).Inc()
}

// webhookCounter implements callback.Metrics.
type webhookCounter struct{ metrics *metrics }

func (c webhookCounter) Answered(account, kind, answer string, took time.Duration) {
	c.metrics.answerTimes.WithLabelValues(c.metrics.accountLabel(account), kind, answer).Observe(took.Seconds())
}

func (c webhookCounter) Refused(account, reason string) {
	if reason == "flood" || reason == "busy" {
		c.metrics.webhookFloods.Add(1)
	}
	c.metrics.countPush("refused", account, reason)
}

func (m *metrics) countPush(what, account, reason string) {
	m.webhookEvents.WithLabelValues(m.reasonSeries.labelsOf("webhook", what, m.accountLabel(account), reason)).Inc()
}

func (c webhookCounter) Claimed(account, outcome string) {
	c.metrics.countPush("claim", account, outcome)
}

func (c webhookCounter) Fault(account, what string) {
	c.metrics.countPush("fault", account, what)
}
