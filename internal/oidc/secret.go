package oidc

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// The secrets that leave the provider. Each begins with the id of its record, and the
// store has their hashes. A refresh token also carries the proof of its family, so that
// a used one is known as such without a list of all that were ever given out.
const (
	idSize     = 16
	secretSize = 32
	familySize = 16
)

// secretKind separates the hashes of the kinds: a code is no access token.
type secretKind string

const (
	kindRequest secretKind = "request"
	kindCode    secretKind = "code"
	kindAccess  secretKind = "access"
	kindRefresh secretKind = "refresh"
	kindFamily  secretKind = "family"
	kindSession secretKind = "session"
	kindBrowser secretKind = "browser"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// newSecret makes a secret of the record id.
func newSecret(id []byte) string {
	return encode(append(append([]byte{}, id...), randomBytes(secretSize)...))
}

// newRefreshSecret makes a refresh token of the record id and of a family.
func newRefreshSecret(id, family []byte) string {
	return encode(append(append(append([]byte{}, id...), family...), randomBytes(secretSize)...))
}

// recordOf returns the id of a secret's record; false for what is no such secret.
func recordOf(secret string) (id []byte, ok bool) {
	raw, ok := decode(secret, idSize+secretSize)
	if !ok {
		return nil, false
	}
	return raw[:idSize], true
}

// familyOf returns the id and the family of a refresh token.
func familyOf(secret string) (id, family []byte, ok bool) {
	raw, ok := decode(secret, idSize+familySize+secretSize)
	if !ok {
		return nil, nil, false
	}
	return raw[:idSize], raw[idSize : idSize+familySize], true
}

func decode(text string, size int) ([]byte, bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(size) {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return raw, err == nil
}

// hashOf is what the store keeps of a secret.
func hashOf(kind secretKind, secret string) string {
	sum := sha256.Sum256([]byte(string(kind) + ":" + secret))
	return encode(sum[:])
}
