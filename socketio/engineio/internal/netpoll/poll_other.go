//go:build !linux || goroutinereaders

package netpoll

import "errors"

// Supported reports whether this build has event loops.
const Supported = false

// Loop cannot be had here: Group.Duplicate fails, and Group.Ordered returns nil.
type Loop struct{}

// Group is a set of loops, here an empty one.
type Group struct{}

// NewGroup returns an empty group.
func NewGroup(started, ended func()) Group { return Group{} }

// Ordered returns nil.
func (Group) Ordered() *Loop { return nil }

// Spreads returns false.
func (Group) Spreads(*Loop) bool { return false }

// Duplicate returns an error.
func (Group) Duplicate(int) (l *Loop, dup int, err error) { return nil, -1, errors.ErrUnsupported }

// Add returns an error.
func (*Loop) Add(int, Handler) error { return errors.ErrUnsupported }

// Replace does nothing.
func (*Loop) Replace(int, Handler) {}

// Remove does nothing.
func (*Loop) Remove(int) {}

// Len returns 0.
func (*Loop) Len() int { return 0 }

// Wake does nothing.
func (*Loop) Wake(Handler) {}

// WakeMatching does nothing.
func (*Loop) WakeMatching(func(Handler) bool) {}
