package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestVerifier_Verify_AlgorithmsArePinnedByTheKeysType(t *testing.T) {
	v := verifier(t, allKeys, 0)
	public := must(x509.MarshalPKIXPublicKey(&rsaPrivate.PublicKey))
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	for _, test := range []struct {
		name, token string
		ok          bool
	}{
		{"EdDSA", sign(jwt.SigningMethodEdDSA, "ed", edPrivate, claims(nil)), true},
		{"ES256", sign(jwt.SigningMethodES256, "ec", ecPrivate, claims(nil)), true},
		{"RS256", sign(jwt.SigningMethodRS256, "rsa", rsaPrivate, claims(nil)), true},
		{"PS256", sign(jwt.SigningMethodPS256, "rsa", rsaPrivate, claims(nil)), true},
		{"HS256", sign(jwt.SigningMethodHS256, "hs", secret, claims(nil)), true},
		{"without kid", sign(jwt.SigningMethodES256, "", ecPrivate, claims(nil)), true},
		{"RS512", sign(jwt.SigningMethodRS512, "rsa", rsaPrivate, claims(nil)), false},
		{"HS512", sign(jwt.SigningMethodHS512, "hs", secret, claims(nil)), false},
		{"none", sign(jwt.SigningMethodNone, "ed", jwt.UnsafeAllowNoneSignatureType, claims(nil)), false},
		{"public key as secret", sign(jwt.SigningMethodHS256, "rsa", publicPEM, claims(nil)), false},
		{"public key as secret, no kid", sign(jwt.SigningMethodHS256, "", publicPEM, claims(nil)), false},
		{"another kid", sign(jwt.SigningMethodEdDSA, "ec", edPrivate, claims(nil)), false},
		{"unknown kid", sign(jwt.SigningMethodEdDSA, "x", edPrivate, claims(nil)), false},
		{"another key", sign(jwt.SigningMethodHS256, "hs", []byte(strings.Repeat("x", 32)), claims(nil)), false},
	} {
		token, err := v.Verify(t.Context(), test.token)
		if ok := err == nil; ok != test.ok || ok && token.Subject != "ada" {
			t.Errorf("%s: %v, %v", test.name, token, err)
		}
		if err != nil && !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%s: %v is no ErrUnauthorized", test.name, err)
		}
	}
}

