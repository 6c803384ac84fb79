package engineio

import (
	"errors"
	"io"
	"net"
	"syscall"

	"posthouse/socketio/engineio/internal/netpoll"
	"posthouse/socketio/engineio/internal/tlspoll"
	"posthouse/socketio/engineio/internal/wire"
	"posthouse/socketio/engineio/internal/ws"
)

var (
	// errUpgraded stops the feeding of a probing transport at the upgrade packet:
	// what follows is the session's.
	errUpgraded = errors.New("engineio: upgraded")
	errProbe    = errors.New("engineio: probe failed")
)

// start takes over a hijacked connection: what waits is written, early bytes are
// handled, and a loop or a new goroutine reads the rest, until the connection ends.
func (st *wsTransport) start(conn net.Conn, early []byte) {
	s := st.s
	s.mu.Lock()
	if len(early) > 0 {
		st.heldBytes, st.readSuspended = takeBuffer(), true
		st.heldBytes.b = append(st.heldBytes.b, early...)
	}
	var raw syscall.RawConn
	if !st.adopt(conn) {
		raw = netpoll.RawConn(conn)
		st.conn, st.fd = conn, -1
		if raw != nil {
			raw.Control(func(fd uintptr) { st.fd = int(fd) }) //nolint:errcheck // -1 then
		}
		s.srv.track()
	}
	st.begin()
	s.mu.Unlock()
	if st.loop == nil {
		go st.readLoop(raw)
		return
	}
	if st.stream != nil { // the TLS connection lives on, above the loop's descriptor
		_, below := tlspoll.Of(conn)
		conn = below.NetConn()
	}
	conn.Close() // the loop has a descriptor of its own
	if len(early) > 0 || st.stream != nil {
		st.loop.Wake(st)
	}
}

// startUpgraded is start for a connection that a loop reads already. Session.mu is
// held while the connection changes hands: the loop delivers nothing before begin.
func (st *wsTransport) startUpgraded(w loopResponse) {
	s := st.s
	s.mu.Lock()
	w.Upgrade(st)
	early := st.heldBytes != nil
	if !st.isConnected { // TakeOver cannot begin before the loop knows st
		st.begin()
	}
	s.mu.Unlock()
	if early {
		st.loop.Wake(st)
	}
}

// begin writes what waits for the connection.
func (st *wsTransport) begin() {
	st.isConnected = true
	if st.closing {
		// The session ended before its connection was there. Say so politely.
		st.closing = false
		st.corked = true
		st.shutdown(ReasonForcedClose, nil)
		return
	}
	st.corked = false
	st.writeWaiting()
}

func (st *wsTransport) readLoop(raw syscall.RawConn) {
	defer st.s.srv.done()
	defer st.frameReader.Release()
	err := st.handleHeld()
	for err == nil || errors.Is(err, errPaused) {
		switch {
		case errors.Is(err, errPaused):
			<-st.pauseEnd
			err = st.handleHeld()
		case raw != nil:
			err = st.readRaw(raw)
		default:
			err = st.readConn()
		}
	}
	st.s.mu.Lock()
	drain := st.closeSent && !errors.Is(err, io.EOF)
	st.peerClosed = true
	st.fail(err)
	st.s.mu.Unlock()
	if drain {
		closeDrained(st.conn)
	}
	st.conn.Close() // nothing is left to be done
}

// readConn is one read of a connection whose reads block: the buffer is held
// while it waits.
func (st *wsTransport) readConn() error {
	buf := takeBuffer()
	defer buf.release()
	n, err := st.conn.Read(buf.b[:cap(buf.b)])
	if n > 0 {
		if err := st.handleBytes(buf.b[:n]); err != nil {
			return err
		}
	}
	return err
}

// readRaw stays in one RawConn.Read for the life of the connection: while
// nothing comes, the runtime's poller holds it and no buffer is taken. It
// returns with what ended the connection.
func (st *wsTransport) readRaw(raw syscall.RawConn) error {
	var err error
	rawErr := raw.Read(func(fd uintptr) bool {
		drained := false
		for !drained && err == nil {
			drained, err = st.readAvailable(int(fd), true)
		}
		return err != nil
	})
	if err == nil {
		err = rawErr
	}
	return err
}

// readsPerTurn is how much of a connection is read before it is the turn of the
// others of its loop, in buffers.
const readsPerTurn = 4

// readAvailable handles what a readable descriptor has; ended says that its stream may
// have ended. drained is true when nothing is left and the poller will tell of
// what comes: until then readAvailable is to be called again.
func (st *wsTransport) readAvailable(fd int, ended bool) (drained bool, err error) {
	buf := netpoll.TakeReadBuffer()
	defer buf.Release()
	for range readsPerTurn {
		n, err := netpoll.ReadFD(fd, buf[:])
		if n == 0 {
			return true, err
		}
		if err := st.handleBytes(buf[:n]); err != nil {
			return false, err
		}
		if n < len(buf) && (st.wroteAfterRead || !ended) {
			// The poller reports an edge for whatever comes now. An end of stream
			// that came together with these bytes has no edge of its own, but our
			// write provokes a reset. Without a write, look again.
			return true, nil
		}
	}
	return false, nil
}

// readStream is readAvailable for a TLS connection. The records that have come are
// handled together, as the bytes of one read.
func (st *wsTransport) readStream(ended bool) (drained bool, err error) {
	buf := netpoll.TakeReadBuffer()
	defer buf.Release()
	st.stream.Readable(ended)
	for range readsPerTurn {
		n, drained, err := st.stream.Read(buf[:])
		if n > 0 {
			if err := st.handleBytes(buf[:n]); err != nil {
				return false, err
			}
		}
		if drained || err != nil {
			return true, err
		}
	}
	return false, nil
}

