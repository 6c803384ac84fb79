package gateway_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"posthouse/internal/testenv"
)

// ed25519PEM is the key of RFC 8037, appendix A: public, and good for tests only.
const ed25519PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"

func TestConfigurationThatPeopleHave(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, []byte(ed25519PEM), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		env  []string
		jwks string
	}{
		{"variables that are empty are not set", []string{"POSTHOUSE_REDIS_URL=", "POSTHOUSE_ORIGINS=", "POSTHOUSE_TRUSTED_PROXIES=", "POSTHOUSE_DRAIN=",
			"POSTHOUSE_ADAPTER=", "POSTHOUSE_REQUIRE_ORIGIN=", "POSTHOUSE_LIMIT_QRCODES_PER_IP=", "POSTHOUSE_JWT_KEY=", "POSTHOUSE_WECHAT_APPID=", "PORT="}, `"kid"`},
		{"a key in a file", []string{"POSTHOUSE_JWT_KEY_FILE=" + file}, `"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`},
		{"a key in one line", []string{"POSTHOUSE_JWT_KEY=" + strings.ReplaceAll(ed25519PEM, "\n", `\n`)}, `"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`},
		{"addresses among the proxies", []string{"POSTHOUSE_TRUSTED_PROXIES=127.0.0.1, 10.0.0.0/8,::1"}, `"kid"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			base, _ := testenv.Gateway(t, c.env...)
			if got := call(t, "GET", base+"/.well-known/jwks.json", "").body; !strings.Contains(got, c.jwks) {
				t.Errorf("JWKS %s", got)
			}
		})
	}
	t.Run("a shared secret is in no JWKS", func(t *testing.T) {
		secret := []byte(strings.Repeat("k", 32))
		base, p := testenv.Gateway(t, "POSTHOUSE_JWT_KEY=hs256:"+base64.StdEncoding.EncodeToString(secret),
			"POSTHOUSE_JWT_ISSUER=me", "POSTHOUSE_JWT_AUDIENCE=you", "POSTHOUSE_JWT_TTL=60")
		mustFit(t, "JWKS", call(t, "GET", base+"/.well-known/jwks.json", "").body, `{"keys":[]}`)
		pg := open(t, base)
		q := pg.qrcode()
		s := scan(t, base, "alice", q.Ticket, true)
		jwt := text(t, pg.next("token"))
		header, claims := token(t, base, jwt)
		if header["alg"] != "HS256" || claims["iss"] != "me" || claims["aud"] != "you" || claims["exp"].(float64)-claims["iat"].(float64) != 60 {
			t.Errorf("%v %v", header, claims)
		}
		dot := strings.LastIndex(jwt, ".")
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(jwt[:dot]))
		mustFit(t, "signature", jwt[dot+1:], base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
		for _, secret := range []string{jwt, s.OpenID, q.Resume, "kkkkkkkk", "a2tra2tr"} {
			if strings.Contains(p.Output(), secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
	})
	t.Run("PORT", func(t *testing.T) {
		port := testenv.FreePort(t)
		p := testenv.Start(t, []string{"PORT=" + strconv.Itoa(port)}, testenv.Binary(t, "."))
		p.Ready(t, "http://127.0.0.1:"+strconv.Itoa(port)+"/readyz")
	})
}

// Two accounts in a file, each with its own route, page and limits.
func TestSeveralAccounts(t *testing.T) {
	t.Parallel()
	port, simPort := testenv.FreePort(t), testenv.FreePort(t)
	base, sim := "http://127.0.0.1:"+strconv.Itoa(port), "http://127.0.0.1:"+strconv.Itoa(simPort)
	testenv.Start(t, nil, testenv.Binary(t, "."), "wxsim", "--port", strconv.Itoa(simPort), "--callback", base+"/callback/wechat/shop").Ready(t, sim+"/sim/log")
	file := filepath.Join(t.TempDir(), "posthouse.yaml")
	if err := os.WriteFile(file, []byte(`
limit-qrcodes-per-ip: off
accounts:
  - name: shop
    appid: wx0d0e5b1a7c2f4e68
    secret: 5d1c0ffee5d1c0ffee5d1c0ffee5d1c0
    token: `+devToken+`
    aes-key: Y8mK2vQ7sB4tW9zN1cL6pR3xF5hJ0gD8aE2uU7iO4kA
    original-id: gh_0d0e5b1a7c2f
    title: The Shop
    api-base: `+sim+`/sim/
    mp-base: `+sim+`/sim/
  - name: club
    appid: wx0d0e5b1a7c2f4e69
    secret: wrong
    token: clubToken
    mode: plain
    api-base: `+sim+`/sim
    mp-base: `+sim+`/sim
`), 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.GatewayAt(t, port, "POSTHOUSE_CONFIG="+file)
	for path, want := range map[string]string{"/login?account=shop": "The Shop", "/login?account=club": "club", "/login": "The Shop"} {
		if a := call(t, "GET", base+path, ""); a.StatusCode != 200 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	p := open(t, base)
	q := p.qrcode(map[string]any{"account": "shop"})
	if q.Account != "shop" || !strings.HasPrefix(q.ImageURL, sim+"/sim/cgi-bin/showqrcode?ticket=") {
		t.Errorf("%+v", q)
	}
	scan(t, sim, "alice", q.Ticket, true)
	if _, claims := token(t, base, text(t, p.next("token"))); claims["appid"] != "wx0d0e5b1a7c2f4e68" {
		t.Errorf("%v", claims)
	}
	other := open(t, base)
	mustFit(t, "first of the file", other.qrcode().Account, "shop")
	mustFit(t, "the club's secret is wrong", failure(t, other.ask("qrcode", map[string]any{"account": "club"})), "wechat_unavailable")
	mustFit(t, "an account that is not there", failure(t, other.ask("qrcode", map[string]any{"account": "default"})), "unknown_account")
	// The shop's pushes are not the club's.
	now := "1"
	if a := call(t, "POST", base+"/callback/wechat/club?timestamp="+now+"&nonce=n&signature="+sign(devToken, now, "n"), "<xml/>"); a.StatusCode != 403 || a.body != "" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
}
