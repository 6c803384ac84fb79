package engineio

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"posthouse/socketio/engineio/internal/ws"
)

// OpenFunc completes the handshake of a transport that lives in a package of its
// own, such as webtransport, and returns its connection. It answers r itself,
// unless it returns an error. The context of r ends with Options.UpgradeTimeout;
// maxPayload is Options.MaxPayload.
//
// The connection carries one packet in each unmasked WebSocket frame, both ways;
// it translates to what its wire wants. In return it is served by the same code
// as a WebSocket: same order, same limits, same close semantics. A close frame
// written to it is the last thing it is given before Close. Its Close must not
// wait, and deadlines must work.
type OpenFunc func(w http.ResponseWriter, r *http.Request, maxPayload int64) (net.Conn, error)

// External returns the handler of such a transport, called name. Its requests
// pass the same gate as those of the other transports: path, CORS, middlewares,
// Options.Transports, origin, and Options.AllowRequest for new sessions. What
// the client sends first decides whether the connection opens a session ("0") or
// is an upgrade of one (`0{"sid":"…"}`, docs/protocol.md §1.11).
// Revision 4 is implied. Options.OnHeaders and OnInitialHeaders are not called.
func (srv *Server) External(name string, open OpenFunc) http.Handler {
	x := &external{srv: srv, name: name, openFunc: open, wsFormat: ws.NewFormat(&ws.Limits{
		MaxMessage: int(srv.o.MaxPayload), MaxControl: srv.o.controlFrames(), MaxFragments: srv.o.MaxFragments, FromServer: true,
	})}
	h := srv.chain(x.serve)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.EscapedPath(), srv.o.Path) {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

type external struct {
	srv      *Server
	name     string
	openFunc OpenFunc
	wsFormat *ws.Format
}

var (
	errOpening = errors.New("engineio: first packet is not an open packet")
	// errOpened stops the reading behind the first packet.
	errOpened = errors.New("engineio: opened")
)

func (x *external) serve(w http.ResponseWriter, r *http.Request) {
	srv := x.srv
	if !slices.Contains(srv.o.Transports, x.name) {
		srv.refuse(w, r, refusal(CodeUnknownTransport, map[string]any{"transport": x.name}))
		return
	}
	if origin := r.Header.Get("Origin"); !validOrigin(origin) {
		r.Header.Del("Origin")
		srv.refuse(w, r, badRequest("INVALID_ORIGIN", map[string]any{"origin": origin}))
		return
	}
	if e := srv.verifyOrigin(r); e != nil {
		srv.refuse(w, r, e)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), srv.o.UpgradeTimeout)
	defer cancel()
	conn, err := x.openFunc(w, r.WithContext(ctx), srv.o.MaxPayload)
	if err != nil {
		srv.refuse(w, r, badRequest("TRANSPORT_HANDSHAKE_ERROR", map[string]any{"error": err}))
		return
	}
	if e := x.attach(ctx, conn, r); e != nil {
		srv.counters.requestRefused(e.Code)
		e.Request = r
		if srv.o.OnConnectionError != nil {
			srv.o.OnConnectionError(e)
		}
		conn.Close()
	}
}

// attach reads the first packet and gives conn to the session it asks for.
func (x *external) attach(ctx context.Context, conn net.Conn, r *http.Request) *ConnectionError {
	first, err := x.readOpening(ctx, conn)
	if err != nil {
		return badRequest("TRANSPORT_HANDSHAKE_ERROR", map[string]any{"error": err})
	}
	if first.hasSID {
		return x.attachUpgrade(conn, first)
	}
	srv := x.srv
	if srv.o.AllowRequest != nil {
		if err := srv.o.AllowRequest(r); err != nil {
			return refusal(CodeForbidden, map[string]any{"message": err.Error()})
		}
	}
	var st *wsTransport
	s, e := srv.newSession(r, &query{revision: 4, transport: x.name}, func(s *Session) {
		st = x.newTransport(s)
		s.ws = st
	})
	if e != nil {
		return e
	}
	s.mu.Lock()
	st.sendPacket(packetOpen, s.appendOpen(nil, []byte("[]")))
	if m := srv.o.InitialPacket; m != nil {
		st.addMessages([]Message{*m})
		st.writeWaiting()
	}
	s.mu.Unlock()
	if e := s.accept(r); e != nil {
		return e
	}
	st.start(conn, first.earlyPackets)
	return nil
}

func (x *external) attachUpgrade(conn net.Conn, first opening) *ConnectionError {
	s := x.srv.session(first.sid)
	if s == nil || s.revision != 4 {
		return refusal(CodeUnknownSID, map[string]any{"sid": first.sid})
	}
	st := x.newTransport(s)
	st.isProbe = true
	if !s.beginUpgrade(st) {
		x.srv.counters.upgrades[upgradeRefused].Add(1)
		return badRequest("TRANSPORT_HANDSHAKE_ERROR", map[string]any{"sid": first.sid})
	}
	st.start(conn, first.earlyPackets)
	return nil
}

func (x *external) newTransport(s *Session) *wsTransport {
	return &wsTransport{s: s, transportName: x.name, corked: true, frameReader: ws.NewReader(x.wsFormat, nil)}
}

// opening is the first packet of an external connection.
type opening struct {
	sid          string
	hasSID       bool
	earlyPackets []byte // what came behind it
}

// readOpening waits for the first packet.
func (x *external) readOpening(ctx context.Context, conn net.Conn) (opening, error) {
	var o opening
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetReadDeadline(deadline)
	}
	reader := ws.NewReader(x.wsFormat, nil)
	defer reader.Release()
	buf := make([]byte, bufferStart)
	for {
		n, err := conn.Read(buf)
		used, stop := reader.Feed(buf[:n], &o)
		switch {
		case errors.Is(stop, errOpened):
			o.earlyPackets = buf[used:n]
			return o, conn.SetReadDeadline(time.Time{})
		case stop != nil:
			return o, stop
		case err != nil:
			return o, err
		}
	}
}

// Message implements ws.Handler.
func (o *opening) Message(op ws.Opcode, payload []byte) error {
	if op != ws.Text || len(payload) == 0 || payload[0] != byte(packetOpen) {
		return errOpening
	}
	if len(payload) == 1 {
		return errOpened
	}
	var data struct {
		SID string `json:"sid"`
	}
	if err := json.Unmarshal(payload[1:], &data); err != nil {
		return errOpening
	}
	o.sid, o.hasSID = data.SID, true
	return errOpened
}

// Control implements ws.Handler.
func (o *opening) Control(ws.Opcode, []byte) error { return errOpening }
