package engineio

import (
	"cmp"
	"net/http"
	"slices"
)

// verify checks a request in the order of docs/protocol.md §1.3. It returns the session
// that the request names, nil for a handshake.
func (srv *Server) verify(r *http.Request, q *query, a *arrival) (*Session, *ConnectionError) {
	if !slices.Contains(srv.o.Transports, q.transport) || q.transport == transportWebTransport {
		return nil, refusal(CodeUnknownTransport, map[string]any{"transport": q.transport})
	}
	if origin := fieldOf(r, "Origin"); !validOrigin(origin) {
		r.Header.Del("Origin")
		return nil, badRequest("INVALID_ORIGIN", map[string]any{"origin": origin})
	}
	if q.sidIsAmbiguous {
		return nil, badRequest("AMBIGUOUS_SID", map[string]any{"sid": q.sid})
	}
	if q.hasSID {
		return srv.verifySession(r, q, a)
	}
	if r.Method != http.MethodGet {
		return nil, refusal(CodeBadHandshakeMethod, map[string]any{"method": r.Method})
	}
	if q.transport == transportWebSocket && !IsUpgrade(r) {
		return nil, badRequest("TRANSPORT_HANDSHAKE_ERROR", nil)
	}
	if e := srv.verifyOrigin(r); e != nil {
		return nil, e
	}
	if q.jsonp && !srv.o.JSONP {
		return nil, badRequest("JSONP_DISABLED", nil)
	}
	if srv.o.AllowRequest != nil {
		if err := srv.o.AllowRequest(r); err != nil {
			e := refusal(CodeForbidden, map[string]any{"message": err.Error()})
			e.Message = cmp.Or(err.Error(), e.Message)
			return nil, e
		}
	}
	if q.revision != 4 && (q.revision != 3 || !srv.o.AllowEIO3) {
		return nil, refusal(CodeUnsupportedProtocol, map[string]any{"protocol": int(q.revision)})
	}
	return nil, nil
}

func (srv *Server) verifySession(r *http.Request, q *query, a *arrival) (*Session, *ConnectionError) {
	s := a.session(q.sid)
	if s == nil {
		s = srv.session(q.sid)
	}
	if s == nil {
		return nil, refusal(CodeUnknownSID, map[string]any{"sid": q.sid})
	}
	if now := s.Transport(); !IsUpgrade(r) && q.transport != now {
		return nil, badRequest("TRANSPORT_MISMATCH", map[string]any{"transport": q.transport, "previousTransport": now})
	}
	if q.revision != s.revision {
		return nil, badRequest("PROTOCOL_MISMATCH", map[string]any{"protocol": int(q.revision), "previousProtocol": int(s.revision)})
	}
	// A page may send both without asking first, so each is checked.
	if r.Method == http.MethodGet || r.Method == http.MethodPost {
		if e := srv.verifyOrigin(r); e != nil {
			return nil, e
		}
	}
	return s, nil
}

func (srv *Server) verifyOrigin(r *http.Request) *ConnectionError {
	if srv.originAllowed(r) {
		return nil
	}
	e := refusal(CodeForbidden, map[string]any{"message": codeMessages[CodeForbidden], "name": "ORIGIN_NOT_ALLOWED"})
	e.isForeignOrigin = true
	return e
}

// fieldOf is r.Header.Get for a name that is canonical already, which every request of
// the polling transport asks for several times.
func fieldOf(r *http.Request, canonical string) string {
	if values := r.Header[canonical]; len(values) > 0 {
		return values[0]
	}
	return ""
}
