package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
	"posthouse/internal/wechat"
)

const (
	webhookToken = "token-of-tests"
	webhookKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	webhookAppID = "wx0123456789abcdef"
	webhookGH    = "gh_0123456789ab"
	scanEvent    = "<xml><ToUserName><![CDATA[" + webhookGH + "]]></ToUserName><FromUserName><![CDATA[oTroubleshootingPerson0000001]]></FromUserName>" +
		"<CreateTime>1</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[SCAN]]></Event><EventKey><![CDATA[L1.x]]></EventKey></xml>"
)

// push is a webhook call as WeChat makes it, with one thing changed.
type push struct {
	token, key, appID, original string
	age                         time.Duration
	plain, bare                 bool
}

func (p push) send(t *testing.T, base string) {
	t.Helper()
	stamp := strconv.FormatInt(time.Now().Add(-p.age).Unix(), 10)
	q := url.Values{"timestamp": {stamp}, "nonce": {"n"}, "signature": {wechat.Sign(wechat.Secret(p.token), stamp, "n")}}
	body := scanEvent
	if !p.plain {
		key, err := wechat.ParseAESKey(wechat.Secret(p.key))
		if err != nil {
			t.Fatal(err)
		}
		sealed := key.Seal([]byte(strings.ReplaceAll(scanEvent, webhookGH, p.original)), p.appID)
		body = "<xml><ToUserName><![CDATA[" + p.original + "]]></ToUserName><Encrypt><![CDATA[" + sealed + "]]></Encrypt></xml>"
		q.Set("encrypt_type", "aes")
		q.Set("msg_signature", wechat.Sign(wechat.Secret(p.token), stamp, "n", sealed))
	}
	if p.bare {
		q = nil
	}
	call(t, http.MethodPost, base+"/callback/wechat?"+q.Encode(), body)
}