func TestVerifier_Verify_Claims(t *testing.T) {
	now := time.Now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, test := range []struct {
		name   string
		skew   time.Duration
		change jwt.MapClaims
		want   error
	}{
		{"good", 0, nil, nil},
		{"several audiences", 0, jwt.MapClaims{"aud": []string{"other", testAudience}}, nil},
		{"no iss", 0, jwt.MapClaims{"iss": nil}, ErrUnauthorized},
		{"another iss", 0, jwt.MapClaims{"iss": testIssuer + "/"}, ErrUnauthorized},
		{"no aud", 0, jwt.MapClaims{"aud": nil}, ErrUnauthorized},
		{"another aud", 0, jwt.MapClaims{"aud": "other"}, ErrUnauthorized},
		{"no exp", 0, jwt.MapClaims{"exp": nil}, ErrUnauthorized},
		{"exp as text", 0, jwt.MapClaims{"exp": "tomorrow"}, ErrUnauthorized},
		{"no sub", 0, jwt.MapClaims{"sub": nil}, ErrUnauthorized},
		{"sub of a number", 0, jwt.MapClaims{"sub": 7}, ErrUnauthorized},
		{"sub too long", 0, jwt.MapClaims{"sub": strings.Repeat("x", 256)}, ErrUnauthorized},
		{"no iat", 0, jwt.MapClaims{"iat": nil}, nil},
		{"no jti", 0, jwt.MapClaims{"jti": nil}, nil},
		{"expired", 0, jwt.MapClaims{"exp": at(-2 * time.Second)}, ErrExpired},
		{"expired, within the skew", 30 * time.Second, jwt.MapClaims{"exp": at(-20 * time.Second)}, nil},
		{"expired, beyond the skew", 30 * time.Second, jwt.MapClaims{"exp": at(-40 * time.Second)}, ErrExpired},
		{"expired and for another audience", 0, jwt.MapClaims{"exp": at(-time.Minute), "aud": "other"}, ErrUnauthorized},
		{"expired and of another issuer", 0, jwt.MapClaims{"exp": at(-time.Minute), "iss": "x"}, ErrUnauthorized},
		{"nbf to come", 0, jwt.MapClaims{"nbf": at(20 * time.Second)}, ErrUnauthorized},
		{"nbf within the skew", 30 * time.Second, jwt.MapClaims{"nbf": at(20 * time.Second)}, nil},
		{"iat to come", 0, jwt.MapClaims{"iat": at(20 * time.Second)}, ErrUnauthorized},
		{"iat within the skew", 30 * time.Second, jwt.MapClaims{"iat": at(20 * time.Second)}, nil},
	} {
		_, err := verifier(t, allKeys, test.skew).Verify(t.Context(), good(test.change))
		if !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestVerifier_Verify_RefusesMalformedTokens(t *testing.T) {
	token := good(nil)
	parts := strings.Split(token, ".")
	crit := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"ed","crit":["x"]}`))
	for name, bad := range map[string]string{
		"empty": "", "dots": "..", "two parts": parts[0] + "." + parts[1], "four parts": token + ".x",
		"line break": parts[0] + "." + parts[1] + ".\n" + parts[2], "padding": token + "=",
		"tampered": parts[0] + "." + parts[1][:len(parts[1])-2] + "AA." + parts[2],
		"too long": token + strings.Repeat("A", MaxToken), "critical extension": crit + "." + parts[1] + "." + parts[2],
		"space": " " + token,
	} {
		if _, err := verifier(t, allKeys, 0).Verify(t.Context(), bad); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The bound is the documented one: a long token below it is judged.
	long := good(jwt.MapClaims{"pad": strings.Repeat("x", 5000)})
	if _, err := verifier(t, allKeys, 0).Verify(t.Context(), long); len(long) > MaxToken || err != nil {
		t.Errorf("%d bytes: %v", len(long), err)
	}
}

func TestVerifier_Verify_CriticalExtensionWithAGoodSignature(t *testing.T) {
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims(nil))
	token.Header["kid"], token.Header["crit"] = "ed", []string{"x"}
	if _, err := verifier(t, allKeys, 0).Verify(t.Context(), must(token.SignedString(edPrivate))); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("crit: %v", err)
	}
}

func TestNewVerifier_NamesWhatIsMissing(t *testing.T) {
	for name, o := range map[string]VerifierOptions{
		"Issuer":    {Audience: "a", Keys: Keys{}},
		"Audience":  {Issuer: "i", Keys: Keys{}},
		"Keys":      {Issuer: "i", Audience: "a"},
		"ClockSkew": {Issuer: "i", Audience: "a", Keys: Keys{}, ClockSkew: -1},
	} {
		if _, err := NewVerifier(&o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseKeys_Forms(t *testing.T) {
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	public := block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&ecPrivate.PublicKey)))
	private := block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(edPrivate)))
	shared := "hs256:" + base64.StdEncoding.EncodeToString(secret)
	keys, err := ParseKeys("\n" + public + shared + "\n" + private)
	noError(t, err)
	for i, alg := range []string{"ES256", "HS256", "EdDSA"} {
		if len(keys) != 3 || keys[i].algorithms[0] != alg {
			t.Fatalf("keys %v", keys)
		}
	}
	if _, err := verifier(t, keys, 0).Verify(t.Context(), good(nil)); err != nil {
		t.Errorf("token of the private key's half: %v", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate := must(x509.CreateCertificate(rand.Reader, template, template, edPublic, edPrivate))
	certified, err := ParseKeys(block("CERTIFICATE", certificate))
	noError(t, err)
	if _, err := verifier(t, certified, 0).Verify(t.Context(), good(nil)); err != nil {
		t.Errorf("token of the certificate's key: %v", err)
	}
	for name, text := range map[string]string{
		"no certificate": block("CERTIFICATE", []byte{1}), "no private key": block("PRIVATE KEY", []byte{1}),
		"empty": " \n", "prose": "hello", "short secret": "hs256:c2hvcnQ=", "not base64": "hs256:!!!",
		"EC PRIVATE KEY": block("EC PRIVATE KEY", []byte{1}), "garbage": block("PUBLIC KEY", []byte{1}),
	} {
		if _, err := ParseKeys(text); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(format, keys[1]); strings.Contains(text, "0123") || strings.Contains(text, "48") {
			t.Errorf("%s tells the secret: %s", format, text)
		}
	}
}

func TestNewKey_RefusesKeysThatAreTooSmall(t *testing.T) {
	for name, material := range map[string]any{
		"Ed25519": edPublic[:31], "P-384": &must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)).PublicKey,
		"RSA": &must(rsa.GenerateKey(rand.Reader, 1024)).PublicKey, "RSA without a modulus": &rsa.PublicKey{E: 65537},
		"secret": secret[:31], "another type": "text",
	} {
		if _, err := NewKey("", material); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadKeys_NamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if _, err := ReadKeys(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	noError(t, os.WriteFile(path, []byte("hs256:"+base64.StdEncoding.EncodeToString(secret)), 0o600))
	if keys, err := ReadKeys(path); err != nil || len(keys) != 1 {
		t.Errorf("%v %v", keys, err)
	}
	noError(t, os.WriteFile(path, []byte("hs256:c2hvcnQ="), 0o600))
	if _, err := ReadKeys(path); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), path) {
		t.Errorf("too short: %v", err)
	}
}

func TestToken_Claim_StringsAndWholeNumbersOnly(t *testing.T) {
	token, err := verifier(t, allKeys, 0).Verify(context.Background(), good(jwt.MapClaims{
		"text": "x", "whole": 9007199254740993, "half": 1.5, "list": []int{1}, "yes": true, "nothing": map[string]any{}}))
	noError(t, err)
	for name, want := range map[string]string{"text": "x", "whole": "9007199254740993", "half": "-", "list": "-", "yes": "-", "nothing": "-", "absent": "-"} {
		got, ok := token.Claim(name)
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func FuzzVerifier(f *testing.F) {
	f.Add(good(nil))
	f.Add("a.b.c")
	f.Add(sign(jwt.SigningMethodHS256, "hs", secret, claims(nil)))
	v, err := NewVerifier(&VerifierOptions{Issuer: testIssuer, Audience: testAudience, Keys: allKeys[:1]})
	noError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		token, err := v.Verify(context.Background(), text)
		if err == nil && (token.Subject != "ada" || token.Issuer != testIssuer || token.Expires.IsZero()) {
			t.Fatalf("%q: %+v", text, token)
		}
		if err != nil && !errors.Is(err, ErrUnauthorized) && !errors.Is(err, ErrExpired) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
