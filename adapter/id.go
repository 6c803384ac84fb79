package adapter

import (
	"crypto/rand"

	"posthouse/internal/randid"
)

const shortAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// shortID makes the ids of the classic adapter: 6 characters (docs/protocol.md §4.1).
func shortID() string {
	var b [6]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = shortAlphabet[b[i]%64]
	}
	return string(b[:])
}

// hexID makes the ids of the cluster message model: 16 hex digits (docs/protocol.md §4.3).
func hexID() string { return randid.Hex(8) }
