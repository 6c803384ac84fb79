package doctor

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"posthouse/internal/doctor"
	"posthouse/internal/testenv"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		testenv.RemoveBinaries()
		os.Exit(code)
	}))
}

const (
	shortPing = 2 * time.Second
	// idle is how long the doctor waits in these tests: longer than the pings.
	idle = 4500 * time.Millisecond
)

// broken is a mistake of a proxy, and the check that has to find it.
type broken struct {
	name, program string
	changes       []string // of the right configuration: old, new, …
	check         string
	directive     string // that the first setting has to name
}

// brokenForAll break the way to every server.
var brokenForAll = []broken{
	{"nginx/no Upgrade", "nginx", []string{"proxy_set_header Upgrade $http_upgrade;", ""}, "websocket", "proxy_set_header Upgrade"},
	{"nginx/HTTP 1.0 to the server", "nginx", []string{"proxy_http_version 1.1;", "", "proxy_set_header Upgrade $http_upgrade;", "", "proxy_set_header Connection $connection_upgrade;", ""}, "websocket", "proxy_http_version 1.1"},
	{"nginx/short time-out", "nginx", []string{"proxy_read_timeout 75s", "proxy_read_timeout 1200ms"}, "idle", "proxy_read_timeout"},
	{"nginx/small body limit", "nginx", []string{"client_max_body_size 2m", "client_max_body_size 8k"}, "body-100k", "client_max_body_size"},
	{"nginx/cached polls", "nginx", []string{"proxy_buffering off;", "proxy_cache polls; proxy_cache_key $uri$arg_transport; proxy_cache_valid 200 1m; proxy_ignore_headers Cache-Control Set-Cookie Vary Expires;"}, "headers", "proxy_cache off"},
	{"nginx/another path", "nginx", []string{"proxy_pass http://servers;", "proxy_pass http://servers/app/;"}, "handshake-eio4", "location /socket.io/"},
	{"nginx/no server", "nginx", []string{"SERVERS", "server 127.0.0.1:1;"}, "http", "proxy_pass"},
	{"haproxy/no Upgrade", "haproxy", []string{"default_backend", "http-request del-header Upgrade\n\tdefault_backend"}, "websocket", "del-header"},
	{"haproxy/short time-out", "haproxy", []string{"timeout server 75s", "timeout server 1200ms", "timeout tunnel 75s", "timeout tunnel 1200ms"}, "idle", "timeout tunnel"},
	{"haproxy/short time-out of polls", "haproxy", []string{"timeout server 75s", "timeout server 1200ms"}, "idle", "timeout server"},
	{"haproxy/short time-out of clients", "haproxy", []string{"timeout client 75s", "timeout client 1200ms", "timeout tunnel 75s", ""}, "idle", "timeout client"},
	{"haproxy/small body limit", "haproxy", []string{"default_backend", "http-request deny deny_status 413 if { req.hdr(content-length),mul(1) gt 8000 }\n\tdefault_backend"}, "body-100k", "req.body_size"},
	{"haproxy/another path", "haproxy", []string{"default_backend", "http-request set-path /app%[path]\n\tdefault_backend"}, "handshake-eio4", "path_beg /socket.io/"},
	{"haproxy/no server", "haproxy", []string{"SERVERS", "server s 127.0.0.1:1"}, "http", "server and option httpchk"},
}

// brokenByUser need a proxy whose workers run as another user than the test.
var brokenByUser = []broken{
	{"nginx/body buffer that cannot be written", "nginx", []string{"client_body_temp_path DIR/body", "client_body_temp_path LOCKED/body"}, "body-100k", "client_body_temp_path"},
}

// brokenForNode break what Node's servers need, or show with them only.
var brokenForNode = []broken{
	{"nginx/not sticky", "nginx", []string{"BALANCE", ""}, "sticky", "ip_hash"},
	{"nginx/hash of the session", "nginx", []string{"BALANCE", "hash $request_uri;"}, "sticky", "ip_hash"},
	{"nginx/body limit of half a megabyte", "nginx", []string{"client_max_body_size 2m", "client_max_body_size 500k"}, "body-1m", "client_max_body_size"},
	{"nginx/CORS headers twice", "nginx", []string{"proxy_buffering off;", "add_header Access-Control-Allow-Origin $http_origin always; add_header Access-Control-Allow-Origin * always;"}, "cors", "add_header Access-Control-Allow-Origin"},
	{"haproxy/not sticky", "haproxy", []string{"balance BALANCE", "balance roundrobin"}, "sticky", "balance source"},
}

