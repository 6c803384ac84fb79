package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Scope is a part of the API.
type Scope string

// The scopes.
const (
	ScopeEmit   Scope = "emit"   // emit and batch
	ScopeRead   Scope = "read"   // everything that is asked with GET
	ScopeManage Scope = "manage" // join, leave and disconnect
)

// Key lets a back end in. It holds a hash and never prints the secret.
type Key struct {
	hash       [sha256.Size]byte
	scopes     []Scope  // empty: all
	namespaces []string // empty: all
}

// minKey is the shortest key, in characters.
const minKey = 16

// ErrKey is wrapped by the errors of ParseKeys.
var ErrKey = errors.New("api: unsuitable key")

// ParseKeys reads keys, one in each line: 16 characters or more, and behind them
// namespaces=/app,/chat and scopes=emit,read,manage, each of which limits the key. Errors
// name the line and not the key.
func ParseKeys(text string) ([]Key, error) {
	var keys []Key
	number := 0
	for line := range strings.Lines(text) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields[0]) < minKey {
			return nil, fmt.Errorf("%w: line %d: a key has %d characters or more", ErrKey, number, minKey)
		}
		k := Key{hash: sha256.Sum256([]byte(fields[0]))}
		if slices.ContainsFunc(keys, func(other Key) bool { return other.hash == k.hash }) {
			return nil, fmt.Errorf("%w: line %d: the key is there already", ErrKey, number)
		}
		for _, field := range fields[1:] {
			if err := k.limit(field); err != nil {
				return nil, fmt.Errorf("%w: line %d: %w", ErrKey, number, err)
			}
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: there is none", ErrKey)
	}
	return keys, nil
}

// limit reads namespaces=… or scopes=….
func (k *Key) limit(field string) error {
	name, list, _ := strings.Cut(field, "=")
	for value := range strings.SplitSeq(list, ",") {
		switch {
		case name == "namespaces" && strings.HasPrefix(value, "/"):
			k.namespaces = append(k.namespaces, value)
		case name == "scopes" && slices.Contains([]Scope{ScopeEmit, ScopeRead, ScopeManage}, Scope(value)):
			k.scopes = append(k.scopes, Scope(value))
		default:
			return errors.New("write namespaces=/app,/chat or scopes=emit,read,manage behind the key")
		}
	}
	return nil
}

func (k *Key) mayUse(s Scope) bool { return len(k.scopes) == 0 || slices.Contains(k.scopes, s) }

func (k *Key) mayReach(namespace string) bool {
	return len(k.namespaces) == 0 || slices.Contains(k.namespaces, namespace)
}

// find returns the key of a header Authorization, in the same time for every key.
func find(keys []Key, header string) *Key {
	scheme, secret, _ := strings.Cut(header, " ")
	hash := sha256.Sum256([]byte(secret))
	var found *Key
	for i := range keys {
		if subtle.ConstantTimeCompare(keys[i].hash[:], hash[:]) == 1 {
			found = &keys[i]
		}
	}
	if !strings.EqualFold(scheme, "Bearer") {
		return nil
	}
	return found
}
