package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"posthouse/internal/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.RemoveBinaries()
	os.Exit(code)
}

// A bug report begins with the version: both spellings print it, and the long one
// names the Go release.
func TestVersion_NamesTheBuild(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}} {
		out, err := exec.Command(testenv.Binary(t, "."), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		if strings.TrimSpace(string(out)) == "" {
			t.Errorf("%v printed %q", args, out)
		}
		for _, want := range []string{"commit ", " go1.", "Engine.IO 4, 3", "Socket.IO 5"} {
			if args[0] == "version" && !strings.Contains(string(out), want) {
				t.Errorf("no %q in %q", want, out)
			}
		}
	}
}

// A wrong configuration must refuse to start, name the key and say what to do.
func TestWrongConfigurationRefusesToStart(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	account := []string{"POSTHOUSE_WECHAT_APPID=wx1", "POSTHOUSE_WECHAT_SECRET=s3cr3t-value", "POSTHOUSE_WECHAT_TOKEN=token123"}
	for _, c := range []struct {
		name string
		args []string
		env  []string
		want []string
	}{
		{"a misspelt variable", nil, []string{"POSTHOUSE_REDIS_ULR=redis://x"}, []string{"POSTHOUSE_REDIS_ULR", `did you mean "POSTHOUSE_REDIS_URL"`}},
		{"a misspelt flag", []string{"--redis-ulr=x"}, nil, []string{"--redis-ulr", "--redis-url"}},
		{"production without a key", nil, []string{"POSTHOUSE_ENV=production"}, []string{"POSTHOUSE_JWT_KEY", "openssl"}},
		{"production without an account", nil, []string{"POSTHOUSE_ENV=production", "POSTHOUSE_JWT_KEY=hs256:" + strings.Repeat("A", 43) + "="}, []string{"POSTHOUSE_WECHAT_APPID"}},
		{"a key that is none", nil, []string{"POSTHOUSE_JWT_KEY=hs256:c2hvcnQ="}, []string{"POSTHOUSE_JWT_KEY"}},
		{"a key file that is not there", nil, []string{"POSTHOUSE_JWT_KEY_FILE=" + dir + "/none"}, []string{"POSTHOUSE_JWT_KEY_FILE"}},
		{"any origin", nil, []string{"POSTHOUSE_ORIGINS=*"}, []string{"POSTHOUSE_ORIGINS", "credentials"}},
		{"an origin with a path", nil, []string{"POSTHOUSE_ORIGINS=https://a.com/x"}, []string{"POSTHOUSE_ORIGINS", "scheme://host"}},
		{"a proxy that is no network", nil, []string{"POSTHOUSE_TRUSTED_PROXIES=all"}, []string{"trusted-proxies"}},
		{"a rate that is none", nil, []string{"POSTHOUSE_LIMIT_HANDSHAKES_PER_IP=many"}, []string{"limit-handshakes-per-ip", "10/s"}},
		{"a time that is none", nil, []string{"POSTHOUSE_TICKET_TTL=soon"}, []string{"ticket-ttl", "300"}},
		{"a ticket that lives too long", nil, []string{"POSTHOUSE_TICKET_TTL=9000h"}, []string{"POSTHOUSE_TICKET_TTL"}},
		{"an unknown adapter", nil, []string{"POSTHOUSE_ADAPTER=kafka"}, []string{"adapter", "sharded"}},
		{"an account without its key", nil, account, []string{"POSTHOUSE_WECHAT_AES_KEY", "43"}},
		{"an account with half its settings", nil, []string{"POSTHOUSE_WECHAT_SECRET=s3cr3t-value"}, []string{"POSTHOUSE_WECHAT_APPID"}},
		{"a mode that is none", nil, append([]string{"POSTHOUSE_WECHAT_MODE=loud"}, account...), []string{"POSTHOUSE_WECHAT_MODE", "secure"}},
		{"a token in quotes", nil, []string{"POSTHOUSE_WECHAT_MODE=plain", "POSTHOUSE_WECHAT_APPID=wx1", "POSTHOUSE_WECHAT_SECRET=s3cr3t-value", "POSTHOUSE_WECHAT_TOKEN='token123'"}, []string{"POSTHOUSE_WECHAT_TOKEN", "quote"}},
		{"a cookie that no browser takes", nil, []string{"POSTHOUSE_COOKIE=a;b"}, []string{"POSTHOUSE_COOKIE", "__Host-"}},
		{"a Redis URL that is none", nil, []string{"POSTHOUSE_REDIS_URL=http://x"}, []string{"POSTHOUSE_REDIS_URL", "redis://"}},
		{"an address that is none", nil, []string{"POSTHOUSE_ADDR=3000"}, []string{"POSTHOUSE_ADDR", ":3000"}},
		{"a file that is not there", nil, []string{"POSTHOUSE_CONFIG=" + dir + "/none.yaml"}, []string{"POSTHOUSE_CONFIG"}},
		{"a misspelt key in the file", nil, []string{"POSTHOUSE_CONFIG=" + file("a.yaml", "orgins: [https://a.com]\n")}, []string{"orgins", `did you mean "origins"`}},
		{"a misspelt key of an account", nil, []string{"POSTHOUSE_CONFIG=" + file("b.yaml", "accounts:\n  - name: shop\n    apid: wx1\n")}, []string{"apid", `did you mean "appid"`}},
		{"two accounts of one name", nil, []string{"POSTHOUSE_CONFIG=" + file("c.yaml", strings.Repeat("  - {name: shop, appid: wx1, secret: s, token: token123, mode: plain}\n", 0)+"accounts:\n"+strings.Repeat("  - {name: shop, appid: wx1, secret: s3cr3t-value, token: token123, mode: plain}\n", 2))}, []string{"accounts[1].name", "shop"}},
		{"a simulator for strangers", []string{"wxsim", "--host", "0.0.0.0"}, nil, []string{"loopback", "--unsafe-listen"}},
		{"a simulator that never delivers", []string{"wxsim", "--port", "0", "--deliveries=-1"}, nil, []string{"deliveries 1 to 50"}},
		{"accounts that are not there", []string{"wxsim", "--accounts", dir + "/none"}, nil, []string{"--accounts", "none"}},
		{"accounts with a misspelt key", []string{"wxsim", "--accounts", file("d.yaml", "accounts: [{apid: wx1}]\n")}, nil, []string{"--accounts", "d.yaml", "apid"}},
		{"a replica's name with a dash", nil, []string{"POSTHOUSE_REDIS_URL=redis://127.0.0.1:1", "POSTHOUSE_REPLICA=gw-1"}, []string{"POSTHOUSE_REPLICA"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(testenv.Binary(t, "."), c.args...)
			cmd.Env = append([]string{"POSTHOUSE_ADDR=127.0.0.1:0"}, c.env...)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("it started:\n%s", out)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in:\n%s", want, out)
				}
			}
			if strings.Contains(string(out), "s3cr3t-value") {
				t.Errorf("it printed the secret:\n%s", out)
			}
			for line := range strings.Lines(string(out)) { // one for each thing, and no stack
				if len(c.args) > 0 && c.args[0] == "wxsim" {
					break // it shows the place in the file
				}
				if !strings.HasPrefix(line, "posthouse: ") && !strings.HasPrefix(line, "config: ") && !strings.HasPrefix(line, "  ") {
					t.Errorf("line %q in:\n%s", line, out)
				}
			}
			if len(c.args) == 0 || strings.HasPrefix(c.args[0], "-") {
				checkFinds(t, c.args, cmd.Env, c.want[0])
			}
		})
	}
}

