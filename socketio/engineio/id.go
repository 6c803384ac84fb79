package engineio

import (
	"crypto/rand"
	"encoding/base64"
)

// newID returns 20 characters of [A-Za-z0-9_-] that hold 120 random bits. Node
// puts a counter into the last four bytes; here all are random, so that one id
// says nothing about another (docs/reliability.md §2.1, CVE-2017-16031).
func newID() string {
	var b [15]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
