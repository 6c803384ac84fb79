package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// limit is a bound of what clients may do, as GET /debug/limits and docs/operations.md
// show it.
type limit struct {
	row     int    // of docs/reliability.md §4
	name    string // the reason label of posthouse_refused_total where there is one
	setting string // that changes it; "" when it is fixed
	value   string // the default
	place   string // where it is enforced
	answer  string // what the client gets

	current func(*Config) string // nil: value
	use     func(*App) int64     // nil: there is no use to show
	refused func(*App) uint64    // nil: by name
}

// limits are in the order of docs/reliability.md §4.
var limits = []limit{
	{row: 1, name: "handshakes_per_ip", setting: "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP", value: "10/s", place: "admission", answer: "429",
		current: func(c *Config) string { return rateText(c.LimitHandshakes) }},
	{row: 1, name: "connections_per_ip", setting: "POSTHOUSE_LIMIT_CONNECTIONS_PER_IP", value: "64", place: "admission", answer: "429",
		current: func(c *Config) string { return countText(c.LimitConnections) }},
	{row: 1, name: "tcp_connections_per_ip", setting: "POSTHOUSE_LIMIT_CONNECTIONS_PER_IP", value: "four for each of these", place: "accept", answer: "429"},
	{row: 2, name: "handshakes_per_node", setting: "POSTHOUSE_LIMIT_HANDSHAKES_PER_NODE", value: "500/s", place: "admission", answer: "503",
		current: func(c *Config) string { return rateText(c.LimitHandshakesNode) }},
	{row: 2, name: "connections", setting: "POSTHOUSE_LIMIT_CONNECTIONS", value: "50000", place: "admission", answer: "503",
		current: func(c *Config) string { return countText(c.LimitConnectionsNode) }, use: func(a *App) int64 { return a.admission.openConns.Load() }},
	{row: 2, name: "descriptors", value: "a share of the limit of open files", place: "accept and admission", answer: "503"},
	{row: 2, name: "memory", setting: "POSTHOUSE_LIMIT_MEMORY", value: "85%", place: "admission", answer: "503",
		current: func(c *Config) string { return percentText(c.LimitMemory) }, use: func(a *App) int64 { return int64(a.admission.memory.currentShare() * 100) }},
	{row: 17, name: "events", setting: "limits.events of a namespace", value: "50/s, 100 at once", place: "socket", answer: "rate_limited, then the end of the connection"},
	{row: 17, name: "login_events", value: "5/s, 10 at once", place: "/login", answer: "rate_limited"},
	{row: 17, name: "signup_messages", value: "5/s, 10 at once", place: "/ws/signup", answer: "the end of the connection"},
	{row: 19, name: "slow", value: "1 MiB waiting and nothing taken for 10 s, or 16 MiB", place: "session", answer: "transport error",
		use:     func(a *App) int64 { return a.ioServer.Engine().QueuedBytes() },
		refused: func(a *App) uint64 { return a.ioServer.Engine().Stats().SlowClosed }},
	{row: 25, name: "origin", setting: "POSTHOUSE_ORIGINS", value: "the own origin", place: "admission", answer: "403"},
	{row: 31, name: "webhook", setting: "POSTHOUSE_LIMIT_WEBHOOK", value: "200", place: "webhook", answer: "429 or 503",
		current: func(c *Config) string { return countText(c.LimitWebhook) }, refused: func(a *App) uint64 { return a.metrics.webhookFloods.Load() }},
	{row: 35, name: "qrcodes_per_socket", setting: "POSTHOUSE_LIMIT_QRCODES_PER_SOCKET", value: "6/m", place: "/login", answer: "rate_limited",
		current: func(c *Config) string { return rateText(c.LimitQRCodesSocket) }},
	{row: 35, name: "qrcodes_per_browser", setting: "POSTHOUSE_LIMIT_QRCODES_PER_BROWSER", value: "20/m", place: "/login", answer: "rate_limited",
		current: func(c *Config) string { return rateText(c.LimitQRCodesBrowser) }},
	{row: 35, name: "qrcodes_per_ip", setting: "POSTHOUSE_LIMIT_QRCODES_PER_IP", value: "30/m", place: "/login", answer: "rate_limited",
		current: func(c *Config) string { return rateText(c.LimitQRCodesIP) }},
	{row: 35, name: "qr_images_per_ip", setting: "POSTHOUSE_LIMIT_QRCODES_PER_IP", value: "two for each of these", place: "pages", answer: "429"},
	{row: 35, name: "failures_per_socket", value: "30/m", place: "/login", answer: "rate_limited"},
	{row: 35, name: "failures_per_ip", value: "600/m", place: "/login", answer: "rate_limited"},
	{row: 37, name: "exchanges_per_ip", setting: "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP", value: "10/s", place: "/login/exchange", answer: "429",
		current: func(c *Config) string { return rateText(c.LimitHandshakes) }},
	{row: 37, name: "authorizations_per_ip", setting: "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP", value: "10/s, 200 at once", place: "/oauth/authorize", answer: "429",
		current: func(c *Config) string { return rateText(c.LimitHandshakes) }},
	{row: 37, name: "client_secrets_per_ip", value: "60/m wrong ones", place: "/oauth/token", answer: "429"},
	{row: 43, name: "pprof", setting: "POSTHOUSE_PPROF", value: "loopback", place: "metrics listener", answer: "403"},
}

// limitOff is a limit that is switched off, as in the configuration.
const limitOff = "off"

func rateText(r Rate) string {
	switch {
	case r.Off:
		return limitOff
	case r.Per == time.Minute:
		return strconv.Itoa(r.N) + "/m"
	case r.Per == time.Hour:
		return strconv.Itoa(r.N) + "/h"
	}
	return strconv.Itoa(r.N) + "/s"
}

func countText(c Count) string {
	if c.Off {
		return limitOff
	}
	return strconv.Itoa(c.N)
}

func percentText(p Percent) string {
	if p.Off {
		return limitOff
	}
	return strconv.Itoa(p.N) + "%"
}

// limitReport is a limit in the answer of /debug/limits.
type limitReport struct {
	Row     int    `json:"row"`
	Name    string `json:"name"`
	Setting string `json:"setting,omitempty"`
	Value   string `json:"value"`
	Place   string `json:"place"`
	Answer  string `json:"answer"`
	Use     *int64 `json:"use,omitempty"`
	Refused uint64 `json:"refused"`
}

func (a *App) reportLimits() (all []limitReport) {
	for i := range limits {
		l := &limits[i]
		r := limitReport{Row: l.row, Name: l.name, Setting: l.setting, Value: l.value, Place: l.place, Answer: l.answer}
		if l.current != nil {
			r.Value = l.current(&a.config)
		}
		if l.use != nil {
			n := l.use(a)
			r.Use = &n
		}
		if l.refused != nil {
			r.Refused = l.refused(a)
		} else {
			r.Refused = a.metrics.refusals.refusedBy(l.name)
		}
		all = append(all, r)
	}
	return all
}

// serveLimits answers GET /debug/limits: each limit, its use and its refusals.
func (a *App) serveLimits(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(struct {
		Limits []limitReport `json:"limits"`
	}{a.reportLimits()}) // the peer may be gone
}