// checkFinds expects that posthouse config check says what keeps serve from starting.
func checkFinds(t *testing.T, args, env []string, key string) {
	t.Helper()
	cmd := exec.Command(testenv.Binary(t, "."), append([]string{"config", "check"}, args...)...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("config check: %v", err)
	}
	variable := "POSTHOUSE_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
	if text := string(out); !strings.Contains(text, key) && !strings.Contains(text, variable) || strings.Contains(text, "s3cr3t-value") {
		t.Errorf("config check printed:\n%s", out)
	}
}

// Everything that is wrong is said at once, each where it stands.
func TestConfigCheck_SaysEverythingThatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "posthouse.yaml")
	if err := os.WriteFile(file, []byte(`addr: "3000"
log-level: loud
originz: [https://a.example]
origins: ["https://a.example/path"]
jwt-ttl: soon
accounts:
  - name: shop
    appid: wx1
    secret: s3cr3t-value
    tokn: abc
    mode: plain
  - name: second
    appid: wx2
    secret: s3cr3t-value
    mode: plain
    token: ab
    forward-logins: copy
`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testenv.Binary(t, "."), "config", "check", file, "--limit-webhook=none", "--ticket-ttl", "0", "--nope")
	cmd.Env = []string{"POSTHOUSE_REDIS_URL=redis://u:s3cr3t-value@h:1,bad", "POSTHOUSE_DRIAN=5s", "POSTHOUSE_REPLICA=gw-1"}
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("exit code 0")
	}
	const url = "write redis://[user:password@]host:port[/db]"
	for _, want := range []string{
		`FILE:1: addr: "3000" is not usable; write host:port or :port, such as :3000, or unix:/path`,
		`FILE:2: log-level: "loud" is not usable; use debug, info, warn, error`,
		`FILE:3: originz: is unknown; did you mean "origins"?`,
		`FILE:4: origins: "https://a.example/path" is not usable; write scheme`,
		`FILE:5: jwt-ttl: "soon" is not a duration such as 10s, 5m or 300`,
		`FILE:7: accounts.shop.token: is missing; it has 3 to 32 letters`,
		`FILE:10: accounts[0].tokn: is unknown; did you mean "token"?`,
		`FILE:12: accounts.second.forward: is missing; set it beside accounts.second.forward-logins`,
		`FILE:16: accounts.second.token: "…" is not usable; it has 3 to 32 letters`,
		`POSTHOUSE_REDIS_URL: "bad" is not usable; ` + url,
		`POSTHOUSE_DRIAN: is unknown; did you mean "POSTHOUSE_DRAIN"?`,
		`POSTHOUSE_REPLICA: "gw-1" is not usable; `,
		`--limit-webhook: "none" is not a number above 0 or off`,
		`--ticket-ttl: "0s" is not usable; WeChat allows 1 s to 30 days`,
		`--nope: is unknown; `,
	} {
		if !strings.Contains("\n"+string(out), "\n"+strings.Replace(want, "FILE", file, 1)) {
			t.Errorf("no line %q in:\n%s", want, out)
		}
	}
	if n := strings.Count(string(out), "\n"); n != 15 {
		t.Errorf("%d lines:\n%s", n, out)
	}
	if strings.Contains(string(out), "s3cr3t-value") {
		t.Errorf("it printed a secret:\n%s", out)
	}
}

