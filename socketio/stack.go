package socketio

import "runtime"

// growStack makes the stack of a new goroutine large enough for a handler that
// answers. A goroutine begins with 2 KiB; the chain of calls that ends in a write
// needs a little more, and to move a stack then means to adjust every frame of
// it, which costs a tenth of a small event. At the beginning there is nothing to
// adjust. Without this everything works the same.
//
//go:noinline
func growStack() {
	var room [1536]byte
	runtime.KeepAlive(&room)
}