// stubWeChat answers with a token and a list of addresses for documentation.
func stubWeChat(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(r.URL.Path, "callbackip") {
			io.WriteString(w, `{"ip_list":["203.0.113.0/24"]}`)
			return
		}
		io.WriteString(w, `{"access_token":"stub","expires_in":7200}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// trouble is a row of docs/troubleshooting.md.
type trouble struct {
	reason  string // of the line, or its code
	env     []string
	provoke func(t *testing.T, base string)
	line    map[string]string // attributes and parts of their values
	readyz  string            // a part of a reason of /readyz
}

func good() push {
	return push{token: webhookToken, key: webhookKey, appID: webhookAppID, original: webhookGH}
}

func pushed(change func(*push)) func(*testing.T, string) {
	return func(t *testing.T, base string) {
		p := good()
		change(&p)
		p.send(t, base)
	}
}

func get(path string, headers ...string) func(*testing.T, string) {
	return func(t *testing.T, base string) { call(t, http.MethodGet, base+path, "", headers...) }
}

// codeAfter asks for QR codes, after the local WeChat has got a fault.
func codeAfter(fault string, times int) func(*testing.T, string) {
	return func(t *testing.T, base string) {
		if fault != "" {
			call(t, http.MethodPost, base+"/sim/faults", fault)
		}
		p := open(t, base)
		for range times {
			p.ask("qrcode", map[string]any{"refresh": true})
		}
	}
}

func troubles(t *testing.T) []trouble {
	account := []string{"POSTHOUSE_WECHAT_APPID=" + webhookAppID, "POSTHOUSE_WECHAT_SECRET=secret-canary", "POSTHOUSE_WECHAT_TOKEN=" + webhookToken,
		"POSTHOUSE_WECHAT_AES_KEY=" + webhookKey, "POSTHOUSE_WECHAT_ORIGINAL_ID=" + webhookGH, "POSTHOUSE_WECHAT_API_BASE=" + stubWeChat(t)}
	lru, _ := testenv.Redis(t, "--maxmemory-policy", "allkeys-lru")
	tlsAddr, files := redisTLS(t)
	alone := testenv.RedisCluster(t)[0]
	secured, limited := redisWithUser(t, ">right-password"), redisWithUser(t, "-ping")
	const handshake = "/socket.io/?EIO=4&transport=polling"
	return []trouble{
		{"origin", nil, get(handshake, "Origin: https://other.example"), map[string]string{"msg": "gateway: request of another origin refused", "origin": "https://other.example", "host": "127.0.0.1", "fix": "POSTHOUSE_ORIGINS"}, ""},
		{"untrusted_proxy", nil, get(handshake, "X-Forwarded-For: 198.51.100.7"), map[string]string{"msg": "gateway: X-Forwarded-For of a peer that is no trusted proxy is ignored", "peer": "127.0.0.1", "fix": "POSTHOUSE_TRUSTED_PROXIES"}, ""},
		{"no_forwarded_for", []string{"POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32"}, get(handshake), map[string]string{"msg": "gateway: a trusted proxy sends no X-Forwarded-For", "peer": "127.0.0.1", "fix": "proxy_set_header"}, ""},
		{"handshakes_per_ip", []string{"POSTHOUSE_LIMIT_HANDSHAKES_PER_IP=1/m"}, func(t *testing.T, base string) {
			for range 4 {
				get(handshake)(t, base)
			}
		}, map[string]string{"msg": "gateway: refused", "address": "127.0.0.1", "fix": "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP"}, ""},
		{"downgrade", account, pushed(func(p *push) { p.plain = true }), map[string]string{"msg": "webhook: the push is not in the account's mode", "seen": "plain", "setting": "POSTHOUSE_WECHAT_MODE"}, ""},
		{"signature", account, pushed(func(p *push) { p.token = "another-token" }), map[string]string{"msg": "webhook: not WeChat's, or the Token here is not the one on WeChat's page", "setting": "POSTHOUSE_WECHAT_TOKEN"}, ""},
		{"query", account, pushed(func(p *push) { p.bare = true }), map[string]string{"msg": "webhook: not a call of WeChat's, or a proxy changed its query string", "fix": "query string"}, ""},
		{"envelope", account, pushed(func(p *push) { p.key = strings.Repeat("Z", 42) + "A" }), map[string]string{"msg": "webhook: the EncodingAESKey here is not the one on WeChat's page", "setting": "POSTHOUSE_WECHAT_AES_KEY"}, ""},
		{"appid", account, pushed(func(p *push) { p.appID = "wxffffffffffffffff" }), map[string]string{"msg": "webhook: the push is for another AppID", "seen": "wxffffffffffffffff", "setting": "POSTHOUSE_WECHAT_APPID"}, ""},
		{"to_user", account, pushed(func(p *push) { p.original = "gh_ffffffffffff" }), map[string]string{"msg": "webhook: the push is addressed to another original id", "seen": "gh_ffffffffffff", "setting": "POSTHOUSE_WECHAT_ORIGINAL_ID"}, ""},
		{"stale", account, pushed(func(p *push) { p.age = 10 * time.Minute }), map[string]string{"msg": "webhook: signed push outside the freshness window", "seen": "s", "fix": "clock"}, ""},
		{"ip", append([]string{"POSTHOUSE_WECHAT_IP_ALLOW_LIST=enforce"}, account...), pushed(func(*push) {}), map[string]string{"msg": "the sender is not on WeChat's list of addresses", "seen": "127.0.0.1", "setting": "POSTHOUSE_WECHAT_IP_ALLOW_LIST"}, ""},
		{"qrcodes_per_day", []string{"POSTHOUSE_QRCODES_PER_DAY=1"}, codeAfter("", 2), map[string]string{"msg": "gateway: no QR code", "account": "default", "fix": "POSTHOUSE_QRCODES_PER_DAY"}, "POSTHOUSE_QRCODES_PER_DAY"},
		{"qrcodes_per_account", []string{"POSTHOUSE_LIMIT_QRCODES_PER_ACCOUNT=1/m"}, codeAfter("", 2), map[string]string{"msg": "gateway: no QR code", "account": "default", "fix": "POSTHOUSE_LIMIT_QRCODES_PER_ACCOUNT"}, ""},
		{"40164", nil, codeAfter(`{"kind":"api_error","errcode":40164,"api":"qrcode/create"}`, 1), map[string]string{"msg": "WeChat call failed", "code": "40164", "fix": "IP白名单"}, "IP白名单"},
		{"40125", nil, codeAfter(`{"kind":"api_error","errcode":40125,"api":"qrcode/create"}`, 1), map[string]string{"msg": "WeChat call failed", "code": "40125", "fix": "AppSecret"}, "AppSecret"},
		{"45009", nil, codeAfter(`{"kind":"api_error","errcode":45009,"api":"qrcode/create"}`, 1), map[string]string{"msg": "WeChat call failed", "code": "45009", "fix": "midnight"}, ""},
		{"redis_policy", []string{"POSTHOUSE_REDIS_URL=redis://" + lru}, nothing, map[string]string{"msg": "redis may evict tickets", "seen": "allkeys-lru", "fix": "noeviction"}, "allkeys-lru"},
		{"redis_certificate", []string{"POSTHOUSE_REDIS_URL=rediss://" + tlsAddr}, nothing, map[string]string{"msg": "redis shows a certificate that is not trusted", "seen": "unknown authority", "fix": "POSTHOUSE_REDIS_CA_FILE"}, "POSTHOUSE_REDIS_CA_FILE"},
		{"redis_client_certificate", []string{"POSTHOUSE_REDIS_URL=rediss://" + tlsAddr, "POSTHOUSE_REDIS_CA_FILE=" + files.cert}, nothing, map[string]string{"msg": "redis refuses the TLS connection of this gateway", "seen": "certificate required", "fix": "POSTHOUSE_REDIS_CERT_FILE"}, "POSTHOUSE_REDIS_CERT_FILE"},
		{"redis_tls", []string{"POSTHOUSE_REDIS_URL=rediss://" + lru}, nothing, map[string]string{"msg": "redis does not speak as POSTHOUSE_REDIS_URL says", "seen": "without TLS", "fix": "redis://"}, "redis://"},
		{"redis_password", []string{"POSTHOUSE_REDIS_URL=redis://default:secret-canary@" + secured}, nothing, map[string]string{"msg": "redis refuses the user or password of this gateway", "seen": "WRONGPASS", "fix": "POSTHOUSE_REDIS_URL"}, "POSTHOUSE_REDIS_URL"},
		{"redis_permission", []string{"POSTHOUSE_REDIS_URL=redis://" + limited}, nothing, map[string]string{"msg": "redis does not let the user of this gateway do what it needs", "seen": "NOPERM", "fix": "ACL SETUSER"}, "ACL SETUSER"},
		{"redis_cluster", []string{"POSTHOUSE_REDIS_URL=redis://" + alone}, nothing, map[string]string{"msg": "redis is a server of a Redis Cluster, and POSTHOUSE_REDIS_URL names it alone", "seen": "cluster_enabled", "fix": "several servers"}, "several servers"},
	}
}

// redisWithUser starts a Redis whose user default is changed by these rules.
func redisWithUser(t *testing.T, rules ...any) (addr string) {
	t.Helper()
	addr, _ = testenv.Redis(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer rdb.Close()
	if err := rdb.Do(t.Context(), append([]any{"ACL", "SETUSER", "default"}, rules...)...).Err(); err != nil {
		t.Fatal(err)
	}
	return addr
}

// nothing provokes what the gateway finds by itself.
func nothing(*testing.T, string) {}

// Each row of docs/troubleshooting.md: the refusal leaves its line, with the reason, what
// was seen and what to change, and /readyz names it where the page says so.
func TestTroubleshooting_EveryRefusalLeavesItsLine(t *testing.T) {
	t.Parallel()
	rows := documentedReasons(t)
	for _, c := range troubles(t) {
		row, ok := rows[c.reason]
		if !ok {
			t.Errorf("docs/troubleshooting.md lacks %s", c.reason)
		}
		delete(rows, c.reason)
		if says := strings.Contains(row, "/readyz"); says != (c.readyz != "") || !strings.Contains(row, strings.TrimPrefix(c.line["msg"], "webhook: ")) {
			t.Errorf("docs/troubleshooting.md is not true of %s: %s", c.reason, row)
		}
		t.Run(c.reason, func(t *testing.T) {
			env := append([]string{"POSTHOUSE_LOG_FORMAT=json", "POSTHOUSE_SPOOL=" + filepath.Join(t.TempDir(), "spool")}, c.env...)
			base, p := testenv.Gateway(t, env...)
			testenv.Until(t, 20*time.Second, "the line of "+c.reason, func() bool {
				c.provoke(t, base)
				return slices.ContainsFunc(logLines(p.Output()), c.fits)
			})
			if ready := call(t, http.MethodGet, base+"/readyz", ""); !strings.Contains(ready.body, c.readyz) || c.readyz != "" && !strings.Contains(ready.body, "degraded") {
				t.Errorf("/readyz lacks %q: %s", c.readyz, ready.body)
			}
			for _, secret := range []string{"secret-canary", webhookKey, webhookToken, "oTroubleshootingPerson"} {
				if strings.Contains(p.Output(), secret) {
					t.Errorf("the log has %q:\n%s", secret, p.Output())
				}
			}
			c.provoke(t, base) // again: the line is rate-limited
			if n := len(slices.DeleteFunc(logLines(p.Output()), func(l map[string]any) bool { return !c.fits(l) })); n > 2 {
				t.Errorf("%d lines", n)
			}
		})
	}
	for reason := range rows {
		t.Errorf("%s of docs/troubleshooting.md has no test", reason)
	}
}

func (c *trouble) fits(line map[string]any) bool {
	if reason := line["reason"]; reason != nil && reason != c.reason || line["level"] == "INFO" {
		return false
	}
	for name, part := range c.line {
		if !strings.Contains(sprint(line[name]), part) {
			return false
		}
	}
	return true
}

func logLines(output string) (lines []map[string]any) {
	for text := range strings.Lines(output) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil {
			lines = append(lines, line)
		}
	}
	return lines
}

// documentedReasons maps the reason, or the code, of each row to the row.
func documentedReasons(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	first := regexp.MustCompile("^\\| [^|]* \\| `([a-z_]+)`:")
	code := regexp.MustCompile("`code` ([0-9]+)")
	for line := range strings.Lines(string(page)) {
		if m := first.FindStringSubmatch(line); m != nil {
			rows[m[1]] = line
		} else if m := code.FindStringSubmatch(line); m != nil {
			rows[m[1]] = line
		}
	}
	return rows
}