// brokenForOurs can be seen only because the gateway tells what arrives.
var brokenForOurs = []broken{
	{"nginx/another Host", "nginx", []string{"proxy_set_header Host $http_host;", "proxy_set_header Host internal;", "proxy_set_header X-Forwarded-Host $http_host;", ""}, "origin", "proxy_set_header Host"},
	{"nginx/answers that are compressed late", "nginx", []string{"proxy_buffering off;", "proxy_buffering on; gzip on; gzip_types text/plain; gzip_min_length 0; gzip_proxied any;"}, "body-100k", "proxy_buffering off"},
	{"nginx/no X-Forwarded-For", "nginx", []string{"proxy_set_header X-Forwarded-For $remote_addr;", ""}, "forwarded", "X-Forwarded-For"},
	{"nginx/stripped Authorization", "nginx", []string{"proxy_buffering off;", `proxy_buffering off; proxy_set_header Authorization "";`}, "headers", "proxy_set_header"},
	{"nginx/no webhook", "nginx", []string{"location / {", "location /callback/ { return 404; }\n\t\tlocation / {"}, "webhook", "location /callback/wechat"},
	{"haproxy/another Host", "haproxy", []string{"http-request set-header X-Forwarded-Host %[req.hdr(host)]", "http-request set-header Host internal"}, "origin", "set-header Host"},
	{"haproxy/no X-Forwarded-For", "haproxy", []string{"http-request set-header X-Forwarded-For %[src]", "http-request del-header X-Forwarded-For"}, "forwarded", "X-Forwarded-For"},
	{"haproxy/stripped Authorization", "haproxy", []string{"default_backend", "http-request del-header Authorization\n\tdefault_backend"}, "headers", "del-header"},
	{"haproxy/no webhook", "haproxy", []string{"default_backend", "http-request deny deny_status 404 if { path_beg /callback/ }\n\tdefault_backend"}, "webhook", "path_beg /callback/wechat"},
}

// A proxy that is broken in one place has one ✗, which names that proxy and its directive.
func TestDoctor_BrokenProxyBeforeNode_NamesTheDirective(t *testing.T) {
	t.Parallel()
	cases := append(slices.Clone(brokenForAll), brokenForNode...)
	if os.Geteuid() == 0 {
		cases = append(cases, brokenByUser...)
	}
	examineBroken(t, startNode(t, "socket.io", 2, shortPing), cases)
}

func TestDoctor_BrokenProxyBeforeTheGateway_NamesTheDirective(t *testing.T) {
	t.Parallel()
	base, _ := testenv.Gateway(t, "POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32",
		"POSTHOUSE_LIMIT_CONNECTIONS_PER_IP=off", "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP=off")
	examineBroken(t, []string{strings.TrimPrefix(base, "http://")}, append(slices.Clone(brokenForAll), brokenForOurs...))
}

// A proxy that buffers answers hides slow clients from the gateway; one that does not is seen
// not to.
func TestDoctor_ProxyThatBuffersAnswers_IsTold(t *testing.T) {
	t.Parallel()
	cases := []struct {
		program  string
		changes  []string
		buffered bool
	}{{"nginx", []string{"proxy_buffering off;", ""}, true}, {"nginx", nil, false}, {"haproxy", nil, false}}
	var walks []doctor.Options
	for _, c := range cases {
		base, _ := testenv.Gateway(t, "POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32")
		url := startProxy(t, c.program, []string{strings.TrimPrefix(base, "http://")}, c.changes)
		walks = append(walks, doctor.Options{URL: url, Idle: idle})
	}
	reports := runAll(t, walks)
	for i, c := range cases {
		report := reports[i]
		if c.buffered {
			(&broken{program: c.program, check: "body-100k", directive: "proxy_buffering off"}).judge(t, report)
		} else if found := find(report, "body-100k"); found.Result != doctor.OK || !strings.Contains(found.Seen, "not buffered") {
			t.Errorf("%s: %+v", c.program, found)
		}
	}
}

// examineBroken runs the doctor through all the broken proxies at once.
func examineBroken(t *testing.T, servers []string, cases []broken) {
	walks := make([]doctor.Options, len(cases))
	locked := t.TempDir()
	if err := os.Chmod(locked, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		changes := slices.Clone(c.changes)
		for j := range changes {
			changes[j] = strings.ReplaceAll(changes[j], "LOCKED", locked)
		}
		walks[i] = doctor.Options{URL: startProxy(t, c.program, servers, changes), Idle: idle}
	}
	reports := runAll(t, walks)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.judge(t, reports[i]) })
	}
}

// judge expects one failure: that of the broken place.
func (c *broken) judge(t *testing.T, report *doctor.Report) {
	program := map[string]string{"nginx": "nginx", "haproxy": "HAProxy"}[c.program]
	for _, check := range report.Checks {
		switch {
		case check.Name != c.check:
			if check.Result == doctor.Fail {
				t.Errorf("%s is blamed as well: %+v", check.Name, check)
			}
		case check.Result != doctor.Fail, check.Blame != program, len(check.Settings) == 0,
			!strings.HasPrefix(check.Settings[0], program+": "), !strings.Contains(check.Settings[0], c.directive):
			t.Errorf("%+v; want ✗, %s and %q", check, program, c.directive)
		}
	}
	if report.Failed != 1 {
		t.Errorf("%d failures", report.Failed)
	}
	logFailed(t, report)
}

// runAll makes walks beside each other: most of their time is waiting.
func runAll(t *testing.T, walks []doctor.Options) []*doctor.Report {
	t.Helper()
	reports, errs := make([]*doctor.Report, len(walks)), make([]error, len(walks))
	var wg sync.WaitGroup
	for i, o := range walks {
		wg.Go(func() { reports[i], errs[i] = doctor.Run(t.Context(), o) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return reports
}

// logFailed shows the report of a test that failed.
func logFailed(t *testing.T, report *doctor.Report) {
	t.Helper()
	if t.Failed() {
		var text strings.Builder
		_ = report.WriteText(&text) // a Builder takes everything
		t.Log("\n" + text.String())
	}
}
