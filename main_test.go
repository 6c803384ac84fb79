package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"posthouse/internal/interop/rig"
)

func TestMain(m *testing.M) {
	code := m.Run()
	rig.RemoveBinaries()
	os.Exit(code)
}

// A bug report begins with the version: both spellings print it, and the long one
// names the Go release.
func TestVersion_NamesTheBuild(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}} {
		out, err := exec.Command(rig.Binary(t, "."), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		if strings.TrimSpace(string(out)) == "" || args[0] == "version" && !strings.Contains(string(out), " go1.") {
			t.Errorf("%v printed %q", args, out)
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
			cmd := exec.Command(rig.Binary(t, "."), c.args...)
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
			if lines := strings.Count(strings.TrimSpace(string(out)), "\n"); lines > 2 {
				t.Errorf("%d lines:\n%s", lines+1, out)
			}
		})
	}
}
