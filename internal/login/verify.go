package login

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ErrInvalidToken answers every token that is not one of ours, untouched and in
// its time. Why exactly stays inside.
var ErrInvalidToken = errors.New("login: invalid token")

// maxToken is refused before anything is split (GO-2025-3553).
const maxToken = 8 << 10

// Verify checks a token of this issuer and returns its claims. Only tokens that
// Issue makes are accepted, so the header is not interpreted but compared: each
// key's tokens have exactly one. That leaves no room for another algorithm, key
// address or critical extension (RFC 8725).
func (i *Issuer) Verify(token string) (Claims, error) {
	if len(token) > maxToken || !compactJWS(token) {
		return Claims{}, fmt.Errorf("%w: shape", ErrInvalidToken)
	}
	header, _, _ := strings.Cut(token, ".")
	for _, h := range i.liveKeys(time.Now()) {
		if h.encodedHeader == header {
			return i.verifyWith(token, h.Key)
		}
	}
	return Claims{}, fmt.Errorf("%w: key", ErrInvalidToken)
}

func (i *Issuer) verifyWith(token string, k Key) (Claims, error) {
	var c Claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return k.publicKey, nil },
		jwt.WithValidMethods([]string{k.method.Alg()}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(i.options.Issuer), jwt.WithAudience(i.options.Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway))
	if err != nil {
		// The cause is for the log of whoever asks, not for errors.Is: nobody may
		// mistake "expired" for "was fine until just now" (GO-2024-3250).
		return Claims{}, fmt.Errorf("%w: %s", ErrInvalidToken, err.Error())
	}
	if c.JTI == "" || c.Subject == "" || c.NotBefore == 0 || c.IssuedAt == 0 {
		return Claims{}, fmt.Errorf("%w: claims", ErrInvalidToken)
	}
	return c, nil
}

// compactJWS reports three non-empty base64url parts. Decoders skip line breaks;
// this does not.
func compactJWS(s string) bool {
	dots, last := 0, -1
	for n := range len(s) {
		switch c := s[n]; {
		case c == '.':
			if dots++; dots > 2 || n == last+1 {
				return false
			}
			last = n
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return dots == 2 && last < len(s)-1
}

// The methods below are jwt.Claims: how the JWT library reads these claims.

// GetExpirationTime implements jwt.Claims.
func (c Claims) GetExpirationTime() (*jwt.NumericDate, error) { return numericDate(c.ExpiresAt), nil }

// GetIssuedAt implements jwt.Claims.
func (c Claims) GetIssuedAt() (*jwt.NumericDate, error) { return numericDate(c.IssuedAt), nil }

// GetNotBefore implements jwt.Claims.
func (c Claims) GetNotBefore() (*jwt.NumericDate, error) { return numericDate(c.NotBefore), nil }

// GetIssuer implements jwt.Claims.
func (c Claims) GetIssuer() (string, error) { return c.Issuer, nil }

// GetSubject implements jwt.Claims.
func (c Claims) GetSubject() (string, error) { return c.Subject, nil }

// GetAudience implements jwt.Claims.
func (c Claims) GetAudience() (jwt.ClaimStrings, error) { return jwt.ClaimStrings{c.Audience}, nil }

func numericDate(seconds int64) *jwt.NumericDate {
	if seconds == 0 {
		return nil
	}
	return jwt.NewNumericDate(time.Unix(seconds, 0))
}
