// Package randid makes names that cannot be guessed. Every byte comes from
// crypto/rand, so that one name says nothing about another.
package randid

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
)

// Size is the length of a New id.
const Size = 20

// New returns Size characters of [A-Za-z0-9_-] that hold 120 random bits: an id of a
// session or a socket. Node puts a counter into the last bytes of a session's id; here
// all are random (docs/reliability.md §2.1, CVE-2017-16031).
func New() string { return Text(15) }

// Text returns n random bytes in the URL alphabet of base64, without padding.
func Text(n int) string {
	return base64.RawURLEncoding.EncodeToString(randomBytes(n))
}

// Hex returns n random bytes as hexadecimal digits.
func Hex(n int) string { return hex.EncodeToString(randomBytes(n)) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}
