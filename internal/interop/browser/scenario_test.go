package browser_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"posthouse/internal/testenv"
	"posthouse/internal/wxsim/scenario"
)

// Every scenario that comes with the simulator ends as it says, played against
// the built gateway: each fault of the push and of the platform's API among them.
func TestEveryScenario(t *testing.T) {
	t.Parallel()
	alone := []string{"confirm", "lapsed", "quota"}
	play := func(t *testing.T, names []string, env ...string) string {
		base, _ := testenv.Gateway(t, env...)
		var out bytes.Buffer
		c := scenario.Command{Script: names, Gateway: []string{base}, Spread: true, Output: &out}
		if err := c.Run(t.Context()); err != nil {
			t.Errorf("%v\n%s", err, out.String())
		}
		return out.String()
	}
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		out := play(t, []string{"all"})
		played, left := strings.Count(out, "\nPASS\n"), strings.Count(out, ": left out, ")
		if left != len(alone) || played+left != len(scenario.Builtin()) {
			t.Errorf("%d played, %d left out, of %d:\n%s", played, left, len(scenario.Builtin()), out)
		}
	})
	for _, name := range alone {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var env []string
			if name == "confirm" {
				env = append(env, "POSTHOUSE_CONFIRM=always")
			}
			if !slices.Contains(scenario.Builtin(), name) {
				t.Fatal("there is no such scenario")
			}
			play(t, []string{name}, env...)
		})
	}
}

// Thousands of logins are for longer runs (POSTHOUSE_TEST_LOGINS in the tests of
// replicas, or the command line); these few hundred have every fate in them.
func TestALoadOfLogins(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  []string
		load scenario.LoadOptions
	}{
		"by default":                        {[]string{"POSTHOUSE_TICKET_TTL=15s"}, scenario.LoadOptions{}},
		"with a challenge, always":          {nil, scenario.LoadOptions{Mix: &scenario.Mix{PKCE: 100, LostAck: 20, Reconnect: 20, TwoPeople: 20, Duplicates: 30}}},
		"with a number to confirm":          {[]string{"POSTHOUSE_CONFIRM=always"}, scenario.LoadOptions{Confirm: true}},
		"with a number, at the last moment": {[]string{"POSTHOUSE_CONFIRM=always", "POSTHOUSE_TICKET_TTL=15s"}, scenario.LoadOptions{Confirm: true, Mix: &scenario.Mix{Late: 50, Denied: 30, PKCE: 50}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, _ := testenv.Gateway(t, append(c.env, "POSTHOUSE_LIMIT_QRCODES_PER_ACCOUNT=off")...)
			c.load.Target = scenario.Target{Gateways: []string{base}, Spread: true}
			c.load.Logins, c.load.Rate = 150, 40
			report, err := scenario.Load(t.Context(), c.load)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			report.Print(&out)
			t.Log("\n" + out.String())
			if !report.OK() || report.SignedIn < 50 {
				t.Fail()
			}
		})
	}
}

// Four accounts of one gateway, in a file for each side, one in each mode of
// pushes and one that only has codes to type. Logins of all at once.
func TestALoadOverFourAccounts(t *testing.T) {
	t.Parallel()
	port, simPort := testenv.FreePort(t), testenv.FreePort(t)
	base, sim := "http://127.0.0.1:"+strconv.Itoa(port), "http://127.0.0.1:"+strconv.Itoa(simPort)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const key = "kX7mQ2vB9sT4wZ1nL6pR8cY3fJ5hD0gA2eU7iO4xN9b"
	platform := write("platform.yaml", `
accounts:
  - {appid: wx1a2b3c4d5e6f7081, originalId: gh_0a1b2c3d4e5f, secret: shopSecret, token: shopToken, aesKey: `+key+`, callbacks: ["`+base+`/callback/wechat/shop"]}
  - {appid: wx1a2b3c4d5e6f7082, originalId: gh_0a1b2c3d4e60, secret: clubSecret, token: clubToken, aesKey: `+key+`, kind: subscription, callbacks: ["`+base+`/callback/wechat/club"]}
  - {appid: wx1a2b3c4d5e6f7083, originalId: gh_0a1b2c3d4e61, secret: moveSecret, token: moveToken, aesKey: `+key+`, mode: compat, sameNonceOnRetry: true, callbacks: ["`+base+`/callback/wechat/move"]}
  - {appid: wx1a2b3c4d5e6f7084, originalId: gh_0a1b2c3d4e62, secret: labSecret, token: labToken, kind: sandbox, callbacks: ["`+base+`/callback/wechat/lab"]}
`)
	gateway := write("gateway.yaml", `
limit-qrcodes-per-account: off
accounts:
  - {name: shop, appid: wx1a2b3c4d5e6f7081, original-id: gh_0a1b2c3d4e5f, secret: shopSecret, token: shopToken, aes-key: `+key+`}
  - {name: club, appid: wx1a2b3c4d5e6f7082, original-id: gh_0a1b2c3d4e60, secret: clubSecret, token: clubToken, aes-key: `+key+`, typed-code: always}
  - {name: move, appid: wx1a2b3c4d5e6f7083, original-id: gh_0a1b2c3d4e61, secret: moveSecret, token: moveToken, aes-key: `+key+`, mode: compat}
  - {name: lab, appid: wx1a2b3c4d5e6f7084, original-id: gh_0a1b2c3d4e62, secret: labSecret, token: labToken, mode: plain}
`)
	testenv.Start(t, nil, testenv.Binary(t, "."), "wxsim", "--port", strconv.Itoa(simPort), "--accounts", platform).Ready(t, sim+"/sim/log")
	testenv.GatewayAt(t, port, "POSTHOUSE_CONFIG="+gateway, "POSTHOUSE_WECHAT_SIMULATOR="+sim, "POSTHOUSE_TICKET_TTL=15s")
	report, err := scenario.Load(t.Context(), scenario.LoadOptions{
		Target: scenario.Target{Gateways: []string{base}, Simulator: sim + "/sim", Spread: true}, Logins: 200, Rate: 40,
		Accounts: []scenario.Account{
			{Name: "shop", AppID: "wx1a2b3c4d5e6f7081"}, {Name: "club", AppID: "wx1a2b3c4d5e6f7082"},
			{Name: "move", AppID: "wx1a2b3c4d5e6f7083"}, {Name: "lab", AppID: "wx1a2b3c4d5e6f7084"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	report.Print(&out)
	t.Log("\n" + out.String())
	if !report.OK() || report.Kinds["plain"] == 0 || report.Kinds["typed plain"] == 0 {
		t.Fail()
	}
}
