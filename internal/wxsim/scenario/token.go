package scenario

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// claims are what the ledger looks at.
type claims struct {
	ID     string `json:"jti"`
	OpenID string `json:"openid"`
	Sub    string `json:"sub"`
	AppID  string `json:"appid"`
}

// keys are the gateway's public keys by kid.
type keys map[string]ed25519.PublicKey

// fetchKeys reads the JWKS. A gateway that signs with a shared secret publishes
// none; its tokens are then read without checking the signature.
func fetchKeys(ctx context.Context, h *http.Client, gateway string) (keys, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, gateway+"/.well-known/jwks.json", nil)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct {
			ID    string `json:"kid"`
			Type  string `json:"kty"`
			Curve string `json:"crv"`
			X     string `json:"x"`
		} `json:"keys"`
	}
	status, err := do(h, r, &set)
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("scenario: the gateway's keys: HTTP %d %w", status, err)
	}
	out := keys{}
	for _, k := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if k.Type == "OKP" && k.Curve == "Ed25519" && err == nil && len(x) == ed25519.PublicKeySize {
			out[k.ID] = x
		}
	}
	return out, nil
}

var errToken = errors.New("scenario: the token is not a valid JWT of this gateway")

// read verifies a token and returns its claims.
func (k keys) read(token string) (claims, error) {
	var out claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return out, errToken
	}
	var header struct {
		Algorithm string `json:"alg"`
		ID        string `json:"kid"`
	}
	if decode(parts[0], &header) != nil || decode(parts[1], &out) != nil || out.ID == "" {
		return out, errToken
	}
	if header.Algorithm == "EdDSA" {
		signature, err := base64.RawURLEncoding.DecodeString(parts[2])
		key := k[header.ID]
		if err != nil || key == nil || !ed25519.Verify(key, []byte(parts[0]+"."+parts[1]), signature) {
			return out, fmt.Errorf("%w: signature", errToken)
		}
	} else if len(k) > 0 {
		return out, fmt.Errorf("%w: algorithm %q beside published keys", errToken, header.Algorithm)
	}
	if out.OpenID == "" {
		out.OpenID = out.Sub
	}
	return out, nil
}

func decode(part string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
