package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MaxToken is the longest token in bytes (docs/realtime.md §2).
const MaxToken = 8 << 10

// maxSubject bounds what is kept of a token and becomes part of room names.
const maxSubject = 255

var (
	// ErrUnauthorized is every fault of a token but expiry. Why exactly is in the text
	// and for the log only.
	ErrUnauthorized = errors.New("auth: invalid token")
	// ErrExpired is a token that was good until it expired.
	ErrExpired = errors.New("auth: expired token")
	// ErrUnavailable tells that a token could not be judged.
	ErrUnavailable = errors.New("auth: keys cannot be reached")
)

// Token is a verified token.
type Token struct {
	Subject  string
	ID       string // jti; "" without one
	Issuer   string
	IssuedAt time.Time // zero without iat
	Expires  time.Time
	Claims   map[string]any // all claims as JSON values, numbers as json.Number
}

// Claim returns a claim that can stand in the name of a room: a string or a whole
// number.
func (t *Token) Claim(name string) (value string, ok bool) {
	switch v := t.Claims[name].(type) {
	case string:
		return v, true
	case json.Number:
		_, err := v.Int64()
		return v.String(), err == nil
	}
	return "", false
}

// TokenVerifier judges tokens. Its errors are ErrExpired, ErrUnavailable or anything
// else, which is taken as ErrUnauthorized. *Verifier is one.
type TokenVerifier interface {
	Verify(ctx context.Context, token string) (*Token, error)
}

// VerifierOptions configure a Verifier. Issuer, Audience and Keys are required.
type VerifierOptions struct {
	Issuer   string
	Audience string
	Keys     KeySource
	// ClockSkew is how far the issuer's clock may be away. Default none.
	ClockSkew time.Duration
}

// Verifier verifies JSON Web Tokens of one issuer.
type Verifier struct {
	o      VerifierOptions
	parser *jwt.Parser
}

// NewVerifier returns a Verifier, or an error that names the missing option.
func NewVerifier(opts *VerifierOptions) (*Verifier, error) {
	var o VerifierOptions
	if opts != nil {
		o = *opts
	}
	switch {
	case o.Issuer == "":
		return nil, errors.New("auth: VerifierOptions.Issuer is empty: any issuer's token would do")
	case o.Audience == "":
		return nil, errors.New("auth: VerifierOptions.Audience is empty: tokens for other services would do")
	case o.Keys == nil:
		return nil, errors.New("auth: VerifierOptions.Keys is nil")
	case o.ClockSkew < 0:
		return nil, errors.New("auth: VerifierOptions.ClockSkew is negative")
	}
	return &Verifier{o, jwt.NewParser(
		jwt.WithValidMethods([]string{"EdDSA", "ES256", "RS256", "PS256", "HS256"}),
		jwt.WithStrictDecoding(), jwt.WithJSONNumber(),
		jwt.WithIssuer(o.Issuer), jwt.WithAudience(o.Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(o.ClockSkew))}, nil
}

// Verify checks signature, issuer, audience and times of a token.
func (v *Verifier) Verify(ctx context.Context, token string) (*Token, error) {
	if len(token) > MaxToken || !compact(token) {
		return nil, fmt.Errorf("%w: not a compact JWS of at most %d bytes", ErrUnauthorized, MaxToken)
	}
	claims := jwt.MapClaims{}
	_, err := v.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) { return v.keys(ctx, t) })
	switch {
	case errors.Is(err, ErrUnavailable):
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case onlyExpired(err):
		return nil, ErrExpired
	case err != nil:
		// errors.Is must not find jwt's errors: "expired" beside another fault is not
		// the answer "was good until just now".
		return nil, fmt.Errorf("%w: %s", ErrUnauthorized, err.Error())
	}
	return newToken(claims)
}

// onlyExpired reports that expiry is the one fault of a token with a good signature.
func onlyExpired(err error) bool {
	return errors.Is(err, jwt.ErrTokenExpired) && !slices.ContainsFunc([]error{
		jwt.ErrTokenSignatureInvalid, jwt.ErrTokenMalformed, jwt.ErrTokenUnverifiable,
		jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenUsedBeforeIssued,
		jwt.ErrTokenNotValidYet, jwt.ErrTokenRequiredClaimMissing, jwt.ErrInvalidType,
	}, func(other error) bool { return errors.Is(err, other) })
}

// keys finds the keys that may have made the signature: the key's type decides about
// the algorithm, never the header alone (RFC 8725 §3.1).
func (v *Verifier) keys(ctx context.Context, t *jwt.Token) (any, error) {
	if _, found := t.Header["crit"]; found {
		return nil, errors.New("critical header extension")
	}
	kid, isString := t.Header["kid"].(string)
	if t.Header["kid"] != nil && !isString {
		return nil, errors.New("kid is not a string")
	}
	candidates, err := v.o.Keys.Find(ctx, kid)
	if err != nil {
		return nil, err
	}
	var set jwt.VerificationKeySet
	for _, k := range candidates {
		if slices.Contains(k.algorithms, t.Method.Alg()) {
			set.Keys = append(set.Keys, k.material)
		}
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("no key of that id and algorithm")
	}
	return set, nil
}

func newToken(claims jwt.MapClaims) (*Token, error) {
	t := &Token{Claims: claims}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return nil, fmt.Errorf("%w: exp", ErrUnauthorized)
	}
	t.Expires = expires.Time
	if issued, err := claims.GetIssuedAt(); err == nil && issued != nil {
		t.IssuedAt = issued.Time
	}
	t.Subject, _ = claims["sub"].(string)
	if t.Subject == "" || len(t.Subject) > maxSubject {
		return nil, fmt.Errorf("%w: sub is missing or longer than %d bytes", ErrUnauthorized, maxSubject)
	}
	t.ID, _ = claims["jti"].(string)
	t.Issuer, _ = claims["iss"].(string)
	return t, nil
}

// compact reports three non-empty base64url parts. Decoders skip line breaks; this
// does not.
func compact(token string) bool {
	parts := 0
	for part := range strings.SplitSeq(token, ".") {
		if parts++; part == "" || parts > 3 {
			return false
		}
		for i := range len(part) {
			switch c := part[i]; {
			case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return parts == 3
}
