package login_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/login"
)

// The key of RFC 8037, appendix A, and its thumbprint as A.3 gives it.
const (
	rfc8037Key = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
`
	rfc8037Thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
	rfc8037X          = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
)

var hs256 = "hs256:" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))

func mustKeys(t *testing.T, text string) []login.Key {
	t.Helper()
	keys, err := login.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func mustIssuer(t *testing.T, o login.IssuerOptions) *login.Issuer {
	t.Helper()
	i, err := login.NewIssuer(&o)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func issue(t *testing.T, i *login.Issuer) login.Token {
	t.Helper()
	id := login.Identity{AppID: "wx1", OpenID: "o-ana", UnionID: "u-ana"}
	token, err := i.Issue(t.Context(), id, "jti-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func part(t *testing.T, token string, n int) map[string]any {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[n])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTokenHasExactlyTheContractsClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := mustIssuer(t, login.IssuerOptions{Keys: mustKeys(t, rfc8037Key)})
		token := issue(t, i)
		now := time.Now().Unix()
		want := map[string]any{
			"iss": "posthouse", "aud": "posthouse", "sub": "o-ana", "appid": "wx1", "openid": "o-ana", "unionid": "u-ana",
			"amr": []any{"wechat_oa"}, "iat": float64(now), "nbf": float64(now), "exp": float64(now + 900), "jti": "jti-1",
		}
		if got := part(t, token.JWT, 1); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("claims\n%v, want\n%v", got, want)
		}
		wantHeader := map[string]any{"alg": "EdDSA", "kid": rfc8037Thumbprint, "typ": "JWT"}
		if got := part(t, token.JWT, 0); fmt.Sprint(got) != fmt.Sprint(wantHeader) {
			t.Errorf("header %v, want %v", got, wantHeader)
		}
		if token.JTI != "jti-1" || token.ExpiresAt.Unix() != now+900 {
			t.Errorf("token says %q, %v", token.JTI, token.ExpiresAt)
		}
		// Without the library: the signature is Ed25519 over the first two parts.
		public, _ := base64.RawURLEncoding.DecodeString(rfc8037X)
		signed, sig, _ := cutLast(token.JWT)
		if raw, _ := base64.RawURLEncoding.DecodeString(sig); !ed25519.Verify(public, []byte(signed), raw) {
			t.Error("the signature does not verify")
		}
		without, _ := i.Issue(t.Context(), login.Identity{AppID: "wx1", OpenID: "o"}, "j", time.Now())
		if _, has := part(t, without.JWT, 1)["unionid"]; has {
			t.Error("an empty unionid is written")
		}
	})
}

func cutLast(token string) (string, string, bool) {
	n := strings.LastIndexByte(token, '.')
	return token[:n], token[n+1:], true
}

func TestRepeatedTokenIsTheSame(t *testing.T) {
	for _, key := range []string{rfc8037Key, hs256} {
		synctest.Test(t, func(t *testing.T) {
			i := mustIssuer(t, login.IssuerOptions{Keys: mustKeys(t, key)})
			iat := time.Now().Add(300 * time.Millisecond)
			id := login.Identity{AppID: "wx1", OpenID: "o"}
			a, _ := i.Issue(t.Context(), id, "j", iat)
			time.Sleep(5 * time.Minute)
			b, _ := i.Issue(t.Context(), id, "j", iat)
			if a.JWT != b.JWT {
				t.Errorf("%s\n%s", a.JWT, b.JWT)
			}
			if _, err := i.Verify(a.JWT); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParseKeys(t *testing.T) {
	for text, n := range map[string]int{
		rfc8037Key:                    1,
		"  \n" + rfc8037Key + "\n":    1,
		rfc8037Key + hs256:            2,
		hs256 + "\n" + rfc8037Key:     2,
		strings.TrimRight(hs256, "="): 1,
	} {
		keys, err := login.ParseKeys(text)
		if err != nil || len(keys) != n {
			t.Errorf("%q: %d keys, %v", text, len(keys), err)
		}
	}
	rsa := "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	for name, text := range map[string]string{
		"empty": "", "blank": " \n", "words": "swordfish", "hs256 of 31 bytes": "hs256:" + base64.StdEncoding.EncodeToString(make([]byte, 31)),
		"hs256 that is not base64": "hs256:%%%", "PKCS#8 of something else": rsa,
		"a public key":        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n",
		"a good key and junk": rfc8037Key + "junk",
	} {
		if keys, err := login.ParseKeys(text); err == nil {
			t.Errorf("%s: %v accepted", name, keys)
		} else if strings.Contains(err.Error(), "AAAA") || strings.Contains(err.Error(), "swordfish") {
			t.Errorf("%s: the error quotes it: %v", name, err)
		}
	}
}

func TestKeyNeverPrintsItself(t *testing.T) {
	for _, key := range mustKeys(t, rfc8037Key+hs256) {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			s := fmt.Sprintf(format, key)
			if !strings.Contains(s, key.ID()) || len(s) > 60 {
				t.Errorf("%s prints %s", format, s)
			}
		}
	}
}

func TestJWKS(t *testing.T) {
	i := mustIssuer(t, login.IssuerOptions{Keys: mustKeys(t, rfc8037Key+hs256)})
	want := `{"keys":[{"alg":"EdDSA","crv":"Ed25519","kid":"` + rfc8037Thumbprint + `","kty":"OKP","use":"sig","x":"` + rfc8037X + `"}]}`
	if got := string(i.JWKS()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(mustIssuer(t, login.IssuerOptions{Keys: mustKeys(t, hs256)}).JWKS()); got != `{"keys":[]}` {
		t.Errorf("a shared secret alone gives %s", got)
	}
}

func TestRotationOverlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh := mustKeys(t, rfc8037Key), []login.Key{mustGenerate(t)}
		i := mustIssuer(t, login.IssuerOptions{Keys: old})
		if err := i.Rotate(fresh, 5*time.Minute); err != nil {
			t.Fatal(err)
		}
		both := func(want bool) {
			t.Helper()
			set := i.JWKS()
			if !bytes.Contains(set, []byte(fresh[0].ID())) || bytes.Contains(set, []byte(old[0].ID())) != want {
				t.Errorf("JWKS is %s", set)
			}
		}
		signedBy := func(k login.Key) login.Token {
			t.Helper()
			token := issue(t, i)
			if kid := part(t, token.JWT, 0)["kid"]; kid != k.ID() {
				t.Errorf("signed by %v, want %v", kid, k.ID())
			}
			return token
		}
		both(true)
		time.Sleep(5*time.Minute - time.Second)
		last := signedBy(old[0])
		time.Sleep(time.Second)
		signedBy(fresh[0])
		time.Sleep(14 * time.Minute)
		if _, err := i.Verify(last.JWT); err != nil {
			t.Errorf("the last token of the old key: %v", err)
		}
		both(true)
		time.Sleep(time.Minute + 30*time.Second)
		both(false)
		if err := i.Rotate(fresh, 0); err != nil { // the same file read again changes nothing
			t.Fatal(err)
		}
		signedBy(fresh[0])
	})
}

func mustGenerate(t *testing.T) login.Key {
	t.Helper()
	k, _, err := login.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// docs/reliability.md §2.2: the RFC 8725 set and the library advisories.
func TestVerifyRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := mustKeys(t, rfc8037Key+hs256)
		i := mustIssuer(t, login.IssuerOptions{Keys: keys})
		good := issue(t, i).JWT
		if _, err := i.Verify(good); err != nil {
			t.Fatal(err)
		}
		split := strings.Split(good, ".")
		b64 := base64.RawURLEncoding.EncodeToString
		private := ed25519.NewKeyFromSeed(seed(t))
		public := private.Public().(ed25519.PublicKey)
		sign := func(header, claims string) string {
			signed := b64([]byte(header)) + "." + b64([]byte(claims))
			return signed + "." + b64(ed25519.Sign(private, []byte(signed)))
		}
		mac := func(header, claims string, secret []byte) string {
			signed := b64([]byte(header)) + "." + b64([]byte(claims))
			h := hmac.New(sha256.New, secret)
			h.Write([]byte(signed))
			return signed + "." + b64(h.Sum(nil))
		}
		kid := keys[0].ID()
		header := `{"alg":"EdDSA","kid":"` + kid + `","typ":"JWT"}`
		hs := strings.Replace(header, "EdDSA", "HS256", 1)
		now := time.Now().Unix()
		claims := func(change string, to any) string {
			c := map[string]any{"iss": "posthouse", "aud": "posthouse", "sub": "o", "appid": "a", "openid": "o",
				"amr": []string{"wechat_oa"}, "iat": now, "nbf": now, "exp": now + 900, "jti": "j"}
			if to == nil {
				delete(c, change)
			} else {
				c[change] = to
			}
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		ok := claims("x", 1)
		if _, err := i.Verify(sign(header, ok)); err != nil {
			t.Fatalf("the test's own signing is wrong: %v", err)
		}
		for name, token := range map[string]string{
			"nothing":                         "",
			"a megabyte of dots":              strings.Repeat(".", 1<<20),
			"more than 8 KiB":                 good + strings.Repeat("A", 8<<10),
			"two parts":                       split[0] + "." + split[1],
			"no signature":                    split[0] + "." + split[1] + ".",
			"four parts (a JWE has five)":     good + ".AAAA",
			"five parts":                      good + ".AAAA.AAAA",
			"alg none":                        b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + split[1] + ".",
			"alg nOnE with our kid":           sign(strings.Replace(header, "EdDSA", "nOnE", 1), ok),
			"HS256 keyed with the public key": mac(hs, ok, public),
			"HS256 keyed with its base64":     mac(hs, ok, []byte(rfc8037X)),
			"EdDSA header, HS256 key's kid":   sign(strings.Replace(header, kid, keys[1].ID(), 1), ok),
			"two alg":                         sign(strings.Replace(header, `"kid"`, `"alg":"none","kid"`, 1), ok),
			"kid of a path":                   sign(strings.Replace(header, kid, "../../x", 1), ok),
			"kid of SQL":                      sign(strings.Replace(header, kid, "' OR 1=1 --", 1), ok),
			"no kid":                          sign(`{"alg":"EdDSA","typ":"JWT"}`, ok),
			"jku":                             sign(strings.Replace(header, `"kid"`, `"jku":"https://evil.example/jwks","kid"`, 1), ok),
			"x5u":                             sign(strings.Replace(header, `"typ"`, `"x5u":"https://evil.example","typ"`, 1), ok),
			"crit":                            sign(strings.Replace(header, `"kid"`, `"crit":["exp"],"kid"`, 1), ok),
			"zip":                             sign(strings.Replace(header, `}`, `,"zip":"DEF"}`, 1), ok),
			"typ of another kind":             sign(strings.Replace(header, "JWT", "secevent+jwt", 1), ok),
			"header with spaces":              sign(strings.Replace(header, ",", ", ", 1), ok),
			"padding":                         good + "=",
			"line break in the signature":     good[:len(good)-4] + "\n" + good[len(good)-4:],
			"space before":                    " " + good,
			"standard base64 alphabet":        split[0] + "." + split[1] + "." + strings.Repeat("+", len(split[2])),
			"loose bits at the end":           good[:len(good)-1] + string(good[len(good)-1]+1),
			"signature of another token":      split[0] + "." + b64([]byte(ok)) + "." + split[2],
			"expired and badly signed":        split[0] + "." + b64([]byte(claims("exp", now-3600))) + "." + split[2],
			"expired":                         sign(header, claims("exp", now-31)),
			"no exp":                          sign(header, claims("exp", nil)),
			"exp as a string":                 sign(header, claims("exp", "99999999999")),
			"exp 1e400":                       sign(header, strings.Replace(ok, fmt.Sprint(now+900), "1e400", 1)),
			"exp with a fraction":             sign(header, strings.Replace(ok, fmt.Sprint(now+900), fmt.Sprint(now+900)+".5", 1)),
			"nbf in the future":               sign(header, claims("nbf", now+31)),
			"iat in the future":               sign(header, claims("iat", now+31)),
			"no nbf":                          sign(header, claims("nbf", nil)),
			"no iat":                          sign(header, claims("iat", nil)),
			"another issuer":                  sign(header, claims("iss", "evil")),
			"no issuer":                       sign(header, claims("iss", nil)),
			"another audience":                sign(header, claims("aud", "evil")),
			"aud as an array":                 sign(header, claims("aud", []string{"evil", "posthouse"})),
			"no aud":                          sign(header, claims("aud", nil)),
			"aud as a number":                 sign(header, claims("aud", 1)),
			"no jti":                          sign(header, claims("jti", nil)),
			"no sub":                          sign(header, claims("sub", nil)),
			"claims that are no object":       sign(header, `[]`),
			"claims null":                     sign(header, `null`),
		} {
			if c, err := i.Verify(token); err == nil {
				t.Errorf("%s: accepted as %+v", name, c)
			}
		}
		for name, token := range map[string]string{
			"29 s late":  sign(header, claims("exp", now-29)),
			"29 s early": sign(header, claims("nbf", now+29)),
		} {
			if _, err := i.Verify(token); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// seed is the private key of RFC 8037, A.1.
func seed(t *testing.T) []byte {
	t.Helper()
	d, err := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

type shelf map[string]string

func (s shelf) PutFirst(_ context.Context, name, text string) (string, error) {
	if _, ok := s[name]; !ok {
		s[name] = text
	}
	return s[name], nil
}

func TestDevelopmentKeyIsSharedThroughTheShelf(t *testing.T) {
	s := shelf{}
	a, err := login.DevelopmentKey(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := login.DevelopmentKey(t.Context(), s)
	if err != nil || a.ID() != b.ID() {
		t.Errorf("%v and %v, %v", a, b, err)
	}
	alone, err := login.DevelopmentKey(t.Context(), nil)
	if err != nil || alone.ID() == a.ID() {
		t.Errorf("alone: %v, %v", alone, err)
	}
}

func FuzzVerify(f *testing.F) {
	keys, _ := login.ParseKeys(rfc8037Key + hs256)
	i, err := login.NewIssuer(&login.IssuerOptions{Keys: keys})
	if err != nil {
		f.Fatal(err)
	}
	token, err := i.Issue(context.Background(), login.Identity{AppID: "a", OpenID: "o"}, "j", time.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token.JWT)
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := i.Verify(s)
		if err == nil && s != token.JWT {
			t.Fatalf("forged: %+v", c)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add(rfc8037Key)
	f.Add(hs256)
	f.Add(hs256 + "\n" + rfc8037Key)
	f.Fuzz(func(t *testing.T, s string) {
		keys, err := login.ParseKeys(s)
		if err != nil {
			return
		}
		i, err := login.NewIssuer(&login.IssuerOptions{Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		token, err := i.Issue(t.Context(), login.Identity{AppID: "a", OpenID: "o"}, "j", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.Verify(token.JWT); err != nil {
			t.Fatal(err)
		}
	})
}

func TestIssuer_Pending_IssuesNothingUntilItHasAKey(t *testing.T) {
	i, err := login.NewIssuer(&login.IssuerOptions{Pending: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Issue(t.Context(), login.Identity{OpenID: "ana"}, "jti", time.Now()); !errors.Is(err, login.ErrStoreUnavailable) {
		t.Errorf("issued without a key: %v", err)
	}
	if got := string(i.JWKS()); got != `{"keys":[]}` {
		t.Errorf("JWKS %s", got)
	}
	if _, err := i.Verify("a.b.c"); !errors.Is(err, login.ErrInvalidToken) {
		t.Errorf("verified without a key: %v", err)
	}
	key, _, err := login.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Rotate([]login.Key{key}, 0); err != nil {
		t.Fatal(err)
	}
	token, err := i.Issue(t.Context(), login.Identity{OpenID: "ana"}, "jti", time.Now())
	if err != nil || i.Ready() != nil {
		t.Fatal(err)
	}
	if _, err := i.Verify(token.JWT); err != nil {
		t.Error(err)
	}
}
