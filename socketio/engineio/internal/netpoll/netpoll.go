package netpoll

// Events say what has become of a descriptor.
type Events uint8

const (
	// Readable means that bytes have come, or that reading gives an error.
	Readable Events = 1 << iota
	// Writable means that the kernel has room for more bytes.
	Writable
	// PeerClosed means that the peer has ended its side of the connection, or that
	// the connection is broken. Bytes that came before can still be read.
	PeerClosed
)

// Has reports whether at least one event of set is in e.
func (e Events) Has(set Events) bool { return e&set != 0 }

// Handler is what a loop calls for a descriptor. The calls come from the loop's
// goroutine, so they never overlap and must not block.
//
// Readiness is edge-triggered: an event is reported once, and bytes that a handler
// leaves unread are not reported again unless more come. A handler that leaves some
// on purpose, so that other connections get their turn, returns again: it is called
// with PeerClosed once they have had it.
type Handler interface {
	// Ready handles what has become of the descriptor.
	Ready(e Events) (again bool)
	// Woken is called after Loop.Wake. The handler looks at everything: the state that
	// other goroutines left for it, and the descriptor, whose events may have been
	// reported while the handler had no use for them.
	Woken() (again bool)
}

// Successor takes a watched descriptor over from its handler.
type Successor interface {
	// TakeOver gets the descriptor fd that l watches, and the bytes that were already
	// read from it, which are valid during the call. The handler that it returns is
	// the one of fd from then on. nil means that the successor works with a duplicate
	// of fd: the old handler closes fd.
	TakeOver(fd int, l *Loop, early []byte) Handler
}
