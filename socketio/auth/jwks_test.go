package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// issuer answers for a JWKS URL without a network.
type issuer struct {
	mu           sync.Mutex
	body         string
	cacheControl string
	status       int
	err          error
	slow         time.Duration
	asked        int
}

func (i *issuer) set(change func(i *issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.asked++
	body, cc, status, err, slow := i.body, i.cacheControl, i.status, i.err, i.slow
	i.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	if status == 0 {
		status = http.StatusOK
	}
	return &http.Response{StatusCode: status, Request: r, Body: io.NopCloser(strings.NewReader(body)),
		Header: http.Header{"Cache-Control": {cc}, "Location": {"https://elsewhere.example"}}}, nil
}

func keySet(keys map[string]any) string {
	var set jwkset.JWKSMarshal
	for kid, key := range keys {
		k, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{
			Marshal:  jwkset.JWKMarshalOptions{Private: true},
			Metadata: jwkset.JWKMetadataOptions{KID: kid}})
		if err != nil {
			panic(err)
		}
		set.Keys = append(set.Keys, k.Marshal())
	}
	return string(must(json.Marshal(set)))
}

func newJWKS(t testing.TB, i *issuer) *JWKS {
	t.Helper()
	j, err := NewJWKS("https://id.example.com/jwks", &JWKSOptions{Client: &http.Client{Transport: i}, Logger: quiet})
	noError(t, err)
	return j
}

func finds(t *testing.T, j *JWKS, kid string) bool {
	t.Helper()
	keys, err := j.Find(t.Context(), kid)
	noError(t, err)
	return len(keys) > 0
}

func TestJWKS_Find_KeepsKeysAsCacheControlSaysWithinBounds(t *testing.T) {
	for cacheControl, want := range map[string]time.Duration{
		"": 5 * time.Minute, "max-age=1": 5 * time.Minute, "public, max-age=3600": time.Hour,
		"max-age=31536000": 24 * time.Hour, "max-age=99999999999999999999": 24 * time.Hour,
		"no-store": 5 * time.Minute, "max-age=3600, no-cache": 5 * time.Minute, "max-age=x": 5 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			i := &issuer{body: keySet(map[string]any{"ed": edPublic}), cacheControl: cacheControl}
			j := newJWKS(t, i)
			finds(t, j, "ed")
			time.Sleep(want - time.Second)
			finds(t, j, "ed")
			if i.asked != 1 {
				t.Errorf("%q: asked %d times before %v", cacheControl, i.asked, want)
			}
			time.Sleep(time.Second)
			finds(t, j, "ed")
			if i.asked != 2 {
				t.Errorf("%q: asked %d times after %v", cacheControl, i.asked, want)
			}
		})
	}
}

func TestJWKS_Find_UnknownKidRefreshesOnceIn30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{body: keySet(map[string]any{"ed": edPublic}), cacheControl: "max-age=3600"}
		j := newJWKS(t, i)
		finds(t, j, "ed")
		for range 100 {
			if finds(t, j, "new") {
				t.Fatal("found an unknown key")
			}
		}
		if i.asked != 2 {
			t.Errorf("asked %d times", i.asked)
		}
		i.set(func(i *issuer) { i.body = keySet(map[string]any{"ed": edPublic, "new": &ecPrivate.PublicKey}) })
		time.Sleep(29 * time.Second)
		if finds(t, j, "new") {
			t.Error("refreshed within 30 s")
		}
		time.Sleep(time.Second)
		if !finds(t, j, "new") || i.asked != 3 {
			t.Errorf("the new key was not found after 30 s; asked %d times", i.asked)
		}
	})
}

// The first question fetches the keys; that they lack its kid is known then.
func TestJWKS_Find_UnknownKidAtFirst_AsksOnce(t *testing.T) {
	i := &issuer{body: keySet(map[string]any{"ed": edPublic})}
	if finds(t, newJWKS(t, i), "new") || i.asked != 1 {
		t.Errorf("asked %d times", i.asked)
	}
}

