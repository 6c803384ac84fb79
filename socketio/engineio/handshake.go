package engineio

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"posthouse/internal/randid"
	"posthouse/socketio/engineio/internal/ws"
)

// newSession makes a session and registers it, not yet started. From then on
// Shutdown may end it: so it must have its transport, which attach gives it.
func (srv *Server) newSession(r *http.Request, q *query, attach func(*Session)) (*Session, *ConnectionError) {
	if srv.leaving() {
		return nil, unavailable()
	}
	s := &Session{srv: srv, revision: q.revision, openedAt: time.Since(epoch)}
	attach(s)
	for range 2 { // once more, should a random id be taken
		s.id = randid.New()
		if srv.o.GenerateID != nil {
			id, err := srv.o.GenerateID(r)
			if err != nil {
				return nil, badRequest("ID_GENERATION_ERROR", map[string]any{"error": err})
			}
			s.id = id
		}
		if srv.admit(s) {
			return s, nil
		}
	}
	if srv.leaving() {
		return nil, unavailable()
	}
	return nil, badRequest("ID_GENERATION_ERROR", nil)
}

// accept asks the layer above for the session's handler and starts the heartbeat.
func (s *Session) accept(r *http.Request) *ConnectionError {
	s.mu.Lock()
	over := s.state.Load() == stateClosed
	if !over {
		s.startHeartbeat()
	}
	s.mu.Unlock()
	if over {
		return unavailable()
	}
	if s.srv.o.Accept == nil {
		s.handler = ignore{}
		return nil
	}
	err := errPanic
	func() {
		// closeTask, should the session end meanwhile, waits for recvMu. It may have run
		// before: then a handler would never learn of the end.
		s.recvMu.Lock()
		defer s.unlockForRead()
		if over = s.state.Load() == stateClosed; over {
			return
		}
		defer s.guard()
		s.handler, err = s.srv.o.Accept(s, r)
		if err != nil {
			s.handler = nil
		} else if s.handler == nil {
			s.handler = ignore{}
		}
	}()
	if over {
		return unavailable()
	}
	if err != nil {
		s.Discard()
		if s.srv.leaving() { // which is why
			return unavailable()
		}
		return refusal(CodeForbidden, map[string]any{"message": err.Error()})
	}
	return nil
}

// ignore is the handler of a server without Accept.
type ignore struct{}

func (ignore) Receive(Message) error { return nil }
func (ignore) Closed(Reason, error)  {}

// appendOpen appends the data of the open packet (docs/protocol.md §1.2).
func (s *Session) appendOpen(dst []byte, upgrades []byte) []byte {
	o := &s.srv.o
	dst = append(dst, `{"sid":`...)
	dst = appendQuoted(dst, s.id)
	dst = append(append(dst, `,"upgrades":`...), upgrades...)
	dst = strconv.AppendInt(append(dst, `,"pingInterval":`...), o.PingInterval.Milliseconds(), 10)
	dst = strconv.AppendInt(append(dst, `,"pingTimeout":`...), o.PingTimeout.Milliseconds(), 10)
	dst = strconv.AppendInt(append(dst, `,"maxPayload":`...), o.MaxPayload, 10)
	return append(dst, '}')
}

// servePollingHandshake opens a session. The answer is the open packet alone:
// what the handler sends while it is made comes with the next poll.
func (srv *Server) servePollingHandshake(w http.ResponseWriter, r *http.Request, q *query) {
	p := &polling{wantsBase64: q.wantsBase64 || q.jsonp, jsonp: q.jsonp, jsonpIndex: digits(q.jsonpParam)}
	s, e := srv.newSession(r, q, func(s *Session) { p.s, s.poll = s, p })
	if e != nil {
		srv.refuse(w, r, e)
		return
	}
	batch := takeQueue()
	defer batch.release()
	batch.add(packetOpen, false, s.appendOpen(nil, srv.upgradesJSON))
	if m := srv.o.InitialPacket; m != nil {
		batch.add(packetMessage, m.Binary, m.Data)
	}
	if e := s.accept(r); e != nil {
		srv.refuse(w, r, e)
		return
	}
	srv.setCookie(w.Header(), s.id)
	if srv.o.OnInitialHeaders != nil {
		srv.o.OnInitialHeaders(w.Header(), r)
	}
	if err := s.answerPoll(w, r, p, batch); err != nil {
		s.end(ReasonTransportError, errPollDropped)
	}
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

func (srv *Server) newWebSocket(s *Session, hs *ws.Handshake, b64 bool) *wsTransport {
	return &wsTransport{
		s: s, transportName: transportWebSocket, wireFormat: formOf(s.revision, b64), deflate: hs.Deflate, corked: true,
		frameReader: ws.NewReader(srv.wsFormat, hs.Deflate),
	}
}

// serveWebSocket answers every valid WebSocket handshake.
func (srv *Server) serveWebSocket(w http.ResponseWriter, r *http.Request, q *query, s *Session) {
	hs, err := ws.Negotiate(r, srv.deflateOptions)
	if err != nil {
		srv.refuseHandshake(w, r, err)
		return
	}
	if q.transport != transportWebSocket {
		srv.turnAway(w, hs.AppendResponse(nil, w.Header()))
		return
	}
	if s != nil {
		srv.serveUpgrade(w, r, q, s, &hs)
		return
	}
	var st *wsTransport
	s, e := srv.newSession(r, q, func(s *Session) {
		st = srv.newWebSocket(s, &hs, q.wantsBase64)
		s.ws = st
	})
	if e != nil {
		srv.refuse(w, r, e)
		return
	}
	if srv.o.OnInitialHeaders != nil {
		srv.o.OnInitialHeaders(w.Header(), r)
	}
	if srv.o.OnHeaders != nil {
		srv.o.OnHeaders(w.Header(), r)
	}
	// The answer, the open packet and what Accept sends leave in one write.
	s.mu.Lock()
	o := st.openSendBuffer()
	o.setTail(hs.AppendResponse(o.tail(), w.Header()))
	st.sendPacket(packetOpen, s.appendOpen(nil, []byte("[]")))
	if m := srv.o.InitialPacket; m != nil {
		st.addMessages([]Message{*m})
	}
	s.mu.Unlock()
	if e := s.accept(r); e != nil {
		srv.refuse(w, r, e)
		return
	}
	conn, err := takeOver(w)
	if err != nil {
		s.end(ReasonTransportError, err)
		srv.refuseHandshake(w, r, err)
		return
	}
	conn.start(st)
}

// refuseHandshake answers a request that asks for a WebSocket in a wrong way.
func (srv *Server) refuseHandshake(w http.ResponseWriter, r *http.Request, err error) {
	srv.counters.requestRefused(CodeBadRequest)
	if srv.o.OnConnectionError != nil {
		e := badRequest("TRANSPORT_HANDSHAKE_ERROR", map[string]any{"error": err})
		e.Request = r
		srv.o.OnConnectionError(e)
	}
	if e, ok := errors.AsType[*ws.HandshakeError](err); ok {
		e.Write(w)
	}
}

// turnAway completes the handshake and closes: the client is told in its own
// protocol that this WebSocket has no place.
func (srv *Server) turnAway(w http.ResponseWriter, head []byte) {
	conn, _, err := ws.Hijack(w)
	if err != nil {
		return
	}
	// The request's own goroutine waits for the peer's close frame, shortly.
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(lingerTime)) // then the peer decides
	if _, err := conn.Write(ws.AppendClose(head, 0, "")); err == nil {
		closeWrite(conn)
		io.CopyN(io.Discard, conn, 4<<10) //nolint:errcheck // whatever comes
	}
}
