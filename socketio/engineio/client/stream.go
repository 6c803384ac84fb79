package client

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/internal/wire"
	"posthouse/socketio/engineio/internal/ws"
)

// stream is a connection that carries frames of WebSocket: a WebSocket, or WebTransport
// in its clothes. Its fields below mu are guarded by Conn.mu.
type stream struct {
	conn          *Conn
	transportName string
	rw            io.ReadWriteCloser
	raw           *rawConn // of rw; nil for TLS, WebTransport and connections of other kinds
	masked        bool

	// Used by the goroutine that reads:
	reader ws.Reader
	early  []byte                         // read behind the handshake, or the first packet, and not looked at yet
	taker  func(wire.Packet, error) error // takes a packet, or what is none

	// Guarded by Conn.mu:
	out       *sendBuffer // frames that wait; nil for none
	writing   bool        // a goroutine writes
	unwritten int         // bytes that it is writing
}

// sendBuffer holds frames; pooled, so that a connection on which nothing is sent has none.
type sendBuffer struct{ b []byte }

var sendBuffers = sync.Pool{New: func() any { return new(sendBuffer) }}

func (b *sendBuffer) release() {
	if cap(b.b) <= 64<<10 {
		b.b = b.b[:0]
		sendBuffers.Put(b)
	}
}

func newStream(c *Conn, name string, rw io.ReadWriteCloser) *stream {
	st := &stream{conn: c, transportName: name, rw: rw, raw: newRawConn(rw), masked: name == "websocket"}
	st.reader = ws.NewReader(c.format, nil)
	return st
}

// waiting returns the bytes that are not written yet.
func (st *stream) waitingBytes() int {
	if st == nil {
		return 0
	}
	n := st.unwritten
	if st.out != nil {
		n += len(st.out.b)
	}
	return n
}

func (st *stream) idle() bool { return !st.writing }

// append queues a packet. It is for startWriting or writeAtOnce to write it.
func (st *stream) append(p wire.Packet, revision int) {
	b := st.buffer()
	b.b = st.appendPacket(b.b, p, revision)
}

// writeAtOnce writes what the kernel takes at once, on the caller's goroutine. The rest, if
// any, is left to the goroutine that writes. It saves a message that stands alone the
// change of goroutines.
func (st *stream) writeAtOnce() {
	b := st.out
	if st.raw == nil || st.writing || b == nil {
		st.startWriting()
		return
	}
	n, err := st.raw.tryWrite(b.b)
	switch {
	case err != nil: // Serve learns it by its read, or by the write that follows
		st.startWriting()
	case n == len(b.b):
		st.out = nil
		b.release()
	default:
		b.b = b.b[:copy(b.b, b.b[n:])]
		st.startWriting()
	}
}

// appendFrame queues a control frame.
func (st *stream) appendFrame(op ws.Opcode, payload []byte) {
	b := st.buffer()
	b.b = st.frame(b.b, op, payload)
	st.startWriting()
}

// appendClose queues the frame that ends what is sent.
func (st *stream) appendClose() { st.appendFrame(ws.Close, nil) }

func (st *stream) buffer() *sendBuffer {
	if st.out == nil {
		st.out = sendBuffers.Get().(*sendBuffer)
	}
	return st.out
}

// frame appends a frame whose payload lies in parts.
func (st *stream) frame(dst []byte, op ws.Opcode, parts ...[]byte) []byte {
	if st.masked {
		return ws.AppendMaskedParts(dst, op, maskKey(), parts...)
	}
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	dst = ws.AppendHeader(dst, op, n)
	for _, part := range parts {
		dst = append(dst, part...)
	}
	return dst
}

func (st *stream) appendPacket(dst []byte, p wire.Packet, revision int) []byte {
	if !p.Binary {
		kind := [1]byte{byte(p.Type)}
		return st.frame(dst, ws.Text, kind[:], p.Data)
	}
	if revision == 3 {
		kind := [1]byte{byte(p.Type - '0')}
		return st.frame(dst, ws.Binary, kind[:], p.Data)
	}
	return st.frame(dst, ws.Binary, p.Data)
}

func (st *stream) startWriting() {
	if st.writing {
		return
	}
	st.writing = true
	st.conn.helpers.Add(1)
	st.conn.workers.Go(st)
}

// Run implements workers.Task: it writes while something waits.
func (st *stream) Run() {
	c := st.conn
	defer c.helpers.Done()
	runtime.Gosched() // messages that are about to be sent leave in the same write
	for {
		c.mu.Lock()
		b := st.out
		st.out, st.unwritten = nil, 0
		if b == nil || c.state == stateClosed {
			st.writing = false
			if c.state == stateClosing && !c.serving { // the server's answer is read by nothing
				c.endLocked(engineio.ReasonForcedClose, nil)
			}
			c.mu.Unlock()
			return
		}
		st.unwritten = len(b.b)
		c.mu.Unlock()
		_, err := st.rw.Write(b.b)
		b.release()
		if err != nil {
			c.end(engineio.ReasonTransportClose, err)
		}
	}
}

// writeNow writes on the caller's goroutine; nothing else may write meanwhile.
func (st *stream) writeNow(p wire.Packet) error {
	_, err := st.rw.Write(st.appendPacket(nil, p, st.conn.opts.EIO))
	return err
}

// kill closes what lies below; reads and writes end.
func (st *stream) kill() { _ = st.rw.Close() }

