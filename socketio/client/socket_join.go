package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"posthouse/socketio"
	engine "posthouse/socketio/engineio/client"
	"posthouse/socketio/parser"
)

// joinLocked sends CONNECT on a connection that is open.
func (s *Socket) joinLocked(l *link) {
	m := s.manager
	if m.opts.AuthFunc == nil {
		if err := s.sendConnectLocked(l.conn, m.opts.Auth); err != nil {
			s.refusedLocked(err)
		}
		return
	}
	if !s.authTriesNow {
		s.authTriesNow = true
		m.spawn((*authTask)(s))
	}
}

// authTask is a socket as a task: to ask Options.AuthFunc until it knows.
type authTask Socket

// Run implements workers.Task.
func (t *authTask) Run() {
	s := (*Socket)(t)
	m := s.manager
	defer m.running.Done()
	for try := 1; ; try++ {
		m.mu.Lock()
		if m.link == nil || m.link.conn == nil || !s.active {
			s.authTriesNow = false
			m.mu.Unlock()
			return
		}
		conn, ctx := m.link.conn, m.link.ctx
		m.mu.Unlock()
		auth, err := m.opts.AuthFunc(ctx)
		m.mu.Lock()
		if m.link != nil && m.link.conn != conn { // another connection by now
			m.mu.Unlock()
			continue
		}
		if err == nil {
			if m.link != nil && s.active {
				err = s.sendConnectLocked(conn, auth)
			}
			if err == nil {
				s.authTriesNow = false
				m.mu.Unlock()
				return
			}
		}
		s.connectErrorLocked(fmt.Errorf("socketio client: auth: %w", err))
		m.mu.Unlock()
		if !sleep(ctx, m.opts.delay(try)) {
			try = 0
		}
	}
}

// sendConnectLocked sends CONNECT with auth, and with what recovers the session. Servers
// of Socket.IO 2 connect "/" by themselves, and take a query in place of auth.
func (s *Socket) sendConnectLocked(conn *engine.Conn, auth any) error {
	s.joining = conn
	var data json.RawMessage
	if auth != nil {
		var err error
		var attachments [][]byte
		if data, attachments, err = parser.AppendValue(nil, nil, auth); err != nil {
			return err
		}
		if len(attachments) > 0 || len(data) == 0 || data[0] != '{' {
			return errors.New("socketio client: Options.Auth is no JSON object")
		}
	}
	if s.manager.opts.EIO == 3 {
		if s.namespace == "/" {
			switch l := s.manager.link; {
			case l.rootLeft:
				return errRootLeft
			case l.rootJoined:
				s.connectedLocked(conn.ID(), "")
			}
			return nil
		}
		query, err := authQuery(data)
		if err == nil {
			s.sendControlLocked(parser.Connect, query, nil)
		}
		return err
	}
	if s.pid != "" {
		data = withSession(data, s.pid, s.lastOffset)
	}
	s.sendControlLocked(parser.Connect, "", data)
	return nil
}

// withSession puts the session's secret and offset before the fields of auth.
func withSession(auth json.RawMessage, pid, offset string) json.RawMessage {
	session := map[string]string{"pid": pid}
	if offset != "" {
		session["offset"] = offset
	}
	data, _, err := parser.AppendValue(nil, nil, session)
	if err != nil {
		return auth
	}
	if rest := bytes.TrimPrefix(auth, []byte("{")); len(rest) > 1 {
		data = append(append(data[:len(data)-1], ','), rest...)
	}
	return data
}

// authQuery turns auth into the query of a namespace.
func authQuery(auth json.RawMessage) (string, error) {
	if len(auth) == 0 {
		return "", nil
	}
	var fields map[string]any
	if err := json.Unmarshal(auth, &fields); err != nil {
		return "", err
	}
	query := url.Values{}
	for name, value := range fields {
		query.Set(name, fmt.Sprint(value))
	}
	return "?" + query.Encode(), nil
}

