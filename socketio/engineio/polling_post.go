package engineio

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"posthouse/socketio/engineio/internal/wire"
	"posthouse/socketio/internal/answer"
)

var (
	errInvalidContent = errors.New("engineio: invalid content")
	errBodyLost       = errors.New("engineio: data request connection closed prematurely")
	errTooBig         = errors.New("engineio: payload too large")
)

// post is one POST under way. The fields are guarded by Session.mu.
type post struct {
	controller *http.ResponseController
	isReading  bool
	isAborted  bool
}

// abort makes the read of the body fail; the handler then drops the connection.
func (p *post) abort() {
	if !p.isReading || p.isAborted {
		return
	}
	p.isAborted = true
	p.controller.SetReadDeadline(longAgo) //nolint:errcheck // then the body ends by itself
}

// servePOST takes one payload.
func (s *Session) servePOST(w http.ResponseWriter, r *http.Request, order *arrival) {
	order.await(r)
	po := &post{controller: http.NewResponseController(w), isReading: true}
	s.mu.Lock()
	if s.state.Load() == stateClosed || s.poll == nil {
		s.mu.Unlock()
		s.srv.refuse(w, r, refusal(CodeUnknownSID, map[string]any{"sid": s.id}))
		return
	}
	pl := s.poll
	octets := strings.HasPrefix(fieldOf(r, "Content-Type"), "application/octet-stream")
	if pl.activePOST != nil || octets && s.revision == 4 {
		err := errInvalidContent
		if pl.activePOST != nil {
			err = errOverlap
		}
		s.endLocked(ReasonTransportError, err)
		s.mu.Unlock()
		s.srv.status(w, http.StatusBadRequest)
		return
	}
	pl.activePOST = po
	s.mu.Unlock()

	buf := takeBuffer()
	defer buf.release()
	err := s.srv.readBody(buf, r)

	s.mu.Lock()
	po.isReading = false
	if po.isAborted {
		s.mu.Unlock()
		panic(http.ErrAbortHandler) // the peer sees a reset, as with Node
	}
	if errors.Is(err, errTooBig) {
		s.mu.Unlock()
		s.answerTooBig(w)
		return
	}
	if err != nil {
		pl.activePOST = nil
		s.endLocked(ReasonTransportError, errBodyLost)
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	s.mu.Unlock()

	valid := s.receivePayload(r, pl, buf.b, octets)
	order.Begin()

	s.mu.Lock()
	pl.activePOST = nil
	s.mu.Unlock()
	if !valid {
		s.srv.status(w, http.StatusBadRequest)
		return
	}
	s.srv.pollHeaders(w, r)
	h := w.Header()
	h["Content-Type"] = typeHTML
	h["Content-Length"] = lengthOK
	answer.Begin(w, s.srv.o.patience())
	w.Write(bodyOK) // a failure tells no caller anything
}

// tooBigGrace is how long a session outlives a body that was refused with 413. The
// end answers the waiting GET on another connection; a client that read that first
// would report a close and no reason.
const tooBigGrace = 100 * time.Millisecond

// answerTooBig refuses a body and ends the session behind the answer. Until then no
// other POST is taken, because this one stays the session's.
func (s *Session) answerTooBig(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Connection", "close") // the rest of the body is not wanted
	h.Set("Content-Length", "0")
	s.srv.status(w, http.StatusRequestEntityTooLarge)
	http.NewResponseController(w).Flush() //nolint:errcheck // the peer may be gone
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == stateClosed {
		return
	}
	if s.closeTimer != nil { // the session is closing: its own timer gives way
		s.closeTimer.Stop()
	}
	s.closeTimer = time.AfterFunc(tooBigGrace, func() { s.end(ReasonTransportError, errTooBig) })
}

var (
	bodyOK   = []byte("ok")
	lengthOK = []string{"2"}
)

// readBody reads a body of at most limit bytes. It allocates for what arrived,
// not for what was announced.
func (srv *Server) readBody(buf *buffer, r *http.Request) error {
	limit := srv.o.MaxPayload
	if r.ContentLength > limit {
		return errTooBig
	}
	for {
		if len(buf.b) == cap(buf.b) {
			buf.b = append(buf.b, 0)[:len(buf.b)]
		}
		n, err := r.Body.Read(buf.b[len(buf.b):cap(buf.b)])
		buf.b = buf.b[:len(buf.b)+n]
		if int64(len(buf.b)) > limit {
			return errTooBig
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// packetsPerSlice is how many packets of a payload are delivered before other
// goroutines get their turn.
const packetsPerSlice = 256

// receivePayload delivers the packets of one body. What the handler sends
// meanwhile leaves in one answer of the waiting GET, or in a few when it is much.
// It returns false for text that is not UTF-8, which is no payload at all and so
// is refused with 400 (docs/reliability.md §4 row 20).
func (s *Session) receivePayload(r *http.Request, pl *polling, body []byte, octets bool) (valid bool) {
	valid = true
	s.recvMu.Lock()
	s.setCork(pl, true)
	defer func() {
		s.setCork(pl, false)
		s.unlockForRead()
	}()
	defer s.guard()
	if pl.jsonp {
		var ok bool
		if body, ok = jsonpBody(body); !ok {
			return valid
		}
	}
	next := wire.NextPacket4
	if s.revision == 3 {
		if next = wire.NextText3; octets {
			next = wire.NextBinary3
		}
	}
	if !octets && !utf8.Valid(body) {
		s.end(ReasonParseError, wire.ErrNotUTF8)
		return false
	}
	for n, done := 1, false; !done; n++ {
		if n%packetsPerSlice == 0 {
			runtime.Gosched()
		}
		var p packet
		var err error
		p, body, done, err = next(body)
		if err != nil {
			s.end(ReasonParseError, err)
			return !errors.Is(err, wire.ErrNotUTF8)
		}
		switch err := s.receive(p); {
		case err == nil:
		case errors.Is(err, ErrPause):
			if !s.waitResume(r, pl) {
				return valid
			}
		default:
			return valid
		}
	}
	return valid
}

// setCork begins or ends a turn of delivery; recvMu is held.
func (s *Session) setCork(pl *polling, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on {
		pl.corked = true
	} else {
		s.noteReceivedLocked()
		pl.uncork()
	}
}

// waitResume keeps a POST waiting while the handler is paused: the withheld
// answer is what holds the peer back. The goroutine is the request's own.
func (s *Session) waitResume(r *http.Request, pl *polling) bool {
	ch := s.paused()
	if ch == nil {
		return true
	}
	arrivalOf(r).Begin() // the pause may last
	s.setCork(pl, false)
	s.unlockForRead()
	defer s.recvMu.Lock()
	select {
	case <-ch:
	case <-r.Context().Done():
		s.end(ReasonTransportError, errBodyLost)
		return false
	}
	s.setCork(pl, true)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.poll == pl // else an upgrade took over meanwhile
}
