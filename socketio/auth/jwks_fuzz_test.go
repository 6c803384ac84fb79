package auth

import "testing"

// FuzzKeySet reads what an issuer publishes: a set is refused, or each of its keys verifies
// something and is no shared secret.
func FuzzKeySet(f *testing.F) {
	for _, s := range []string{
		`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, `{"keys":[]}`, `{}`, `[]`, ``,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","use":"enc"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","alg":"RS256"}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parseKeySet(b)
		if err != nil {
			if len(keys) > 0 || len(err.Error()) > 100 {
				t.Fatalf("%d keys with an error of %d bytes", len(keys), len(err.Error()))
			}
			return
		}
		if len(keys) == 0 || len(keys) > maxKeys {
			t.Fatalf("%d keys", len(keys))
		}
		for _, k := range keys {
			if len(k.algorithms) == 0 {
				t.Fatalf("a key without an algorithm: %q", b)
			}
			for _, alg := range k.algorithms {
				if alg == "none" || alg[0] == 'H' {
					t.Fatalf("%q from a published set", alg)
				}
			}
		}
	})
}

// FuzzKeyAge reads a Cache-Control header.
func FuzzKeyAge(f *testing.F) {
	for _, s := range []string{"max-age=300", "no-store", "max-age=99999999999", `max-age="60"`, "MAX-AGE=-1", "", ",,=", "max-age=1, max-age=7200"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if age := keyAge(s); age < minKeyAge || age > maxKeyAge {
			t.Fatalf("%q: %v", s, age)
		}
	})
}