// receiveLocked takes a packet for this socket. The channel, if any, is one to wait for
// before more is read.
func (s *Socket) receiveLocked(l *link, p *parser.Packet) (<-chan struct{}, error) {
	switch p.Type {
	case parser.Connect:
		return nil, s.answeredLocked(l, p)
	case parser.ConnectError:
		if s.connected {
			return nil, errUnexpected
		}
		s.refusedLocked(connectError(p.Data))
	case parser.Disconnect:
		if s.connected {
			s.active = false
			s.lostLocked(ReasonServerDisconnect, nil)
			s.manager.dropIdleLocked()
		}
	case parser.Event:
		return s.eventLocked(p)
	case parser.Ack:
		s.ackedLocked(p)
	}
	return nil, nil
}

// answeredLocked takes the answer to CONNECT.
func (s *Socket) answeredLocked(l *link, p *parser.Packet) error {
	if s.connected {
		return errUnexpected
	}
	if s.manager.opts.EIO == 3 {
		id := l.conn.ID()
		if s.namespace != "/" {
			id = s.namespace + "#" + id
		}
		s.connectedLocked(id, "")
		return nil
	}
	var answer struct {
		SID string `json:"sid"`
		PID string `json:"pid"`
	}
	if len(p.Data) > 0 {
		if err := json.Unmarshal(p.Data, &answer); err != nil {
			return err
		}
	}
	if answer.SID == "" {
		s.connectErrorLocked(ErrOldServer)
		return nil
	}
	if s.joining != l.conn {
		return errUnexpected // nothing was asked
	}
	s.connectedLocked(answer.SID, answer.PID)
	return nil
}

// refusedLocked ends the attempt for good: connecting again is up to the program.
func (s *Socket) refusedLocked(err error) {
	s.active, s.joining = false, nil
	s.connectErrorLocked(err)
	s.releaseWaitersLocked(err)
	s.manager.dropIdleLocked()
}

// connectError reads CONNECT_ERROR: an object, or in Socket.IO 2 any value.
func connectError(data json.RawMessage) *socketio.ConnectError {
	var answer struct {
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if json.Unmarshal(data, &answer) == nil && (answer.Message != "" || answer.Data != nil) {
		refusal := &socketio.ConnectError{Message: answer.Message}
		if answer.Data != nil {
			refusal.Data = answer.Data
		}
		return refusal
	}
	var message string
	if json.Unmarshal(data, &message) == nil {
		return &socketio.ConnectError{Message: message}
	}
	return &socketio.ConnectError{Message: "connection refused", Data: json.RawMessage(bytes.Clone(data))}
}

// eventLocked takes an event.
func (s *Socket) eventLocked(p *parser.Packet) (<-chan struct{}, error) {
	e := newEvent(s, p)
	if e == nil {
		return nil, nil
	}
	if !s.connected {
		if s.earlyBytes += e.size(); s.earlyBytes > s.manager.opts.MaxQueued {
			return nil, fmt.Errorf("%w: more events before CONNECT than Options.MaxQueued", errUnexpected)
		}
		s.early = append(s.early, e)
		return nil, nil
	}
	s.deliverLocked(e)
	return s.fullLocked(), nil
}

// deliverLocked queues an event for the handlers and keeps its offset.
func (s *Socket) deliverLocked(e *Event) {
	e.ctx = s.ctx
	if s.pid != "" {
		if offset, ok := lastString(e.args); ok {
			s.lastOffset = offset
		}
	}
	s.enqueueLocked(mailTask{event: e})
}

// lastString returns the last argument when it is a string.
func lastString(args socketio.Args) (text string, ok bool) {
	var last json.RawMessage
	for _, v := range args.All() {
		last = v.JSON
	}
	if len(last) == 0 || last[0] != '"' || json.Unmarshal(last, &text) != nil {
		return "", false
	}
	return text, true
}