// errBusy says that the session still delivers a POST: nothing was read.
var errBusy = errors.New("engineio: a POST is being delivered")

// errPaused says that the handler wants no more for now: what is left of the
// read is in held, and nothing is to be read until pause is closed.
var errPaused = errors.New("engineio: paused")

// handleHeld handles what was held back.
func (st *wsTransport) handleHeld() error {
	held := st.heldBytes
	st.heldBytes, st.pauseEnd = nil, nil
	if held == nil {
		return nil
	}
	defer held.release()
	return st.handleBytes(held.b)
}

// handleBytes handles the bytes of one read.
func (st *wsTransport) handleBytes(p []byte) error {
	if st.isDiscarding {
		if st.discardedBytes += len(p); st.discardedBytes > lingerBytes {
			return net.ErrClosed
		}
		return nil
	}
	if st.upgradeUntold {
		if free := st.tellUpgraded(); free != nil {
			return st.hold(p, free)
		}
	}
	for len(p) > 0 {
		n, err := st.feed(p)
		p = p[n:]
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errUpgraded):
			if !st.s.completeUpgrade(st) {
				return st.dismiss(nil)
			}
			// The upgrade has inherited a pause of the handler.
			if free := st.tellUpgraded(); free != nil && st.pauseEnd == nil {
				st.pauseEnd = free
			}
		case errors.Is(err, errBusy):
		case errors.Is(err, ErrPause):
			st.pauseEnd = st.s.paused()
		case errors.Is(err, errOver), errors.Is(err, errProbe):
			return st.dismiss(nil)
		default:
			return st.dismiss(err)
		}
		if st.pauseEnd != nil {
			return st.hold(p, st.pauseEnd)
		}
	}
	return nil
}

// hold keeps the rest of a read until pause is closed.
func (st *wsTransport) hold(p []byte, pause <-chan struct{}) error {
	st.pauseEnd = pause
	st.heldBytes = takeBuffer()
	st.heldBytes.b = append(st.heldBytes.b, p...)
	return errPaused
}

// dismiss ends the transport's part in the session, and reads on only to see the
// peer's close frame. err is a breach of the WebSocket protocol, or what the peer's
// close frame gave.
func (st *wsTransport) dismiss(err error) error {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	_, st.isDiscarding = errors.AsType[*ws.Error](err)
	if st.isDiscarding && st.closeSent {
		st.sendFIN()
	}
	switch {
	case errors.Is(err, ws.ErrPeerClosed):
		st.peerClosed = true
		st.connectionLost(nil)
		if s.ws != st {
			st.shutdown(ReasonTransportClose, nil)
		}
	case s.ws == st && err != nil:
		s.endLocked(ReasonTransportError, err)
	case s.ws != st:
		s.probeEnded(st)
		st.shutdown(ReasonForcedClose, err)
	}
	if st.isClosed {
		return net.ErrClosed
	}
	return nil
}

// feed hands bytes to the WebSocket reader; what is sent meanwhile leaves in one write.
func (st *wsTransport) feed(p []byte) (int, error) {
	s := st.s
	st.wroteAfterRead = false
	if st.isProbe {
		return st.frameReader.Feed(p, st)
	}
	ok, free := s.lockForRead()
	if free != nil {
		st.pauseEnd = free
		return 0, errBusy
	}
	if ok {
		defer s.recvMu.Unlock()
	}
	s.mu.Lock()
	st.corked = !st.closing
	s.mu.Unlock()
	n, err := st.feedGuarded(p)
	s.mu.Lock()
	if ok {
		s.noteReceivedLocked()
	}
	st.corked, st.hasWritten = false, false
	st.writeWaiting()
	st.wroteAfterRead = st.hasWritten
	s.mu.Unlock()
	return n, err
}

// feedGuarded feeds the handler. Nothing is read any more when it panics.
func (st *wsTransport) feedGuarded(p []byte) (int, error) {
	n, err := len(p), errOver
	func() {
		defer st.s.guard()
		n, err = st.frameReader.Feed(p, st)
	}()
	return n, err
}

// Message implements ws.Handler.
func (st *wsTransport) Message(op ws.Opcode, payload []byte) error {
	p, err := st.decode(op, payload)
	if st.isProbe {
		return st.probePacket(p, err)
	}
	if err != nil {
		st.s.end(ReasonParseError, err)
		return errOver
	}
	return st.s.receive(p)
}

func (st *wsTransport) decode(op ws.Opcode, payload []byte) (packet, error) {
	if op == ws.Text {
		return wire.DecodeText(payload, st.s.revision)
	}
	return wire.DecodeBinary(payload, st.s.revision)
}

// Control implements ws.Handler.
func (st *wsTransport) Control(op ws.Opcode, payload []byte) error {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if op == ws.Pong || st.isClosed || st.closing && op == ws.Ping {
		return nil
	}
	if op == ws.Close && st.closing {
		// Ours is on its way: this is the answer to it.
		st.peerClosed = true
		if st.sendBuf == nil && !st.writePending {
			st.hangUp()
		}
		return nil
	}
	o := st.openSendBuffer()
	o.setTail(ws.AppendAnswer(o.tail(), op, payload))
	st.writeWaiting()
	return nil
}
