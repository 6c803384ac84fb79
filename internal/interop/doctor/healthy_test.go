package doctor

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"posthouse/internal/doctor"
	"posthouse/internal/testenv"
)

// A right configuration has no ✗, whatever the server is, and the checks that every
// server passes are ✓.
func TestDoctor_HealthyProxy_HasNoFailure(t *testing.T) {
	t.Parallel()
	type healthy struct{ server, program string }
	var cases []healthy
	var walks []doctor.Options
	for _, server := range []string{"socket.io", "sios-3.1", "sios-2.5", "gateway"} {
		for _, program := range []string{"", "nginx", "haproxy"} {
			var servers []string
			if server == "gateway" {
				base, _ := testenv.Gateway(t, "POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32")
				servers = []string{strings.TrimPrefix(base, "http://")}
			} else {
				servers = startNode(t, server, 2, shortPing)
			}
			url := "http://" + servers[0]
			if program != "" {
				url = startProxy(t, program, servers, nil)
			}
			cases = append(cases, healthy{server, program})
			walks = append(walks, doctor.Options{URL: url, Idle: idle})
		}
	}
	reports := runAll(t, walks)
	for i, c := range cases {
		t.Run(c.server+" "+c.program, func(t *testing.T) {
			report := reports[i]
			defer logFailed(t, report)
			if c.server != "gateway" {
				checkHealthy(t, report, map[string]bool{"handshake-eio3": c.server != "sios-2.5", "handshake-eio4": c.server == "sios-2.5"})
				return
			}
			checkHealthy(t, report, map[string]bool{"body-1m": true})
			for _, name := range []string{"origin", "webhook", "clock", "replicas"} {
				if c := find(report, name); c.Result != doctor.OK {
					t.Errorf("%+v", c)
				}
			}
			if f := find(report, "forwarded"); (f.Result == doctor.OK) != (c.program != "") {
				t.Errorf("%+v", f)
			}
		})
	}
}

func checkHealthy(t *testing.T, report *doctor.Report, skipped map[string]bool) {
	t.Helper()
	if report.Failed != 0 {
		t.Errorf("%d failures", report.Failed)
	}
	for _, name := range []string{"http", "handshake-eio4", "handshake-eio3", "polling", "sticky", "websocket", "upgrade", "binary", "idle", "body-100k", "body-1m", "headers"} {
		if c := find(report, name); c.Result != doctor.OK && !skipped[name] {
			t.Errorf("%+v", c)
		}
	}
}

func find(report *doctor.Report, name string) doctor.Check {
	i := slices.IndexFunc(report.Checks, func(c doctor.Check) bool { return c.Name == name })
	if i < 0 {
		return doctor.Check{}
	}
	return report.Checks[i]
}

// Replicas behind the files of examples/deploy relay to each other: nothing has to be sticky,
// and Redis and the replicas are ✓.
func TestDoctor_ShippedConfigurationsWithReplicas_HaveNoFailure(t *testing.T) {
	t.Parallel()
	redis, _ := testenv.Redis(t, "--maxmemory-policy", "noeviction")
	var servers []string
	for _, name := range []string{"gw1", "gw2", "gw3"} {
		base, _ := testenv.Gateway(t, "POSTHOUSE_REPLICA="+name, "POSTHOUSE_REDIS_URL=redis://"+redis,
			"POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32", "POSTHOUSE_SPOOL="+filepath.Join(t.TempDir(), "spool"))
		servers = append(servers, strings.TrimPrefix(base, "http://"))
	}
	shipped := []string{"nginx.conf", "nginx-sidmap.conf", "haproxy.cfg", "haproxy-sidmap.cfg"}
	var walks []doctor.Options
	for _, conf := range shipped {
		base, _ := testenv.Balancer(t, conf, servers)
		walks = append(walks, doctor.Options{URL: base, Idle: idle})
	}
	reports := runAll(t, walks)
	for i, conf := range shipped {
		t.Run(conf, func(t *testing.T) {
			report := reports[i]
			defer logFailed(t, report)
			checkHealthy(t, report, map[string]bool{"body-1m": true})
			for name, want := range map[string]string{"redis": "noeviction", "replicas": "gw1, gw2, gw3", "forwarded": "X-Forwarded-For"} {
				if c := find(report, name); c.Result != doctor.OK || !strings.Contains(c.Seen, want) {
					t.Errorf("%+v; want %q", c, want)
				}
			}
		})
	}
}

