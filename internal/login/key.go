package login

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Key is a signing key: Ed25519, or a secret of at least 256 bits for HS256. It
// never prints itself.
type Key struct {
	keyID      string // RFC 7638 thumbprint, the token's kid
	method     jwt.SigningMethod
	privateKey any
	publicKey  any
}

var errKey = errors.New("login: bad JWT key")

// ParseKeys reads keys in the forms of POSTHOUSE_JWT_KEY (docs/login.md §5): PKCS#8 PEM
// blocks with Ed25519 keys, or lines "hs256:<base64 of at least 32 bytes>". The
// first key signs. Those after it are of earlier days and are still accepted:
// with a file, rotation is to put the new key on top.
func ParseKeys(text string) ([]Key, error) {
	var keys []Key
	// Environment files have no line breaks: \n stands for them.
	rest := strings.TrimSpace(strings.ReplaceAll(text, `\n`, "\n"))
	for rest != "" {
		var k Key
		var err error
		if strings.HasPrefix(rest, "hs256:") {
			var line string
			line, rest, _ = strings.Cut(rest, "\n")
			k, err = parseHS256(strings.TrimSpace(strings.TrimPrefix(line, "hs256:")))
		} else {
			block, after := pem.Decode([]byte(rest))
			if block == nil {
				return nil, fmt.Errorf("%w: neither PEM nor hs256:…", errKey)
			}
			rest = string(after)
			k, err = parsePKCS8(block)
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
		rest = strings.TrimSpace(rest)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: empty", errKey)
	}
	return keys, nil
}

func parseHS256(text string) (Key, error) {
	// Both alphabets, with padding or without: the secret came from somebody's shell.
	text = strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(text)
	secret, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return Key{}, fmt.Errorf("%w: hs256 is not base64", errKey)
	}
	if len(secret) < 32 {
		return Key{}, fmt.Errorf("%w: hs256 needs 32 bytes, has %d", errKey, len(secret))
	}
	id := thumbprintOf(`{"k":"` + base64.RawURLEncoding.EncodeToString(secret) + `","kty":"oct"}`)
	return Key{id, jwt.SigningMethodHS256, secret, secret}, nil
}

func parsePKCS8(block *pem.Block) (Key, error) {
	if block.Type != "PRIVATE KEY" {
		return Key{}, fmt.Errorf("%w: PEM block is not a PKCS#8 PRIVATE KEY", errKey)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("%w: not PKCS#8", errKey) // x509's own words are left out: they may quote the key
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Key{}, fmt.Errorf("%w: not an Ed25519 key", errKey)
	}
	return ed25519Key(private), nil
}

func ed25519Key(private ed25519.PrivateKey) Key {
	public := private.Public().(ed25519.PublicKey)
	id := thumbprintOf(`{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}`)
	return Key{id, jwt.SigningMethodEdDSA, crypto.Signer(private), public}
}

// thumbprintOf is RFC 7638: canonical is the key's required members, sorted.
func thumbprintOf(canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// GenerateKey makes an Ed25519 key, with its PKCS#8 PEM to keep it by.
func GenerateKey() (Key, string, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Key{}, "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return ed25519Key(private), string(text), nil
}

// KeyShelf is a place replicas share, such as [RedisShelf].
type KeyShelf interface {
	// PutFirst keeps text under name unless something is there, and returns what
	// is there now.
	PutFirst(ctx context.Context, name, text string) (string, error)
}

// DevelopmentKey makes a key for development, the same for all replicas when they
// have a shelf (nil: this process alone). Production configures its keys.
func DevelopmentKey(ctx context.Context, shelf KeyShelf) (Key, error) {
	k, text, err := GenerateKey()
	if err != nil || shelf == nil {
		return k, err
	}
	if text, err = shelf.PutFirst(ctx, "development-jwt-key", text); err != nil {
		return Key{}, err
	}
	keys, err := ParseKeys(text)
	if err != nil {
		return Key{}, err
	}
	return keys[0], nil
}

// ID is the kid: the RFC 7638 thumbprint.
func (k Key) ID() string { return k.keyID }

// Algorithm is "EdDSA" or "HS256".
func (k Key) Algorithm() string { return k.method.Alg() }

// String names the key without telling it.
func (k Key) String() string { return "key " + k.keyID }

// GoString is String: %#v tells no secret either.
func (k Key) GoString() string { return k.String() }

// joseHeader is the one JOSE header tokens of this key have.
func (k Key) joseHeader() map[string]any {
	return map[string]any{"alg": k.method.Alg(), "kid": k.keyID, "typ": "JWT"}
}

// publicJWK is the public key for the JWKS; false for a shared secret.
func (k Key) publicJWK() (json.RawMessage, bool) {
	public, ok := k.publicKey.(ed25519.PublicKey)
	if !ok {
		return nil, false
	}
	return fmt.Appendf(nil, `{"alg":"EdDSA","crv":"Ed25519","kid":%q,"kty":"OKP","use":"sig","x":%q}`,
		k.keyID, base64.RawURLEncoding.EncodeToString(public)), true
}
