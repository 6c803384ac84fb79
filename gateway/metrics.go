package gateway

import (
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what operators watch. Labels come from closed sets only: nothing a
// client sends becomes a label.
type metrics struct {
	registry *prometheus.Registry

	refused  *prometheus.CounterVec // by limit
	logins   *prometheus.CounterVec // by account and reason of the end
	webhook  *prometheus.CounterVec // by account and answer
	api      *prometheus.CounterVec // by account, api and class of the error
	delivery prometheus.Histogram   // seconds from the webhook to the token's acknowledgement
	spool    prometheus.Gauge       // claims waiting in the local file
}

func newMetrics(connections func() float64) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "posthouse", Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		refused:  counter("refused_total", "Requests and events refused, by the limit they met.", "limit"),
		logins:   counter("login_attempts_total", "Login attempts that ended, by account and reason.", "account", "reason"),
		webhook:  counter("webhook_total", "Pushes from WeChat, by account and answer.", "account", "answer"),
		api:      counter("wechat_api_total", "Calls of WeChat's API, by account, API and outcome.", "account", "api", "outcome"),
		delivery: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "posthouse", Name: "login_delivery_seconds", Help: "From the webhook to the delivered token.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		spool: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "posthouse", Name: "spool_claims", Help: "Claims that wait in the local file for Redis."}),
	}
	m.registry.MustRegister(m.refused, m.logins, m.webhook, m.api, m.delivery, m.spool,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "posthouse", Name: "connections", Help: "Open Engine.IO connections."}, connections),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// handler serves /metrics and /debug/pprof; it belongs on a listener of its own.
func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