// A wrong setting of the gateway is found from outside: one ✗ each.
func TestDoctor_GatewayWithAWrongSetting_NamesTheSetting(t *testing.T) {
	t.Parallel()
	lru, _ := testenv.Redis(t, "--maxmemory-policy", "allkeys-lru")
	trusted := "POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32"
	cases := []struct {
		name           string
		env            []string
		replicas       int
		check, setting string
	}{
		{"an untrusted proxy", nil, 1, "forwarded", "POSTHOUSE_TRUSTED_PROXIES"},
		{"Redis that evicts", []string{trusted, "POSTHOUSE_REDIS_URL=redis://" + lru}, 1, "redis", "maxmemory-policy noeviction"},
		{"Redis that is not there", []string{trusted, "POSTHOUSE_REDIS_URL=redis://127.0.0.1:1"}, 1, "redis", "POSTHOUSE_REDIS_URL"},
		{"replicas without Redis", []string{trusted}, 2, "replicas", "POSTHOUSE_REDIS_URL"},
	}
	var walks []doctor.Options
	for _, c := range cases {
		var servers []string
		for range c.replicas {
			base, _ := testenv.Gateway(t, append(c.env, "POSTHOUSE_SPOOL="+filepath.Join(t.TempDir(), "spool"))...)
			servers = append(servers, strings.TrimPrefix(base, "http://"))
		}
		var changes []string
		if c.replicas > 1 { // sessions are sticky, other requests wander
			changes = []string{"upstream servers", "upstream round { SERVERS }\n\tupstream servers", "location / {",
				"location = /socket.io/doctor { proxy_pass http://round; proxy_set_header X-Forwarded-For $remote_addr; proxy_buffering off; }\n\t\tlocation / {"}
		}
		walks = append(walks, doctor.Options{URL: startProxy(t, "nginx", servers, changes), Idle: idle})
	}
	reports := runAll(t, walks)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			defer logFailed(t, reports[i])
			found := find(reports[i], c.check)
			if reports[i].Failed != 1 || found.Result != doctor.Fail || !strings.Contains(strings.Join(found.Settings, " "), c.setting) {
				t.Errorf("%d failures, %+v", reports[i].Failed, found)
			}
		})
	}
}

// The command prints what the report says, and its exit code is the number of ✗.
func TestDoctor_Command_ExitCodeIsTheNumberOfFailures(t *testing.T) {
	t.Parallel()
	servers := startNode(t, "socket.io", 2, shortPing)
	url := startProxy(t, "nginx", servers, []string{"BALANCE", "", "proxy_set_header Upgrade $http_upgrade;", ""})
	cmd := exec.Command(testenv.Binary(t, "."), "doctor", "--json", url)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || len(exit.Stderr) > 0 {
		t.Errorf("%v %s", err, exit.Stderr)
	}
	var report struct {
		URL    string
		Failed int
		Checks []map[string]any
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var names []string
	for _, c := range report.Checks {
		names = append(names, c["name"].(string))
		if result := c["result"].(string); result != "ok" && result != "fail" && result != "skip" {
			t.Errorf("%v", c)
		}
	}
	const want = "dns tls http handshake-eio4 handshake-eio3 polling sticky websocket upgrade binary compression idle body-100k body-1m cors origin forwarded headers"
	if strings.Join(names, " ") != want || report.Failed != 2 || report.URL != url {
		t.Errorf("%s", out)
	}

	out, err = exec.Command(testenv.Binary(t, "."), "doctor", "http://"+servers[0]).CombinedOutput()
	if err != nil || strings.Count(string(out), "\n") != len(names) || strings.Contains(string(out), "✗") {
		t.Errorf("%v\n%s", err, out)
	}
}
