package doctor

import (
	"fmt"
	"strings"
)

// fault is a kind of mistake that has a setting in every kind of hop.
type fault int

const (
	faultUnreachable fault = iota
	faultPath
	faultUpgrade
	faultSticky
	faultIdle
	faultBody
	faultBodyBuffer
	faultBuffering
	faultHost
	faultForwarded
	faultSpoofed
	faultCache
	faultCORS
	faultHeaders
	faultCompression
	faultCertificate
	faultWebhook
	faultUDP
)

// directives has the settings for each fault. SECONDS stands for a time-out that is long
// enough for the server's pings.
var directives = map[fault]map[hop]string{
	faultUDP: {
		hopNginx:      "stream { server { listen PORT udp; proxy_pass server:PORT; } }, and the firewall's rule for UDP (http {} cannot pass WebTransport on); or POSTHOUSE_WEBTRANSPORT=off",
		hopHAProxy:    "a way for UDP beside HAProxy, which passes no WebTransport on, and the firewall's rule for it; or POSTHOUSE_WEBTRANSPORT=off",
		hopALB:        "a Network Load Balancer with a UDP listener (an ALB has none); or POSTHOUSE_WEBTRANSPORT=off",
		hopCloudflare: "a DNS record without proxy (WebTransport is not passed on); or POSTHOUSE_WEBTRANSPORT=off",
		hopTraefik:    "entryPoints.<name>.address: :PORT/udp with a UDP router; or POSTHOUSE_WEBTRANSPORT=off",
	},
	faultUnreachable: {
		hopNginx:      "proxy_pass (the address and port of the server; the error log has the reason: refused, timed out, or proxy_buffer_size too small for its header)",
		hopHAProxy:    "server and option httpchk (the backend has no server that is up)",
		hopALB:        "target group: HealthCheckPath and port (no healthy target)",
		hopCloudflare: "DNS record and SSL/TLS mode of the origin (52x: the origin does not answer)",
		hopTraefik:    "services.<name>.loadBalancer.servers.url",
	},
	faultPath: {
		hopNginx:      "location /socket.io/ { proxy_pass http://upstream; } (no path behind the upstream, no rewrite)",
		hopHAProxy:    "use_backend <socket.io> if { path_beg /socket.io/ } (no http-request set-path)",
		hopALB:        "listener rule: path-pattern /socket.io/*",
		hopCloudflare: "Rules: no URL rewrite or redirect for /socket.io/*",
		hopTraefik:    "rule PathPrefix(`/socket.io/`) without stripPrefix",
	},
	faultUpgrade: {
		hopNginx:      "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade",
		hopHAProxy:    "no http-request del-header for Upgrade and Connection, mode http, no option forceclose",
		hopALB:        "target group: ProtocolVersion HTTP1 (HTTP2 and gRPC targets get no WebSocket)",
		hopCloudflare: "Network: WebSockets on",
		hopTraefik:    "middlewares.<name>.headers.customRequestHeaders without Upgrade and Connection",
	},
	faultSticky: {
		hopNginx:      "upstream { ip_hash; } or hash $remote_addr consistent",
		hopHAProxy:    "balance source, or cookie <name> insert indirect nocache with a cookie value for each server",
		hopALB:        "target group: stickiness.enabled=true, stickiness.type=lb_cookie",
		hopCloudflare: "Load Balancing: Session affinity by cookie",
		hopTraefik:    "services.<name>.loadBalancer.sticky.cookie",
	},
	faultIdle: {
		hopNginx:      "proxy_read_timeout SECONDSs (and proxy_send_timeout)",
		hopHAProxy:    "timeout server SECONDSs, timeout client SECONDSs, timeout tunnel SECONDSs",
		hopALB:        "idle_timeout.timeout_seconds=SECONDS",
		hopCloudflare: "Proxy Read Timeout of at least SECONDS s",
		hopTraefik:    "entryPoints.<name>.transport.respondingTimeouts.readTimeout and writeTimeout of 0 or SECONDSs, serversTransport.forwardingTimeouts.responseHeaderTimeout likewise",
	},
	faultBody: {
		hopNginx:      "client_max_body_size 1m",
		hopHAProxy:    "no http-request deny by req.body_size or req.hdr(content-length); tune.bufsize where bodies are buffered",
		hopALB:        "AWS WAF: SizeRestrictions_BODY",
		hopCloudflare: "WAF rules by http.request.body.size; the upload limit of the plan",
		hopTraefik:    "middlewares.<name>.buffering.maxRequestBodyBytes",
	},
	faultBodyBuffer: {
		hopNginx:      "proxy_request_buffering off, or a client_body_temp_path that nginx may write to",
		hopHAProxy:    "no option http-buffer-request, or a larger tune.bufsize",
		hopALB:        "AWS WAF: body inspection limit",
		hopCloudflare: "Request Buffering off",
		hopTraefik:    "middlewares.<name>.buffering removed, or a temporary directory that can be written to",
	},
	faultBuffering: {
		hopNginx:      "proxy_buffering off, gzip off for /socket.io/",
		hopHAProxy:    "no filter that holds answers back (compression, bandwidth limitation, spoe)",
		hopALB:        "no Lambda target",
		hopCloudflare: "Response Buffering off",
		hopTraefik:    "middlewares.<name>.buffering removed",
	},
	faultHost: {
		hopNginx:      "proxy_set_header Host $http_host",
		hopHAProxy:    "no http-request set-header Host",
		hopALB:        "routing.http.preserve_host_header.enabled=true",
		hopCloudflare: "Origin Rules: no Host header override",
		hopTraefik:    "services.<name>.loadBalancer.passHostHeader=true",
	},
	faultForwarded: {
		hopNginx:      "proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host",
		hopHAProxy:    "http-request set-header X-Forwarded-For %[src], X-Forwarded-Proto and X-Forwarded-Host likewise",
		hopALB:        "routing.http.xff_header_processing.mode=append",
		hopCloudflare: "Transform Rules: X-Forwarded-For and X-Forwarded-Proto not removed",
		hopTraefik:    "entryPoints.<name>.forwardedHeaders; no customRequestHeaders that empty X-Forwarded-*",
	},
	faultSpoofed: {
		hopNginx:      "proxy_set_header X-Forwarded-For $remote_addr",
		hopHAProxy:    "http-request set-header X-Forwarded-For %[src]",
		hopALB:        "routing.http.xff_header_processing.mode=append",
		hopCloudflare: "Transform Rules: Remove visitor IP headers off",
		hopTraefik:    "entryPoints.<name>.forwardedHeaders.insecure=false",
	},
	faultCache: {
		hopNginx:      "proxy_cache off",
		hopHAProxy:    "no http-request cache-use and http-response cache-store for /socket.io/",
		hopALB:        "CloudFront before it: CachingDisabled for /socket.io/*",
		hopCloudflare: "Cache Rules: bypass /socket.io/*",
		hopTraefik:    "no cache plugin for /socket.io/",
	},
	faultCORS: {
		hopNginx:      "no add_header Access-Control-Allow-Origin: the server sends it",
		hopHAProxy:    "no http-response add-header Access-Control-Allow-Origin",
		hopALB:        "no routing.http.response.access_control_allow_origin.header_value",
		hopCloudflare: "Transform Rules: Access-Control-Allow-Origin not added",
		hopTraefik:    "middlewares.<name>.headers.accessControlAllowOriginList removed",
	},
	faultHeaders: {
		hopNginx:      "no proxy_set_header that empties a header, proxy_pass_request_headers on",
		hopHAProxy:    "no http-request del-header",
		hopALB:        "routing.http.drop_invalid_header_fields.enabled=false",
		hopCloudflare: "Transform Rules: no request header removed",
		hopTraefik:    "middlewares.<name>.headers.customRequestHeaders without empty values",
	},
	faultCompression: {
		hopNginx:      "gzip off for /socket.io/; Sec-WebSocket-Extensions passed on",
		hopHAProxy:    "no compression filter for /socket.io/",
		hopALB:        "no answer-changing WAF rule",
		hopCloudflare: "Compression Rules: off for /socket.io/*",
		hopTraefik:    "no compress middleware for /socket.io/",
	},
	faultCertificate: {
		hopNginx:      "ssl_certificate with the whole chain (fullchain.pem), renewed and reloaded",
		hopHAProxy:    "bind ... ssl crt <PEM with the whole chain and the key>",
		hopALB:        "listener certificate from ACM for this name",
		hopCloudflare: "SSL/TLS: Edge Certificates for this name",
		hopTraefik:    "tls.certificates or certificatesResolvers for this name",
	},
	faultWebhook: {
		hopNginx:      "location /callback/wechat { proxy_pass http://upstream; }",
		hopHAProxy:    "use_backend <gateway> if { path_beg /callback/wechat }",
		hopALB:        "listener rule: path-pattern /callback/wechat*",
		hopCloudflare: "WAF and Bot Fight Mode: skip /callback/wechat*; Cache Rules: bypass",
		hopTraefik:    "rule PathPrefix(`/callback/wechat`)",
	},
}

// limitSettings are those of limits that a busy address meets.
var limitSettings = []string{
	"none, when the doctor passes once it has its address for itself",
	"Posthouse: POSTHOUSE_LIMIT_HANDSHAKES_PER_IP",
	"nginx: limit_req_zone and limit_req of /socket.io/",
	"HAProxy: http-request deny deny_status 429 with its stick-table",
	"AWS ALB: AWS WAF: rate-based rules",
	"Cloudflare: WAF: rate limiting rules",
	"Traefik: middlewares.<name>.rateLimit",
}

// settings lists the directives of a fault, those of h first.
func (h hop) settings(f fault, open openPacket) []string {
	// A proxy has to wait longer than the longest silence that the server allows.
	seconds := (open.PingInterval+open.PingTimeout)/1000 + 30
	list := []string{}
	for _, kind := range append([]hop{h}, allHops...) {
		if text := directives[f][kind]; text != "" && (kind != h || len(list) == 0) {
			list = append(list, string(kind)+": "+strings.ReplaceAll(text, "SECONDS", fmt.Sprint(seconds)))
		}
	}
	return list
}
