package login

import (
	"context"
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
	o IssuerOptions

	mu   sync.RWMutex // guards what follows
	keys []heldKey    // newest first
}

// heldKey is a key in its time: published always, signing from a moment on,
// forgotten at another.
type heldKey struct {
	Key
	header string    // its tokens' only header, encoded
	signs  time.Time // from when; zero: always
	gone   time.Time // zero: never
}

var _ TokenIssuer = (*Issuer)(nil)

// NewIssuer returns an Issuer that signs with the first of its keys.
func NewIssuer(o IssuerOptions) (*Issuer, error) {
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
	i := &Issuer{o: o}
	for _, k := range o.Keys {
		i.keys = append(i.keys, hold(k))
	}
	return i, nil
}

func hold(k Key) heldKey {
	text, err := json.Marshal(k.header())
	if err != nil {
		panic(err) // a map of strings always encodes
	}
	return heldKey{Key: k, header: base64.RawURLEncoding.EncodeToString(text)}
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
	held := make(map[string]heldKey, len(i.keys))
	for _, h := range i.keys {
		held[h.id] = h
	}
	var next []heldKey
	for n, k := range keys {
		h, known := held[k.id]
		if !known {
			h = hold(k)
		}
		h.gone = time.Time{}
		if n == 0 && !known {
			h.signs = now.Add(lead)
		}
		next = append(next, h)
		delete(held, k.id)
	}
	for _, h := range i.keys {
		if _, left := held[h.id]; !left || !h.gone.IsZero() && now.After(h.gone) {
			continue
		}
		if h.gone.IsZero() {
			h.gone = now.Add(lead + i.o.Life + leeway)
		}
		next = append(next, h)
	}
	i.keys = next
	return nil
}

// ErrNoKey refuses to issue before the keys are there. It is an ErrStoreUnavailable: the
// keys are where the tickets are.
var ErrNoKey = fmt.Errorf("%w: the signing key is not there yet", ErrStoreUnavailable)

// Ready is ErrNoKey until there is a key.
func (i *Issuer) Ready() error {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if len(i.keys) == 0 {
		return ErrNoKey
	}
	return nil
}

// signer is the newest key whose time has come. There is one; see Ready.
func (i *Issuer) signer(now time.Time) heldKey {
	i.mu.RLock()
	defer i.mu.RUnlock()
	for _, h := range i.keys {
		if !now.Before(h.signs) {
			return h
		}
	}
	return i.keys[0]
}

// live are the keys that are accepted and published now.
func (i *Issuer) live(now time.Time) []heldKey {
	i.mu.RLock()
	defer i.mu.RUnlock()
	keys := make([]heldKey, 0, len(i.keys))
	for _, h := range i.keys {
		if h.gone.IsZero() || now.Before(h.gone) {
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
		Issuer: i.o.Issuer, Audience: i.o.Audience, Subject: i.o.Subject(id),
		AppID: id.AppID, OpenID: id.OpenID, UnionID: id.UnionID, AMR: []string{"wechat_oa"},
		IssuedAt: at, NotBefore: at, ExpiresAt: at + int64(i.o.Life/time.Second), JTI: jti,
	}
	key := i.signer(time.Now())
	token := jwt.NewWithClaims(key.method, c)
	token.Header = key.Key.header()
	signed, err := token.SignedString(key.private)
	if err != nil {
		return Token{}, fmt.Errorf("login: sign: %w", err)
	}
	return Token{JWT: signed, JTI: jti, ExpiresAt: time.Unix(c.ExpiresAt, 0)}, nil
}

// JWKS is the document of the public keys (RFC 7517): the present ones, the next
// and the previous. Shared secrets are not in it.
func (i *Issuer) JWKS() []byte {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, h := range i.live(time.Now()) {
		if k, ok := h.jwk(); ok {
			set.Keys = append(set.Keys, k)
		}
	}
	text, err := json.Marshal(set)
	if err != nil {
		panic(err) // made of valid JSON
	}
	return text
}
