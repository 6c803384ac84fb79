package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/MicahParks/jwkset"
)

// Bounds of what an issuer may answer.
const (
	maxKeySetBytes = 1 << 20
	maxKeys        = 100
)

// fetch asks the issuer once.
func (j *JWKS) fetch(ctx context.Context) (Keys, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := j.client.Do(req)
	if err != nil {
		if of, ok := errors.AsType[*url.Error](err); ok {
			err = of.Err // without the URL, whose query may hold a secret
		}
		return nil, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxKeySetBytes+1))
	switch {
	case err != nil:
		return nil, 0, err
	case len(body) > maxKeySetBytes:
		return nil, 0, errors.New("the key set is longer than 1 MiB")
	}
	keys, err := parseKeySet(body)
	return keys, keyAge(res.Header.Get("Cache-Control")), err
}

// parseKeySet reads the keys that can verify tokens. Others are left out: an issuer
// may publish keys for encryption and of algorithms to come.
func parseKeySet(body []byte) (Keys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("not a JSON Web Key Set")
	}
	var keys Keys
	for _, raw := range set.Keys {
		if key, err := parseKey(raw); err == nil && len(keys) < maxKeys {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errNoKeys
	}
	return keys, nil
}

func parseKey(raw json.RawMessage) (Key, error) {
	// Private stays off: a shared secret in a public key set protects nothing.
	jwk, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return Key{}, err
	}
	m := jwk.Marshal()
	if m.USE != "" && m.USE != jwkset.UseSig {
		return Key{}, fmt.Errorf("%w: its use is %q", ErrKey, m.USE)
	}
	if _, secret := jwk.Key().([]byte); secret {
		return Key{}, fmt.Errorf("%w: a secret in a key set", ErrKey)
	}
	key, err := NewKey(m.KID, jwk.Key())
	if err != nil {
		return Key{}, err
	}
	if alg := m.ALG.String(); alg != "" {
		if !slices.Contains(key.algorithms, alg) {
			return Key{}, fmt.Errorf("%w: its alg is %q", ErrKey, alg)
		}
		key.algorithms = []string{alg}
	}
	return key, nil
}

// keyAge is how long keys may be kept, by the Cache-Control of their answer.
func keyAge(cacheControl string) time.Duration {
	age := minKeyAge
	for directive := range strings.SplitSeq(strings.ToLower(cacheControl), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache":
			return minKeyAge
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err == nil {
				age = time.Duration(seconds) * time.Second
			} else if errors.Is(err, strconv.ErrRange) {
				age = maxKeyAge
			}
		}
	}
	return min(max(age, minKeyAge), maxKeyAge)
}
