package login

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// leeway is how far clocks may differ when a token is verified (docs/reliability.md §3 row F22).
const leeway = 30 * time.Second

// Claims are the claims of a token, in the order they are written (docs/login.md §5).
type Claims struct {
	Issuer    string   `json:"iss"`
	Audience  string   `json:"aud"`
	Subject   string   `json:"sub"`
	AppID     string   `json:"appid"`
	OpenID    string   `json:"openid"`
	UnionID   string   `json:"unionid,omitempty"`
	AMR       []string `json:"amr"`
	IssuedAt  int64    `json:"iat"` // seconds
	NotBefore int64    `json:"nbf"`
	ExpiresAt int64    `json:"exp"`
	JTI       string   `json:"jti"`
	Context   string   `json:"ctx,omitempty"` // of the page that began the login
}

// IssuerOptions configure an Issuer. Only Keys is required, and not with Pending.
type IssuerOptions struct {
	Keys     []Key         // the first signs, all are accepted and published
	Pending  bool          // the keys come later, by Rotate; until then nothing is issued
	Issuer   string        // iss; default "posthouse"
	Audience string        // aud; default "posthouse"
	Life     time.Duration // of a token; default 15 min
	// Subject makes sub; default the openid.
	Subject func(Identity) string
}

// Issuer signs tokens and verifies its own. Safe for concurrent use.
type Issuer struct {
	options IssuerOptions

	mu       sync.RWMutex // guards what follows
	heldKeys []heldKey    // newest first
}

// heldKey is a key in its time: published always, signing from a moment on,
// forgotten at another.
type heldKey struct {
	Key
	encodedHeader string    // its tokens' only header, encoded
	signsFrom     time.Time // from when; zero: always
	goneAt        time.Time // zero: never
}

var _ TokenIssuer = (*Issuer)(nil)

// NewIssuer returns an Issuer that signs with the first of its keys.
func NewIssuer(opts *IssuerOptions) (*Issuer, error) {
	var o IssuerOptions
	if opts != nil {
		o = *opts
	}
	if len(o.Keys) == 0 && !o.Pending {
		return nil, errors.New("login: issuer needs a key")
	}
	if o.Issuer == "" {
		o.Issuer = "posthouse"
	}
	if o.Audience == "" {
		o.Audience = "posthouse"
	}
	if o.Life <= 0 {
		o.Life = 15 * time.Minute
	}
	if o.Subject == nil {
		o.Subject = func(id Identity) string { return id.OpenID }
	}
	i := &Issuer{options: o}
	for _, k := range o.Keys {
		i.heldKeys = append(i.heldKeys, newHeldKey(k))
	}
	return i, nil
}

func newHeldKey(k Key) heldKey {
	text, err := json.Marshal(k.joseHeader())
	if err != nil {
		panic(err) // a map of strings always encodes
	}
	return heldKey{Key: k, encodedHeader: base64.RawURLEncoding.EncodeToString(text)}
}

