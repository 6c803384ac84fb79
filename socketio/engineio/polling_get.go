package engineio

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"posthouse/socketio/internal/answer"
)

var (
	errOverlap     = errors.New("engineio: overlap from client")
	errPollDropped = errors.New("engineio: poll connection closed prematurely")
)

// serveGET holds a poll until there is something to send.
func (s *Session) serveGET(w http.ResponseWriter, r *http.Request, order *arrival) {
	order.await(r)
	g := s.srv.pollPool.Get().(*poll)
	s.mu.Lock()
	switch {
	case s.state.Load() == stateClosed || s.poll == nil:
		s.mu.Unlock()
		s.srv.refuse(w, r, refusal(CodeUnknownSID, map[string]any{"sid": s.id}))
		return
	case s.poll.waitingGET != nil:
		s.endLocked(ReasonTransportError, errOverlap)
		s.mu.Unlock()
		s.srv.status(w, http.StatusBadRequest)
		return
	}
	p := s.poll
	p.attach(g)
	order.beginLocked()
	s.mu.Unlock()

	answer.Hold(w)
	select {
	case <-g.batchReady:
	case <-pollRelease(r):
		s.mu.Lock()
		if p.waitingGET == g {
			p.answer(packetNoop)
		}
		s.mu.Unlock()
		<-g.batchReady
	case <-r.Context().Done():
		s.mu.Lock()
		if p.waitingGET == g {
			p.waitingGET = nil
			s.endLocked(ReasonTransportError, errPollDropped)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		<-g.batchReady
	}
	batch := g.answerQueue
	if g.endsConnection {
		w.Header()["Connection"] = connectionClose
	}
	g.answerQueue, g.endsConnection = nil, false
	s.srv.pollPool.Put(g)
	// The context says nothing any more: a client that has its answer may well
	// drop the connection before this goroutine goes on.
	if err := s.answerPoll(w, r, p, batch); err != nil {
		s.end(ReasonTransportError, errPollDropped)
		return
	}
	p.answered(batch)
	s.runAfterFlush(batch.afterFlush)
	batch.release()
}

var (
	noStore   = []string{"no-store"}
	typeText  = []string{"text/plain; charset=UTF-8"}
	typeHTML  = []string{"text/html"}
	typeBytes = []string{"application/octet-stream"}
	noXSS     = []string{"0"}

	connectionClose = []string{"close"}
)

// answerPoll writes one payload.
func (s *Session) answerPoll(w http.ResponseWriter, r *http.Request, p *polling, batch *queue) error {
	buf := takeBuffer()
	defer buf.release()
	var contentType []string
	buf.b, contentType = p.appendPayload(buf.b, batch)
	if p.jsonp {
		script := takeBuffer()
		defer script.release()
		script.b = appendJSONP(script.b, p.jsonpIndex, buf.b)
		buf = script
	}
	s.srv.pollHeaders(w, r)
	accept := fieldOf(r, "Accept-Encoding")
	if e := s.srv.encodingFor(accept, batch, len(buf.b)); e != encodingNone {
		small := takeBuffer()
		defer small.release()
		compress(small, e, buf.b)
		w.Header()["Content-Encoding"] = encodingNames[e]
		buf = small
	}
	return s.srv.writePoll(w, contentType, buf.b)
}

// appendPayload encodes q as the session's payloads are.
func (p *polling) appendPayload(dst []byte, q *queue) ([]byte, []string) {
	if p.s.revision == 4 {
		return appendPayload4(dst, q), typeText
	}
	dst, isBinary := appendPayload3(dst, q, p.wantsBase64)
	if isBinary {
		return dst, typeBytes
	}
	return dst, typeText
}

// oldMSIE reports whether r comes from a browser whose XSS filter must be kept
// from the answers (docs/protocol.md §1.5).
func oldMSIE(r *http.Request) bool {
	ua := fieldOf(r, "User-Agent")
	return strings.Contains(ua, ";MSIE") || strings.Contains(ua, "Trident/")
}

// pollHeaders sets what every answer of the polling transport has, and asks the hook.
func (srv *Server) pollHeaders(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Cache-Control"] = noStore
	if oldMSIE(r) {
		h["X-Xss-Protection"] = noXSS
	}
	if srv.o.OnHeaders != nil {
		srv.o.OnHeaders(h, r)
	}
}

func (srv *Server) writePoll(w http.ResponseWriter, contentType []string, body []byte) error {
	h := w.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	if err := answer.Write(w, body, srv.o.patience()); err != nil {
		return err
	}
	// Now, to learn whether the peer is gone; it is the one write of the answer.
	err := http.NewResponseController(w).Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
