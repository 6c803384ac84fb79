package engineio

import (
	"errors"
	"io"
	"net"

	"posthouse/socketio/engineio/internal/netpoll"
	"posthouse/socketio/engineio/internal/tlspoll"
)

// This file is the transport's half of an event loop: a wsTransport whose loop is not
// nil is the netpoll.Handler of its descriptor. The loop's goroutine is then the
// reader, and the one that closes the descriptor.

// adopt makes a loop the reader of st, whose connection is conn; false leaves that
// to a goroutine. The caller holds Session.mu, which keeps the loop from delivering
// anything yet, and closes conn afterwards: the loop has a descriptor of its own.
func (st *wsTransport) adopt(conn net.Conn) bool {
	raw := netpoll.RawConn(conn)
	secure, below := tlspoll.Of(conn)
	if below != nil {
		raw = below.Raw()
	}
	if raw == nil {
		return false
	}
	adopted := false
	err := raw.Control(func(fd uintptr) {
		adopted = st.adoptFD(int(fd), func(dup int) {
			if below != nil {
				st.stream = tlspoll.Detach(secure, below, dup)
			}
		})
	})
	if !adopted && below != nil {
		st.stream = nil
		below.Attach()
	}
	return err == nil && adopted
}

// adoptFD is adopt for a descriptor. prepare gets the duplicate before the loop does.
func (st *wsTransport) adoptFD(fd int, prepare func(dup int)) bool {
	l, dup, err := st.s.srv.loopGroup.Duplicate(fd)
	if err != nil {
		return false
	}
	st.loop, st.fd = l, dup
	prepare(dup)
	if l.Add(dup, st) != nil {
		st.loop, st.fd = nil, -1
		netpoll.CloseFD(dup)
		return false
	}
	return true
}

// TakeOver implements netpoll.Successor. The caller holds Session.mu. The transport stays
// on the loop that read its handshake when that is one for WebSockets too, and when there
// are no descriptors left for a duplicate.
func (st *wsTransport) TakeOver(fd int, l *netpoll.Loop, early []byte) netpoll.Handler {
	if len(early) > 0 {
		st.heldBytes, st.readSuspended = takeBuffer(), true
		st.heldBytes.b = append(st.heldBytes.b, early...)
	}
	if !st.s.srv.loopGroup.Spreads(l) && st.adoptFD(fd, func(int) {}) {
		st.begin() // the peer waits for it, and nothing waits for the closing of fd
		return nil
	}
	st.loop, st.fd = l, fd
	return st
}

// Ready implements netpoll.Handler.
func (st *wsTransport) Ready(e netpoll.Events) (again bool) {
	if st.closedByLoop {
		return false
	}
	if e.Has(netpoll.Writable) {
		if st.stream != nil {
			st.stream.Flush()
		}
		st.resumeWriting()
	}
	if st.readSuspended {
		return false
	}
	return st.readReady(e.Has(netpoll.PeerClosed))
}

// Woken implements netpoll.Handler. It goes on behind a pause that is over, and
// closes a connection whose session is done with it.
func (st *wsTransport) Woken() (again bool) {
	if st.closedByLoop {
		return false
	}
	st.resumeWriting()
	if err := st.resumeReading(); err != nil {
		st.stopReading(err)
		return false
	}
	if st.readSuspended {
		return false
	}
	return st.readReady(true) // nothing has looked for an end of stream
}

// resumeWriting goes on with a write that had to wait for the peer.
func (st *wsTransport) resumeWriting() {
	if !st.writeBlocked.Load() {
		return
	}
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	st.proceedWriting()
}

// readReady reads one turn. again says that bytes may be left.
func (st *wsTransport) readReady(ended bool) (again bool) {
	var drained bool
	var err error
	if st.stream != nil {
		drained, err = st.readStream(ended)
	} else {
		drained, err = st.readAvailable(st.fd, ended)
	}
	if err != nil {
		st.stopReading(err)
		return false
	}
	return !drained
}

// stopReading handles what ended a turn early: a pause, or the connection's end.
func (st *wsTransport) stopReading(err error) {
	if errors.Is(err, errPaused) {
		st.readSuspended = true
		return
	}
	st.closeFD(err)
}

// resumeReading goes on behind a pause that is over.
func (st *wsTransport) resumeReading() error {
	st.s.mu.Lock()
	closed := st.isClosed
	st.s.mu.Unlock()
	switch {
	case closed:
		return net.ErrClosed
	case !st.readSuspended:
		return nil
	case st.pauseEnd != nil:
		select {
		case <-st.pauseEnd:
		default:
			return nil
		}
	}
	st.readSuspended = false
	return st.handleHeld()
}

// closeFD closes the connection.
func (st *wsTransport) closeFD(err error) {
	st.s.mu.Lock()
	drain := st.closeSent && !errors.Is(err, io.EOF)
	st.peerClosed = true
	st.fail(err)
	st.s.mu.Unlock()
	st.closedByLoop = true
	st.frameReader.Release()
	if st.heldBytes != nil {
		st.heldBytes.release()
	}
	st.loop.Remove(st.fd)
	if st.stream != nil {
		st.stream.CloseNotify()
	}
	if drain { // as closeDrained, but that CloseFD follows at once and ends our side
		netpoll.DrainFD(st.fd)
	}
	netpoll.CloseFD(st.fd)
}