var (
	errFirst = errors.New("the first packet is there")
	errStop  = errors.New("the connection has ended")
	errEmpty = errors.New("the server closed the connection before its first packet")
)

// The sizes of read buffers. A connection of the operating system keeps none while it is
// idle, another one the small one.
const (
	idleBuffer = 1 << 10
	busyBuffer = 32 << 10
)

var busyBuffers = sync.Pool{New: func() any { return new([busyBuffer]byte) }}

// first reads up to and with the first packet.
func (st *stream) first(ctx context.Context) (first wire.Packet, err error) {
	stop := context.AfterFunc(ctx, st.kill)
	defer func() {
		if !stop() && err == nil {
			err = errStop
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	st.taker = func(p wire.Packet, err error) error {
		if err != nil {
			return protocolError(err)
		}
		first = wire.Packet{Type: p.Type, Binary: p.Binary, Data: append([]byte(nil), p.Data...)}
		return errFirst
	}
	buf := busyBuffers.Get().(*[busyBuffer]byte)
	defer busyBuffers.Put(buf)
	n := copy(buf[:], st.early)
	st.early = nil
	for {
		var err error
		if n == 0 {
			n, err = st.rw.Read(buf[:])
		}
		used, feedErr := st.reader.Feed(buf[:n], st)
		switch {
		case errors.Is(feedErr, errFirst):
			st.early = append([]byte(nil), buf[used:n]...)
			return first, nil
		case errors.Is(feedErr, ws.ErrPeerClosed):
			return first, errEmpty
		case feedErr != nil:
			st.reader.Release()
			return first, feedErr
		case errors.Is(err, io.EOF):
			return first, errEmpty
		case err != nil:
			return first, err
		}
		n = 0
	}
}

// read reads until the connection has ended.
func (st *stream) read(r *receiver) {
	c := st.conn
	defer st.reader.Release()
	st.taker = func(p wire.Packet, err error) error {
		if err != nil {
			c.end(engineio.ReasonTransportError, protocolError(err))
			return errStop
		}
		if !r.receivePacket(p) {
			return errStop
		}
		return nil
	}
	early := st.early
	st.early = nil
	if !st.feed(early) {
		return
	}
	if st.raw != nil {
		st.readRaw()
		return
	}
	small := make([]byte, idleBuffer)
	var busy *[busyBuffer]byte
	for {
		p := small
		if busy != nil {
			p = busy[:]
		}
		n, err := st.rw.Read(p)
		if !st.took(p[:n], err) {
			return
		}
		switch {
		case busy == nil && n == len(p):
			busy = busyBuffers.Get().(*[busyBuffer]byte)
		case busy != nil && n < idleBuffer:
			busyBuffers.Put(busy)
			busy = nil
		}
	}
}

// readRaw is read for a connection of the operating system: a buffer is taken when there
// is something to read, and given back before the next wait.
func (st *stream) readRaw() {
	for {
		buf, n, err := st.raw.read()
		var p []byte
		if buf != nil {
			p = buf[:n]
		}
		ok := st.took(p, err)
		if buf != nil {
			busyBuffers.Put(buf)
		}
		if !ok {
			return
		}
	}
}

// took takes the outcome of one read; false means that the connection has ended.
func (st *stream) took(p []byte, err error) bool {
	st.conn.noteReceived()
	if !st.feed(p) {
		return false
	}
	if err != nil {
		st.conn.end(engineio.ReasonTransportClose, err)
		return false
	}
	return true
}

// feed takes bytes; false means that the connection has ended.
func (st *stream) feed(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	_, err := st.reader.Feed(p, st)
	var breach *ws.Error
	switch {
	case err == nil:
		return true
	case errors.As(err, &breach):
		cause := err
		if errors.Is(err, ws.ErrTooBig) {
			cause = ErrMaxPayload
		}
		st.sayClose(breach.Code)
		st.conn.end(engineio.ReasonTransportError, cause)
	case errors.Is(err, ws.ErrPeerClosed):
		st.sayClose(ws.CloseNoStatus)
		st.conn.end(engineio.ReasonTransportClose, nil)
	}
	return false
}

// sayClose answers with a close frame, unless something is being written: then the end of
// the TCP connection says it.
func (st *stream) sayClose(code int) {
	c := st.conn
	c.mu.Lock()
	free := !st.writing && c.state == stateOpen && st.masked
	if free {
		st.writing = true // for good
		c.closeTimer = c.startCloseTimer(engineio.ReasonTransportClose)
	}
	c.mu.Unlock()
	if free {
		var b []byte
		if code != ws.CloseNoStatus {
			b = []byte{byte(code >> 8), byte(code)}
		}
		_, _ = st.rw.Write(st.frame(nil, ws.Close, b))
	}
}

// Message implements ws.Handler.
func (st *stream) Message(op ws.Opcode, payload []byte) error {
	decode := wire.DecodeText
	if op == ws.Binary {
		decode = wire.DecodeBinary
	}
	return st.taker(decode(payload, uint8(st.conn.opts.EIO)))
}

// Control implements ws.Handler.
func (st *stream) Control(op ws.Opcode, payload []byte) error {
	if op == ws.Ping {
		c := st.conn
		c.mu.Lock()
		if c.state == stateOpen && c.stream == st {
			st.appendFrame(ws.Pong, payload)
		}
		c.mu.Unlock()
	}
	return nil
}