func TestConfigShow_NamesTheSourceOfEverySetting(t *testing.T) {
	file := filepath.Join(t.TempDir(), "posthouse.yaml")
	if err := os.WriteFile(file, []byte("drain: 30s\nlog-level: warn\naccounts:\n  - {name: shop, appid: wx1, secret: s3cr3t-value, token: token123, mode: plain}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testenv.Binary(t, "."), "config", "show", file, "--log-level=debug")
	cmd.Env = []string{"POSTHOUSE_REDIS_URL=redis://u:s3cr3t-value@h:1", "POSTHOUSE_JWT_KEY=hs256:" + strings.Repeat("A", 43) + "="}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		lines[f[0]] = strings.Join(f[1:], " ")
	}
	for name, want := range map[string]string{
		"drain": "30s file", "log-level": "debug flag", "adapter": "redis default", "replica": `"" default`,
		"redis-url": "redis://u:***@h:1 env", "jwt-key": "*** env", "config": file + " flag",
		"accounts.shop.appid": "wx1 file", "accounts.shop.secret": "*** file", "accounts.shop.language": "zh-CN default",
	} {
		if lines[name] != want {
			t.Errorf("%s: got %q, want %q", name, lines[name], want)
		}
	}
}

// A right configuration is checked without a word, and starts.
func TestConfigCheck_IsSilentAboutWhatStarts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "posthouse.yaml")
	text := "env: production\njwt-key: hs256:" + strings.Repeat("A", 43) + "=\norigins:\n  - https://www.example.com\n" +
		"accounts:\n  - name: default\n    appid: wx1\n    secret: x\n    token: token123\n    mode: plain\n    forward: http://127.0.0.1:1/\n    forward-logins: copy\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testenv.Binary(t, "."), "config", "check", file)
	cmd.Env = []string{"POSTHOUSE_REDIS_URL=redis://:secret@redis:6379", "POSTHOUSE_ADVERTISE=10.0.0.7:3000"}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
