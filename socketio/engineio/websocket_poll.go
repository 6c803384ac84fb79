package engineio

import (
	"errors"
	"io"
	"net"

	"posthouse/socketio/engineio/internal/netpoll"
)

// This file is the transport's half of an event loop: a stream whose loop is not
// nil is the netpoll.Handler of its descriptor. The loop's goroutine is then the
// reader, and the one that closes the descriptor.

// adopt makes a loop the reader of st, whose connection is conn; false leaves that
// to a goroutine. The caller holds Session.mu, which keeps the loop from delivering
// anything yet, and closes conn afterwards: the loop has a descriptor of its own.
func (st *stream) adopt(conn net.Conn) bool {
	raw := netpoll.RawConn(conn)
	if raw == nil {
		return false
	}
	adopted := false
	err := raw.Control(func(fd uintptr) { adopted = st.adoptFD(int(fd)) })
	return err == nil && adopted
}

// adoptFD is adopt for a descriptor.
func (st *stream) adoptFD(fd int) bool {
	l, dup, err := st.s.srv.loops.Duplicate(fd)
	if err != nil {
		return false
	}
	st.loop, st.fd = l, dup
	if l.Add(dup, st) != nil {
		st.loop, st.fd = nil, -1
		netpoll.CloseFD(dup)
		return false
	}
	return true
}

// TakeOver implements netpoll.Successor. The caller holds Session.mu. The stream stays
// on the loop that read its handshake when that is one for streams too, and when there
// are no descriptors left for a duplicate.
func (st *stream) TakeOver(fd int, l *netpoll.Loop, early []byte) netpoll.Handler {
	if len(early) > 0 {
		st.held, st.away = takeBuffer(), true
		st.held.b = append(st.held.b, early...)
	}
	if !st.s.srv.loops.Spreads(l) && st.adoptFD(fd) {
		return nil
	}
	st.loop, st.fd = l, fd
	return st
}

// Ready implements netpoll.Handler.
func (st *stream) Ready(e netpoll.Events) (again bool) {
	if st.gone {
		return false
	}
	if e.Has(netpoll.Writable) {
		st.writeBlocked()
	}
	if st.away {
		return false
	}
	return st.readReady(e.Has(netpoll.PeerClosed))
}

// Woken implements netpoll.Handler. It goes on behind a pause that is over, and
// closes a connection whose session is done with it.
func (st *stream) Woken() (again bool) {
	if st.gone {
		return false
	}
	st.writeBlocked()
	if err := st.wakeUp(); err != nil {
		st.stopReading(err)
		return false
	}
	if st.away {
		return false
	}
	return st.readReady(true) // nothing has looked for an end of stream
}

// writeBlocked goes on with a write that had to wait for the peer.
func (st *stream) writeBlocked() {
	if !st.blocked.Load() {
		return
	}
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	st.proceedWriting()
}

// readReady reads one turn. again says that bytes may be left.
func (st *stream) readReady(ended bool) (again bool) {
	drained, err := st.readable(st.fd, ended)
	if err != nil {
		st.stopReading(err)
		return false
	}
	return !drained
}

// stopReading handles what ended a turn early: a pause, or the connection's end.
func (st *stream) stopReading(err error) {
	if errors.Is(err, errPaused) {
		st.away = true
		return
	}
	st.closeFD(err)
}

// wakeUp goes on behind a pause that is over.
func (st *stream) wakeUp() error {
	st.s.mu.Lock()
	closed := st.closed
	st.s.mu.Unlock()
	switch {
	case closed:
		return net.ErrClosed
	case !st.away:
		return nil
	case st.pause != nil:
		select {
		case <-st.pause:
		default:
			return nil
		}
	}
	st.away = false
	return st.takeHeld()
}

// closeFD closes the connection.
func (st *stream) closeFD(err error) {
	st.s.mu.Lock()
	drain := st.finished && !errors.Is(err, io.EOF)
	st.parted = true
	st.failed(err)
	st.s.mu.Unlock()
	st.gone = true
	st.reader.Release()
	if st.held != nil {
		st.held.release()
	}
	st.loop.Remove(st.fd)
	if drain {
		netpoll.ShutdownWrite(st.fd)
		netpoll.DrainFD(st.fd)
	}
	netpoll.CloseFD(st.fd)
}
