package gateway_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// answer is an HTTP answer, read to its end.
type answer struct {
	*http.Response
	body string
}

var client = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// call makes a request; headers are "Name: value".
func call(t testing.TB, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Add(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, resp.Body); err != nil {
		t.Fatal(err)
	}
	return answer{resp, b.String()}
}

type scanned struct {
	OpenID, Event, Error string
	Deliveries           []struct {
		URL    string
		Status int
		Body   string
		MS     *float64
	}
}

// scan is a person in front of the page.
func scan(t testing.TB, base, person, ticket string, follow bool) scanned {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"person": person, "ticket": ticket, "follow": follow})
	return act(t, base, "scan", string(body))
}

func act(t testing.TB, base, what, body string) scanned {
	t.Helper()
	a := call(t, "POST", base+"/sim/"+what, body, "Content-Type: application/json")
	if a.StatusCode != 200 {
		t.Fatalf("%s: %d %s", what, a.StatusCode, a.body)
	}
	var s scanned
	if err := json.Unmarshal([]byte(a.body), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// token verifies a JWT against the JWKS and returns header and claims.
func token(t testing.TB, base, jwt string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("no JWT: %q", jwt)
	}
	decode := func(s string, into any) {
		data, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || json.Unmarshal(data, into) != nil {
			t.Fatalf("JWT: %q", s)
		}
	}
	decode(parts[0], &header)
	decode(parts[1], &claims)
	if header["alg"] != "EdDSA" {
		return header, claims
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal([]byte(call(t, "GET", base+"/.well-known/jwks.json", "").body), &set); err != nil {
		t.Fatal(err)
	}
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	i := slices.IndexFunc(set.Keys, func(k map[string]string) bool { return k["kid"] == header["kid"] })
	if i < 0 {
		t.Fatalf("kid %v is not in the JWKS %v", header["kid"], set)
	}
	x, _ := base64.RawURLEncoding.DecodeString(set.Keys[i]["x"])
	if !ed25519.Verify(x, []byte(parts[0]+"."+parts[1]), signature) {
		t.Error("the signature is wrong")
	}
	return header, claims
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B

func challenge(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sign is WeChat's signature: SHA-1 of the sorted parts.
func sign(parts ...string) string {
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}
