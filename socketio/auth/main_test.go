package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var (
	edPublic, edPrivate, _ = ed25519.GenerateKey(rand.Reader)
	ecPrivate              = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	rsaPrivate             = must(rsa.GenerateKey(rand.Reader, 2048))
	secret                 = []byte("0123456789abcdef0123456789abcdef")
	allKeys                = Keys{
		must(NewKey("ed", edPublic)), must(NewKey("ec", &ecPrivate.PublicKey)),
		must(NewKey("rsa", &rsaPrivate.PublicKey)), must(NewKey("hs", secret)),
	}
)

const (
	testIssuer   = "https://id.example.com"
	testAudience = "app"
)

// claims are good ones with changes; nil takes a claim away.
func claims(change jwt.MapClaims) jwt.MapClaims {
	now := time.Now()
	c := jwt.MapClaims{"iss": testIssuer, "aud": testAudience, "sub": "ada", "jti": "1",
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix()}
	maps.Copy(c, change)
	for name, v := range c {
		if v == nil {
			delete(c, name)
		}
	}
	return c
}

func sign(method jwt.SigningMethod, kid string, key any, c jwt.MapClaims) string {
	t := jwt.NewWithClaims(method, c)
	if kid != "" {
		t.Header["kid"] = kid
	}
	return must(t.SignedString(key))
}

// good is a token of the Ed25519 key.
func good(change jwt.MapClaims) string {
	return sign(jwt.SigningMethodEdDSA, "ed", edPrivate, claims(change))
}

func verifier(t testing.TB, keys KeySource, skew time.Duration) *Verifier {
	t.Helper()
	v, err := NewVerifier(&VerifierOptions{Issuer: testIssuer, Audience: testAudience, Keys: keys, ClockSkew: skew})
	noError(t, err)
	return v
}
