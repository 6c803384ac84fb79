package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Key verifies signatures of the algorithms that its type allows. It never prints
// itself.
type Key struct {
	id         string   // "" matches tokens with any kid
	algorithms []string // pinned by the type: the token's header chooses among these only
	material   any
}

// ErrKey is what every error about a malformed or unsuitable key is.
var ErrKey = errors.New("auth: unsuitable key")

// The smallest keys that are taken.
const (
	minSecretBytes = 32
	minRSABits     = 2048
)

// NewKey makes a key from an ed25519.PublicKey (EdDSA), an *ecdsa.PublicKey on P-256
// (ES256), an *rsa.PublicKey of 2048 bits or more (RS256 and PS256) or a secret of 32
// bytes or more (HS256). id is the kid; "" verifies tokens with any.
func NewKey(id string, material any) (Key, error) {
	switch k := material.(type) {
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return Key{}, fmt.Errorf("%w: Ed25519 key of %d bytes", ErrKey, len(k))
		}
		return Key{id, []string{"EdDSA"}, k}, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return Key{}, fmt.Errorf("%w: an ECDSA key must be on P-256", ErrKey)
		}
		return Key{id, []string{"ES256"}, k}, nil
	case *rsa.PublicKey:
		if k.N == nil || k.N.BitLen() < minRSABits {
			return Key{}, fmt.Errorf("%w: an RSA key needs %d bits", ErrKey, minRSABits)
		}
		return Key{id, []string{"RS256", "PS256"}, k}, nil
	case []byte:
		if len(k) < minSecretBytes {
			return Key{}, fmt.Errorf("%w: hs256 needs %d bytes, has %d", ErrKey, minSecretBytes, len(k))
		}
		return Key{id, []string{"HS256"}, k}, nil
	}
	return Key{}, fmt.Errorf("%w: %T", ErrKey, material)
}

// String names the key without telling it.
func (k Key) String() string { return "key " + k.id }

// GoString is String: %#v tells no secret either.
func (k Key) GoString() string { return k.String() }

// KeySource finds the keys that may have signed a token. *JWKS is one, and Keys.
type KeySource interface {
	// Find returns the keys for a kid, all of them for "". An unknown kid is no error;
	// ErrUnavailable tells that the keys cannot be reached.
	Find(ctx context.Context, kid string) ([]Key, error)
}

// Keys is a KeySource of keys that do not change.
type Keys []Key

// Find returns the keys of a kid and those without one.
func (ks Keys) Find(_ context.Context, kid string) ([]Key, error) {
	var found []Key
	for _, k := range ks {
		if kid == "" || k.id == "" || k.id == kid {
			found = append(found, k)
		}
	}
	return found, nil
}

// ReadKeys is ParseKeys of a file.
func ReadKeys(path string) (Keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	keys, err := ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// ParseKeys reads PEM blocks (PUBLIC KEY, CERTIFICATE, or PRIVATE KEY, of which only
// the public half is kept) and lines "hs256:<base64 of at least 32 bytes>".
func ParseKeys(text string) (Keys, error) {
	var keys Keys
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimSpace(rest) {
		var material any
		var err error
		if secret, ok := strings.CutPrefix(rest, "hs256:"); ok {
			secret, rest, _ = strings.Cut(secret, "\n")
			material, err = parseSecret(secret)
		} else {
			block, after := pem.Decode([]byte(rest))
			if block == nil {
				return nil, fmt.Errorf("%w: neither PEM nor hs256:<base64>", ErrKey)
			}
			rest = string(after)
			material, err = parseBlock(block)
		}
		if err != nil {
			return nil, err
		}
		key, err := NewKey("", material)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: empty", ErrKey)
	}
	return keys, nil
}

// parseSecret takes both alphabets of base64, with padding or without.
func parseSecret(text string) ([]byte, error) {
	text = strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(strings.TrimSpace(text))
	secret, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: hs256 is not base64", ErrKey) // the decoder's text may quote the secret
	}
	return secret, nil
}

func parseBlock(block *pem.Block) (any, error) {
	var material any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		material, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			material = certificate.PublicKey
		}
	case "PRIVATE KEY":
		var private any
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		if signer, ok := private.(crypto.Signer); ok {
			material = signer.Public()
		}
	default:
		return nil, fmt.Errorf("%w: PEM block %q is not a PUBLIC KEY, PRIVATE KEY or CERTIFICATE", ErrKey, block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: PEM block %q cannot be read", ErrKey, block.Type)
	}
	return material, nil
}
