package gateway

import "strconv"

// closedBy is the series that counts connections which ended for a reason.
func closedBy(reason string) string {
	return `socketio_connections_closed_total{reason="` + reason + `"}`
}

// connectErrors counts the CONNECTs that namespaces refused.
const connectErrors = `socketio_connect_errors_total{code="namespace"}`

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
	{row: 3, name: "slow_requests", value: "header 5 s; body 10 s without a byte, 1 KB/s after 2 s", place: "HTTP", answer: "the end of the connection"},
	{row: 4, name: "payload", value: "16 KiB; 1 MiB with namespaces, 16 KiB in /login", place: "session", answer: "413 or 1009", metric: closedBy("transport error"),
		current: func(c *Config) string { return strconv.Itoa(payloadLimit(c)) + " bytes" }},
	{row: 6, name: "overlapping_requests", value: "one GET and one POST of a session", place: "session", answer: "400, and the end of the session", metric: closedBy("transport error")},
	{row: 7, name: "fragments", value: "1024, or one for each 1024 bytes of payload; 30 s below 1 KB/s", place: "WebSocket", answer: "1008 or 1009", metric: closedBy("transport error")},
	{row: 8, name: "compression", value: "off", place: "WebSocket", answer: "not negotiated"},
	{row: 9, name: "time_to_connect", value: "10 s", place: "session", answer: "the end of the connection", metric: closedBy("forced close")},
	{row: 10, name: "control_packets", value: "10/s", place: "session", answer: "dropped, then the end of the connection", metric: closedBy("transport error")},
	{row: 11, name: "namespaces_per_connection", value: "16", place: "session", answer: "CONNECT_ERROR", metric: connectErrors},
	{row: 12, name: "refused_connects", value: "32 at once, 10/s", place: "session", answer: "the end of the connection", metric: connectErrors},
	{row: 13, name: "auth_payload", value: "8 KiB", place: "session", answer: "CONNECT_ERROR", metric: connectErrors},
	{row: 14, name: "rooms_per_socket", setting: "limits.rooms of a namespace", value: "256, names of 255 bytes", place: "socket", answer: "forbidden", metric: `posthouse_namespace_refused_total{code="forbidden"}`},
	{row: 15, name: "acks_per_socket", value: "1000 that wait, 10 s each", place: "socket", answer: "the oldest ends with a time-out"},
	{row: 17, name: "events", setting: "limits.events of a namespace", value: "50/s, 100 at once", place: "socket", answer: "rate_limited, then the end of the connection"},
	{row: 17, name: "login_events", value: "5/s, 10 at once", place: "/login", answer: "rate_limited"},
	{row: 17, name: "signup_messages", value: "5/s, 10 at once", place: "/ws/signup", answer: "the end of the connection"},
	{row: 18, name: "events_waiting_per_socket", value: "64, or 1 MiB", place: "socket", answer: "the connection is not read", use: func(a *App) int64 { return int64(a.ioServer.WaitingEvents()) }},
	{row: 19, name: "slow", value: "1 MiB waiting and nothing taken for 10 s, or 16 MiB", place: "session", answer: "transport error", metric: "socketio_slow_closed_total",
		use:     func(a *App) int64 { return a.ioServer.Engine().QueuedBytes() },
		refused: func(a *App) uint64 { return a.ioServer.Engine().Stats().SlowClosed }},
	{row: 21, name: "attachments", value: "10, together one payload, 10 s", place: "session", answer: "the end of the connection", metric: closedBy("forced close")},
	{row: 22, name: "json_depth", value: "32", place: "session", answer: "the end of the connection", metric: closedBy("forced close")},
	{row: 25, name: "origin", setting: "POSTHOUSE_ORIGINS", value: "the own origin", place: "admission", answer: "403"},
	{row: 30, name: "push_age", value: "300 s", place: "webhook", answer: "403, or success without effect", metric: `posthouse_webhook_events_total{what="refused"}`},
	{row: 31, name: "webhook", setting: "POSTHOUSE_LIMIT_WEBHOOK", value: "200", place: "webhook", answer: "429 or 503", metric: `posthouse_webhook_events_total{what="refused"}`,
		current: func(c *Config) string { return countText(c.LimitWebhook) }, refused: func(a *App) uint64 { return a.metrics.webhookFloods.Load() }},
	{row: 31, name: "push_body", value: "64 KiB, 3 s", place: "webhook", answer: "413 or 408", metric: `posthouse_webhook_events_total{what="refused"}`},
	{row: 34, name: "ticket_life", setting: "POSTHOUSE_TICKET_TTL", value: "300s", place: "/login", answer: "expired", metric: `posthouse_login_total{what="attempt"}`,
		current: func(c *Config) string { return c.TicketTTL.String() }},
	{row: 35, name: "qrcodes_per_socket", setting: "POSTHOUSE_LIMIT_QRCODES_PER_SOCKET", value: "6/m", place: "/login", answer: "rate_limited",
		current: func(c *Config) string { return rateText(c.LimitQRCodesSocket) }},
	{row: 35, name: "qrcodes_per_browser", setting: "POSTHOUSE_LIMIT_QRCODES_PER_BROWSER", value: "20/m", place: "/login", answer: "rate_limited",
		current: func(c *Config) string { return rateText(c.LimitQRCodesBrowser) }},
	{row: 35, name: "qrcodes_per_ip", setting: "POSTHOUSE_LIMIT_QRCODES_PER_IP", value: "30/m", place: "/login", answer: "rate_limited",
		current: func(c *Config) string { return rateText(c.LimitQRCodesIP) }},
	{row: 35, name: "qr_images_per_ip", setting: "POSTHOUSE_LIMIT_QRCODES_PER_IP", value: "two for each of these", place: "pages", answer: "429"},
	{row: 35, name: "failures_per_socket", value: "30/m", place: "/login", answer: "rate_limited"},
	{row: 35, name: "failures_per_ip", value: "600/m", place: "/login", answer: "rate_limited"},
	{row: 35, name: "qrcodes_per_account", setting: "POSTHOUSE_LIMIT_QRCODES_PER_ACCOUNT", value: "600/m", place: "/login", answer: "busy",
		current: func(c *Config) string { return rateText(c.LimitQRCodesAccount) }},
	{row: 35, name: "qrcodes_per_day", setting: "POSTHOUSE_QRCODES_PER_DAY", value: "80000", place: "/login", answer: "busy", metric: "posthouse_wechat_quota_remaining",
		current: func(c *Config) string { return countText(c.QRCodesPerDay) }},
	{row: 37, name: "exchanges_per_ip", setting: "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP", value: "10/s", place: "/login/exchange", answer: "429",
		current: func(c *Config) string { return rateText(c.LimitHandshakes) }},
	{row: 37, name: "authorizations_per_ip", setting: "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP", value: "10/s, 200 at once", place: "/oauth/authorize", answer: "429",
		current: func(c *Config) string { return rateText(c.LimitHandshakes) }},
	{row: 37, name: "client_secrets_per_ip", value: "60/m wrong ones", place: "/oauth/token", answer: "429"},
	{row: 42, name: "reason_series", value: "48, and 24 for each further account", place: "metrics", answer: "counted as other",
		use: func(a *App) int64 { return a.metrics.reasonSeries.count() }},
	{row: 43, name: "pprof", setting: "POSTHOUSE_PPROF", value: "loopback", place: "metrics listener", answer: "403"},
	{row: 45, name: "webtransport_streams", value: "one of a session, opened within 5 s", place: "WebTransport", answer: "the stream or the session ends"},
}
