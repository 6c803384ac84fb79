package parser

import (
	"slices"

	"posthouse/internal/jsontext"
)

// reserved are the event names that only the library itself may raise
// (docs/protocol.md §3.2). They are the same in both directions.
var reserved = []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}

// Reserved reports whether name must not be used as the name of an event.
func Reserved(name string) bool { return slices.Contains(reserved, name) }

// reservedString is Reserved for a JSON string with its quotes.
func reservedString(s []byte) bool {
	switch s[1] {
	case 'c', 'd', 'n', 'r', '\\': // theirs, and an escape that may stand for one
	default:
		return false
	}
	for _, r := range reserved {
		if jsontext.StringIs(s, r) {
			return true
		}
	}
	return false
}