// Keys that are too old are fetched again, however short ago an unknown kid asked for that.
func TestJWKS_Find_UnknownKidShortlyBeforeTheEndOfTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{body: keySet(map[string]any{"ed": edPublic}), cacheControl: "max-age=300"}
		j := newJWKS(t, i)
		finds(t, j, "ed")
		time.Sleep(290 * time.Second)
		i.set(func(i *issuer) { i.err = errors.New("refused") })
		finds(t, j, "new")
		i.set(func(i *issuer) { i.err, i.body = nil, keySet(map[string]any{"new": edPublic}) })
		time.Sleep(10 * time.Second)
		if !finds(t, j, "new") {
			t.Error("the keys were not fetched when they were too old")
		}
	})
}

// While a refresh is under way the old keys serve without a wait.
func TestJWKS_Find_SlowIssuer_KnownKeysServeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{body: keySet(map[string]any{"ed": edPublic})}
		j := newJWKS(t, i)
		finds(t, j, "ed")
		time.Sleep(5 * time.Minute)
		i.set(func(i *issuer) { i.slow = 3 * time.Second })
		var first sync.WaitGroup
		first.Go(func() { finds(t, j, "ed") })
		synctest.Wait()
		began := time.Now()
		if !finds(t, j, "ed") || !time.Now().Equal(began) {
			t.Errorf("a known key after %v", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := j.Find(ctx, "new"); !errors.Is(err, ErrUnavailable) || time.Since(began) != time.Second {
			t.Errorf("an unknown key: %v after %v", err, time.Since(began))
		}
		first.Wait()
	})
}

func TestJWKS_Find_OneRefreshAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{body: keySet(map[string]any{"ed": edPublic}), slow: time.Second}
		j := newJWKS(t, i)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if keys, err := j.Find(t.Context(), "ed"); err != nil || len(keys) != 1 {
					t.Errorf("%v, %v", keys, err)
				}
			})
		}
		all.Wait()
		if i.asked != 1 {
			t.Errorf("asked %d times", i.asked)
		}
	})
}

func TestJWKS_Find_StaleKeysServeWhileTheIssuerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{body: keySet(map[string]any{"ed": edPublic})}
		j := newJWKS(t, i)
		finds(t, j, "ed")
		for name, away := range map[string]func(i *issuer){
			"no connection": func(i *issuer) { i.err = errors.New("refused") },
			"status 500":    func(i *issuer) { i.status = 500 },
			"redirect":      func(i *issuer) { i.status = http.StatusFound },
			"not JSON":      func(i *issuer) { i.body = "<html>" },
			"no keys":       func(i *issuer) { i.body = `{"keys":[]}` },
			"hangs":         func(i *issuer) { i.slow = time.Hour },
			"too long":      func(i *issuer) { i.body += strings.Repeat(" ", 1<<20) },
		} {
			body := i.body
			i.set(away)
			time.Sleep(5*time.Minute + time.Second)
			stats := j.Stats()
			asked := i.count()
			for range 10 {
				if !finds(t, j, "ed") {
					t.Errorf("%s: a known key was not served", name)
				}
			}
			after := j.Stats()
			if after.Failures != stats.Failures+1 || after.Stale != stats.Stale+10 || i.count() != asked+1 {
				t.Errorf("%s: %+v, then %+v; asked %d times", name, stats, after, i.count()-asked)
			}
			i.set(func(i *issuer) {
				i.body, i.status, i.err, i.slow = body, 0, nil, 0
			})
			time.Sleep(5 * time.Second)
			finds(t, j, "ed")
			if j.Stats().Stale != after.Stale {
				t.Errorf("%s: stale after the issuer came back", name)
			}
		}
	})
}

func TestJWKS_Find_UnavailableWithoutAnyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{err: errors.New("refused")}
		v := verifier(t, newJWKS(t, i), 0)
		for range 10 {
			if _, err := v.Verify(t.Context(), good(nil)); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%v", err)
			}
		}
		if i.asked != 1 {
			t.Errorf("asked %d times", i.asked)
		}
		i.set(func(i *issuer) { i.err, i.body = nil, keySet(map[string]any{"ed": edPublic}) })
		time.Sleep(5 * time.Second)
		if _, err := v.Verify(t.Context(), good(nil)); err != nil {
			t.Errorf("the issuer is back: %v", err)
		}
	})
}

