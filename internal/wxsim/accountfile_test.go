package wxsim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"posthouse/internal/wxsim"
)

const twoAccounts = `
accounts:
  - appid: wx1a2b3c4d5e6f7081
    originalId: gh_0a1b2c3d4e5f
    secret: s
    name: Shop
    token: simTokenForTheShop
    aesKey: kX7mQ2vB9sT4wZ1nL6pR8cY3fJ5hD0gA2eU7iO4xN9b
    unionGroup: acme
    callbacks: [http://127.0.0.1:3000/callback/wechat/shop]
    limits: {/cgi-bin/qrcode/create: {minute: 60}}
  - {appid: wx1a2b3c4d5e6f7082, originalId: gh_0a1b2c3d4e60, secret: s, token: abc, kind: sandbox, unionGroup: acme, retryOn5xx: true}
`

func ExampleReadAccounts() {
	accounts, err := wxsim.ReadAccounts(strings.NewReader(twoAccounts))
	if err != nil {
		panic(err)
	}
	sim, err := wxsim.New(&wxsim.Options{Accounts: accounts})
	if err != nil {
		panic(err)
	}
	defer sim.Close()
	for _, a := range accounts {
		fmt.Println(a.AppID, a.Kind, a.Mode, a.UnionGroup)
	}
	// Output:
	// wx1a2b3c4d5e6f7081 service secure acme
	// wx1a2b3c4d5e6f7082 sandbox plain acme
}

func TestAccountFilesAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "no accounts",
		"accounts: []":              "no accounts",
		"accounts: [{colour: red}]": "colour",
		"people: []":                "people",
		"accounts: [{appid: x}]":    "accounts[0]: wxsim: an appid",
		"accounts: [":               "accounts",
		strings.Replace(twoAccounts, "kX7", "k", 1):             "43",
		strings.Replace(twoAccounts, "sandbox", "newspaper", 1): "accounts[1]: wxsim: unknown account kind",
		strings.Replace(twoAccounts, "http://", "ftp://", 1):    "callback URL",
	} {
		if _, err := wxsim.ReadAccounts(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	accounts, err := wxsim.ReadAccounts(strings.NewReader(`{"accounts":[{"appid":"wx1a2b3c4d5e6f7081","originalId":"gh_0a1b2c3d4e5f","secret":"s","token":"abc","mode":"plain"}]}`))
	if err != nil || len(accounts) != 1 {
		t.Errorf("JSON: %v %v", accounts, err)
	}
}

// One person has an openid for each account, and one unionid for the accounts of
// an open platform account.
func TestAccountsOfOneGroupShareUnionIDs(t *testing.T) {
	accounts, err := wxsim.ReadAccounts(strings.NewReader(strings.Replace(twoAccounts, "callbacks", "allowIps: []\n    callbacks", 1)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range accounts {
		accounts[i].Callbacks = nil
	}
	alone := accounts[0]
	alone.AppID, alone.OriginalID, alone.UnionGroup = "wx1a2b3c4d5e6f7083", "gh_0a1b2c3d4e61", ""
	r := newRig(t, wxsim.Options{Accounts: append(accounts, alone)})
	var openids, unionids []any
	for _, a := range append(accounts, alone) {
		r.ok("/follow", object{"person": "ann", "account": a.AppID})
		token := r.get("/cgi-bin/token?grant_type=client_credential&appid=" + a.AppID + "&secret=s")["access_token"].(string)
		openid := r.ok("/people", object{"person": "ann", "account": a.AppID})["openid"].(string)
		status, out := r.call(http.MethodGet, "/cgi-bin/user/info?access_token="+token+"&openid="+openid, nil)
		if status != http.StatusOK || errcode(out) != 0 {
			t.Fatalf("%s: %v", a.AppID, out)
		}
		openids, unionids = append(openids, openid), append(unionids, out["unionid"])
	}
	if openids[0] == openids[1] || unionids[0] == nil || unionids[0] != unionids[1] || unionids[2] != nil {
		t.Errorf("openids %v, unionids %v", openids, unionids)
	}
}