// Rotate takes keys as ParseKeys reads them from a changed file. A new first key
// is published at once and signs after lead, which gives the readers of the JWKS
// time to fetch it. Keys that are no longer named stay accepted and published
// until the last token they may have signed is over.
func (i *Issuer) Rotate(keys []Key, lead time.Duration) error {
	if len(keys) == 0 {
		return errors.New("login: issuer needs a key")
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	held := make(map[string]heldKey, len(i.heldKeys))
	for _, h := range i.heldKeys {
		held[h.keyID] = h
	}
	var next []heldKey
	for n, k := range keys {
		h, known := held[k.keyID]
		if !known {
			h = newHeldKey(k)
		}
		h.goneAt = time.Time{}
		if n == 0 && !known {
			h.signsFrom = now.Add(lead)
		}
		next = append(next, h)
		delete(held, k.keyID)
	}
	for _, h := range i.heldKeys {
		if _, left := held[h.keyID]; !left || !h.goneAt.IsZero() && now.After(h.goneAt) {
			continue
		}
		if h.goneAt.IsZero() {
			h.goneAt = now.Add(lead + i.options.Life + leeway)
		}
		next = append(next, h)
	}
	i.heldKeys = next
	return nil
}

// ErrNoKey refuses to issue before the keys are there. It is an ErrStoreUnavailable: the
// keys are where the tickets are.
var ErrNoKey = fmt.Errorf("%w: the signing key is not there yet", ErrStoreUnavailable)

// Ready is ErrNoKey until there is a key.
func (i *Issuer) Ready() error {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if len(i.heldKeys) == 0 {
		return ErrNoKey
	}
	return nil
}

// signingKey is the newest key whose time has come. There is one; see Ready.
func (i *Issuer) signingKey(now time.Time) heldKey {
	i.mu.RLock()
	defer i.mu.RUnlock()
	for _, h := range i.heldKeys {
		if !now.Before(h.signsFrom) {
			return h
		}
	}
	return i.heldKeys[0]
}

// liveKeys are the keys that are accepted and published now.
func (i *Issuer) liveKeys(now time.Time) []heldKey {
	i.mu.RLock()
	defer i.mu.RUnlock()
	keys := make([]heldKey, 0, len(i.heldKeys))
	for _, h := range i.heldKeys {
		if h.goneAt.IsZero() || now.Before(h.goneAt) {
			keys = append(keys, h)
		}
	}
	return keys
}

// Issue implements TokenIssuer. Nothing of the token depends on the time of the
// call, so a repeat is the same token.
func (i *Issuer) Issue(_ context.Context, id Identity, jti string, iat time.Time) (Token, error) {
	if err := i.Ready(); err != nil {
		return Token{}, err
	}
	at := iat.Unix()
	c := Claims{
		Issuer: i.options.Issuer, Audience: i.options.Audience, Subject: i.options.Subject(id),
		AppID: id.AppID, OpenID: id.OpenID, UnionID: id.UnionID, AMR: []string{"wechat_oa"},
		IssuedAt: at, NotBefore: at, ExpiresAt: at + int64(i.options.Life/time.Second), JTI: jti, Context: id.Context,
	}
	key := i.signingKey(time.Now())
	token := jwt.NewWithClaims(key.method, c)
	token.Header = key.Key.joseHeader()
	signed, err := token.SignedString(key.privateKey)
	if err != nil {
		return Token{}, fmt.Errorf("login: sign: %w", err)
	}
	return Token{JWT: signed, JTI: jti, ExpiresAt: time.Unix(c.ExpiresAt, 0)}, nil
}

// Ed25519 is the key that signs now, for tokens of other kinds; false when that is a shared
// secret, or not there yet.
func (i *Issuer) Ed25519() (id string, private crypto.Signer, ok bool) {
	if i.Ready() != nil {
		return "", nil, false
	}
	k := i.signingKey(time.Now())
	private, ok = k.privateKey.(crypto.Signer)
	return k.keyID, private, ok
}

// PublicKey verifies tokens of an Issuer.
type PublicKey struct {
	ID       string // kid; "" for a shared secret
	Material any    // an ed25519.PublicKey, or a []byte that is a secret
}

// PublicKeys are the keys whose tokens are accepted now.
func (i *Issuer) PublicKeys() []PublicKey {
	var keys []PublicKey
	for _, h := range i.liveKeys(time.Now()) {
		kid, _ := h.joseHeader()["kid"].(string)
		keys = append(keys, PublicKey{ID: kid, Material: h.publicKey})
	}
	return keys
}

// JWKS is the document of the public keys (RFC 7517): the present ones, the next
// and the previous. Shared secrets are not in it.
func (i *Issuer) JWKS() []byte {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, h := range i.liveKeys(time.Now()) {
		if k, ok := h.publicJWK(); ok {
			set.Keys = append(set.Keys, k)
		}
	}
	text, err := json.Marshal(set)
	if err != nil {
		panic(err) // made of valid JSON
	}
	return text
}
