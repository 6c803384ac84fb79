package tlspoll

import (
	"crypto/tls"
	"errors"
	"sync"

	"posthouse/socketio/engineio/internal/netpoll"
)

// Stream is a TLS connection on a descriptor that a loop watches. Its reads and writes
// are those of netpoll for a descriptor: they do not block, and 0, nil says that nothing
// can be done before the next event.
//
// One goroutine at a time, the loop's, calls Readable, Read, Flush and Close; other
// goroutines may call TryWrite and CloseWrite meanwhile, one at a time.
type Stream struct {
	conn *tls.Conn
	fd   int

	// Owned by the reader:
	readable bool // the descriptor may have bytes
	ended    bool // the peer may have ended its side, see Readable

	// Owned by the writer:
	uncredited int // bytes given to crypto/tls that TryWrite has not counted yet
	seen       int // length of unsent when they were counted last

	mu       sync.Mutex // guards what follows, which the loop and the writer share; a leaf
	batch    *batch     // where the records of a TryWrite are gathered; nil: none is under way
	unsent   []byte     // records that the kernel has not taken
	finAfter bool       // our side ends behind unsent
}

const (
	// chunk is how much one TryWrite encrypts at a time: one system call for a burst,
	// and a bound for what a slow peer makes a connection hold as records.
	chunk = 32 << 10
	// maxUnsent bounds the records that wait for a peer that reads nothing. A TryWrite
	// leaves less; a peer can make crypto/tls answer its key updates beside that.
	maxUnsent = 64 << 10
	// recordOverhead is more than the header, the tag and the padding of a record.
	recordOverhead = 256
)

var errUnsent = errors.New("tlspoll: the peer reads nothing but sends messages of TLS that need answers")

// wouldBlock is what crypto/tls takes for an error that passes.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "tlspoll: nothing to read" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

var errWouldBlock error = wouldBlock{}

// batch is a pooled buffer for the records of one TryWrite.
type batch struct{ b []byte }

// batches holds buffers for chunk bytes in records of a kilobyte, which crypto/tls
// begins with.
var batches = sync.Pool{New: func() any { return &batch{make([]byte, 0, chunk+32*recordOverhead)} }}

// Detach makes c a Stream on fd, a duplicate of its descriptor. The handshake is done,
// and no other goroutine uses t or c any more. The caller closes c.NetConn(), and calls
// Read before it waits for an event: bytes may have been read before.
func Detach(t *tls.Conn, c *Conn, fd int) *Stream {
	s := &Stream{conn: t, fd: fd}
	c.stream = s
	return s
}

// Attach undoes Detach.
func (c *Conn) Attach() { c.stream = nil }

// Readable tells s of an event: the descriptor may have bytes. ended says that the peer
// may have ended its side too, which has no event of its own.
func (s *Stream) Readable(ended bool) { s.readable, s.ended = true, ended }

// Read reads what is there, of as many records as fit into p. drained says that nothing
// is left before the next event. An error comes with the bytes before it or in the next
// call; the end of the stream is io.EOF.
func (s *Stream) Read(p []byte) (n int, drained bool, err error) {
	for n < len(p) {
		k, err := s.conn.Read(p[n:])
		n += k
		switch {
		case errors.Is(err, errWouldBlock):
			return n, true, nil
		case err != nil:
			return n, false, err
		}
	}
	return n, false, nil
}

// readRecords is Read of the Conn below crypto/tls.
func (s *Stream) readRecords(p []byte) (int, error) {
	if !s.readable {
		return 0, errWouldBlock
	}
	n, err := netpoll.ReadFD(s.fd, p)
	// An edge is reported for whatever comes behind a read that was short.
	s.readable = n == len(p) || n > 0 && s.ended
	if n == 0 && err == nil {
		err = errWouldBlock
	}
	return n, err
}

// TryWrite writes as much as the socket takes without blocking. As for a descriptor, a
// short count is no error; but the bytes behind it may already be encrypted, so the next
// call must begin with the same ones.
func (s *Stream) TryWrite(p []byte) (n int, err error) {
	for {
		sent, err := s.credit(len(p) - n)
		n += sent
		if err != nil || s.seen > 0 || n == len(p) {
			return n, err
		}
		if err := s.encrypt(p[n:min(len(p), n+chunk)]); err != nil {
			return n, err
		}
	}
}

// credit counts what has left since the last call as far as it can be told: every record
// is longer than what it carries.
func (s *Stream) credit(limit int) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.flushLocked()
	if n = s.uncredited; len(s.unsent) > 0 {
		n = max(min(s.seen-len(s.unsent), n-1), 0)
	}
	n = min(n, limit)
	s.uncredited -= n
	s.seen = len(s.unsent)
	return n, err
}

// encrypt gives bytes to crypto/tls and writes their records together.
func (s *Stream) encrypt(p []byte) error {
	b := batches.Get().(*batch)
	s.mu.Lock()
	s.batch = b
	s.mu.Unlock()
	_, err := s.conn.Write(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batch = nil
	if err == nil {
		s.uncredited += len(p)
		s.seen = len(s.unsent) + len(b.b)
		err = s.sendLocked(b.b)
	}
	b.b = b.b[:0]
	batches.Put(b)
	return err
}

// writeRecord is Write of the Conn below crypto/tls. It is called by TryWrite, and by
// Read for answers to alerts and key updates.
func (s *Stream) writeRecord(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.batch != nil {
		s.batch.b = append(s.batch.b, p...)
		return len(p), nil
	}
	if len(s.unsent)+len(p) > maxUnsent {
		return 0, errUnsent
	}
	return len(p), s.sendLocked(p)
}

// sendLocked writes records behind those that wait.
func (s *Stream) sendLocked(records []byte) error {
	if err := s.flushLocked(); err != nil {
		return err
	}
	if len(s.unsent) == 0 {
		n, err := netpoll.WriteFD(s.fd, records)
		if err != nil {
			return err
		}
		records = records[n:]
	}
	if len(records) > 0 {
		s.unsent = append(s.unsent, records...)
	}
	return nil
}

func (s *Stream) flushLocked() error {
	if len(s.unsent) == 0 {
		return nil
	}
	n, err := netpoll.WriteFD(s.fd, s.unsent)
	if err != nil {
		return err
	}
	if s.unsent = s.unsent[n:]; len(s.unsent) > 0 {
		return nil
	}
	s.unsent = nil // an idle connection keeps no buffer
	if s.finAfter {
		netpoll.ShutdownWrite(s.fd)
	}
	return nil
}

// Flush writes what waits, after an event that says that there is room. An error shows
// in reads and writes too.
func (s *Stream) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushLocked() //nolint:errcheck // see above
}

// CloseWrite ends our side of the connection: a close_notify, and the end of the stream
// behind it. What comes from the peer can still be read.
func (s *Stream) CloseWrite() {
	s.conn.CloseWrite() //nolint:errcheck // the connection may be broken
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finAfter = true; len(s.unsent) == 0 {
		netpoll.ShutdownWrite(s.fd)
	}
}

// CloseNotify tells the peer that the descriptor, which the caller is about to close,
// ends on purpose.
func (s *Stream) CloseNotify() {
	s.conn.CloseWrite() //nolint:errcheck // the connection may be broken
}
