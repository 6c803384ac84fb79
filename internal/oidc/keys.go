package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"

	jose "github.com/go-jose/go-jose/v4"
)

// Key is a signing key of ID tokens. It never prints itself.
type Key struct {
	id      string
	alg     jose.SignatureAlgorithm
	private crypto.Signer
}

const minRSABits = 2048

var errKey = errors.New("oidc: bad key")

// ParseKeys reads PKCS#8 PEM blocks: RSA of at least 2048 bits signs RS256, EC P-256
// signs ES256. The first of an algorithm signs; all are published.
func ParseKeys(text string) ([]Key, error) {
	var keys []Key
	for rest := []byte(strings.TrimSpace(text)); len(rest) > 0; {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "PRIVATE KEY" {
			return nil, fmt.Errorf("%w: it is not a PKCS#8 PEM (BEGIN PRIVATE KEY)", errKey)
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: not PKCS#8", errKey) // x509's own words may quote the key
		}
		k, err := newKey(parsed)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
		rest = []byte(strings.TrimSpace(string(after)))
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: empty", errKey)
	}
	return keys, nil
}

func newKey(private any) (Key, error) {
	switch p := private.(type) {
	case *rsa.PrivateKey:
		if p.N.BitLen() < minRSABits {
			return Key{}, fmt.Errorf("%w: RSA of %d bits; use %d or more", errKey, p.N.BitLen(), minRSABits)
		}
		return withID(jose.RS256, p)
	case *ecdsa.PrivateKey:
		if p.Curve != elliptic.P256() {
			return Key{}, fmt.Errorf("%w: the curve is not P-256", errKey)
		}
		return withID(jose.ES256, p)
	case ed25519.PrivateKey:
		return Key{}, fmt.Errorf("%w: Ed25519 signs with the key of POSTHOUSE_JWT_KEY_FILE; name RSA or EC keys here", errKey)
	}
	return Key{}, fmt.Errorf("%w: neither RSA nor EC P-256", errKey)
}

func withID(alg jose.SignatureAlgorithm, private crypto.Signer) (Key, error) {
	sum, err := (&jose.JSONWebKey{Key: private.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return Key{}, err
	}
	return Key{encode(sum), alg, private}, nil
}

// EdKey is the key of the login's own tokens, for clients that want EdDSA.
func EdKey(id string, private crypto.Signer) Key { return Key{id, jose.EdDSA, private} }

// GenerateKey makes an RSA key for development, with its PEM to keep it by.
func GenerateKey() (Key, string, error) {
	private, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		return Key{}, "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Key{}, "", err
	}
	k, err := newKey(private)
	return k, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
}

// String names the key without telling it.
func (k Key) String() string { return "key " + k.id }

// GoString is String: %#v tells no secret either.
func (k Key) GoString() string { return k.String() }

func (k Key) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: k.id, Algorithm: string(k.alg), Use: "sig", Key: k.private.Public()}
}

// signingKey is a Key as op.SigningKey.
type signingKey struct{ held Key }

func (k signingKey) ID() string                                  { return k.held.id }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return k.held.alg }
func (k signingKey) Key() any                                    { return k.held.private }

// keyRing are the provider's own keys, and how to fetch them while there are none.
type keyRing struct {
	fetch func(context.Context) ([]Key, error) // nil: held is all
	edKey func() (Key, bool)

	mu   sync.Mutex // guards held; held during a fetch, so that there is one
	held []Key
}

// keys returns all keys; an error while they cannot be fetched.
func (r *keyRing) keys(ctx context.Context) ([]Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.held) == 0 && r.fetch != nil {
		held, err := r.fetch(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		r.held = held
	}
	return r.held, nil
}

// signer returns the key that signs with alg.
func (r *keyRing) signer(ctx context.Context, alg string) (signingKey, error) {
	if alg == string(jose.EdDSA) {
		if k, ok := r.edKey(); ok {
			return signingKey{k}, nil
		}
		return signingKey{}, fmt.Errorf("%w: no EdDSA key", ErrUnavailable)
	}
	keys, err := r.keys(ctx)
	if err != nil {
		return signingKey{}, err
	}
	for _, k := range keys {
		if string(k.alg) == alg {
			return signingKey{k}, nil
		}
	}
	return signingKey{}, fmt.Errorf("%w: no key for %s", ErrUnavailable, alg)
}

// algorithms are those with a key that signs.
func (r *keyRing) algorithms(ctx context.Context) ([]string, error) {
	keys, err := r.keys(ctx)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for _, k := range keys {
		has[string(k.alg)] = true
	}
	if _, ok := r.edKey(); ok {
		has[string(jose.EdDSA)] = true
	}
	var names []string
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA} {
		if has[string(alg)] {
			names = append(names, string(alg))
		}
	}
	return names, nil
}

// AppendJWKS adds the provider's keys to a JWKS of others.
func (p *Provider) AppendJWKS(ctx context.Context, jwks []byte) ([]byte, error) {
	keys, err := p.keys.keys(ctx)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, err
	}
	for _, k := range keys {
		text, err := json.Marshal(k.jwk())
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, text)
	}
	return json.Marshal(set)
}

// publishedKeys verifies hints: it is an oidc.KeySet of everything in the JWKS.
type publishedKeys struct{ provider *Provider }

func (s publishedKeys) VerifySignature(ctx context.Context, jws *jose.JSONWebSignature) ([]byte, error) {
	own, err := s.provider.options.JWKS(ctx)
	if err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(own, &set); err != nil {
		return nil, err
	}
	if len(jws.Signatures) != 1 {
		return nil, errKey
	}
	header := jws.Signatures[0].Header
	for _, k := range set.Key(header.KeyID) {
		if k.Algorithm == header.Algorithm {
			return jws.Verify(&k)
		}
	}
	return nil, errKey
}

// Algorithm is what the key signs: RS256, ES256 or EdDSA.
func (k Key) Algorithm() string { return string(k.alg) }