func TestJWKS_Find_TakesNoSecretsAndPinsAlg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := keySet(map[string]any{"ed": edPublic, "hs": secret, "rsa": &rsaPrivate.PublicKey})
		body = strings.Replace(body, `"kty":"RSA"`, `"kty":"RSA","alg":"PS256"`, 1)
		v := verifier(t, newJWKS(t, &issuer{body: body}), 0)
		for name, test := range map[string]struct {
			token string
			ok    bool
		}{
			"EdDSA": {good(nil), true},
			"HS256": {sign(jwt.SigningMethodHS256, "hs", secret, claims(nil)), false},
			"PS256": {sign(jwt.SigningMethodPS256, "rsa", rsaPrivate, claims(nil)), true},
			"RS256": {sign(jwt.SigningMethodRS256, "rsa", rsaPrivate, claims(nil)), false},
		} {
			if _, err := v.Verify(t.Context(), test.token); (err == nil) != test.ok {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestNewJWKS_HTTPOnLoopbackOnly(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://id.example.com/jwks": true, "http://127.0.0.1:8080/jwks": true, "http://[::1]/jwks": true,
		"http://localhost/jwks": true, "http://id.example.com/jwks": false, "ftp://127.0.0.1/": false,
		"http://127.0.0.1.example.com/": false, "http://192.0.2.1/": false, "https://": false, ":": false, "": false, "jwks": false, "https://user:pass@id.example.com/": false,
	} {
		_, err := NewJWKS(address, nil)
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "pass@") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// The keys that a set may hold: no secrets, none for encryption, none too small, each for
// its own algorithm, a hundred at most.
func TestJWKS_Find_LeavesUnsuitableKeysOut(t *testing.T) {
	i := &issuer{}
	many := []string{}
	add := func(kid string, key any, change ...string) {
		text := strings.TrimSuffix(strings.TrimPrefix(keySet(map[string]any{kid: key}), `{"keys":[`), "]}")
		many = append(many, strings.NewReplacer(change...).Replace(text))
	}
	add("use", edPublic, `"kty":"OKP"`, `"kty":"OKP","use":"enc"`)
	add("alg", &rsaPrivate.PublicKey, `"kty":"RSA"`, `"kty":"RSA","alg":"ES256"`)
	add("small", &must(rsa.GenerateKey(rand.Reader, 1024)).PublicKey)
	add("curve", &must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)).PublicKey)
	add("hs", secret)
	add("sig", edPublic, `"kty":"OKP"`, `"kty":"OKP","use":"sig"`)
	for n := range maxKeys {
		add(fmt.Sprint("key", n), edPublic)
	}
	i.body = `{"keys":[{"kty":"?"},` + strings.Join(many, ",") + `]}`
	j := newJWKS(t, i)
	for kid, want := range map[string]bool{"use": false, "alg": false, "small": false, "curve": false, "hs": false, "sig": true,
		fmt.Sprint("key", maxKeys-2): true, fmt.Sprint("key", maxKeys-1): false} {
		if keys, err := j.Find(t.Context(), kid); err != nil || len(keys) > 0 != want {
			t.Errorf("%s: %v %v", kid, keys, err)
		}
	}
}

// A query may hold a secret: the line about a failure is without it.
func TestJWKS_Find_FailureIsLoggedWithoutTheQuery(t *testing.T) {
	for name, i := range map[string]*issuer{"refused": {err: errors.New("refused")}, "status": {status: 500}} {
		var log strings.Builder
		j, err := NewJWKS("https://id.example.com/jwks?key=canary", &JWKSOptions{
			Client: &http.Client{Transport: i}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		noError(t, err)
		if _, err := j.Find(t.Context(), "ed"); !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
		if text := log.String(); !strings.Contains(text, "https://id.example.com/jwks") || !strings.Contains(text, name) || strings.Contains(text, "canary") {
			t.Errorf("%s: the log says %q", name, text)
		}
		if err := j.Err(); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: Err %v", name, err)
		}
	}
}
