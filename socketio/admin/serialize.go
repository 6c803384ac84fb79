package admin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"posthouse/socketio"
)

// detailName is the field of socket.data in which nodes, Node's included, tell each other
// what belongs to the connection of a socket.
const detailName = "_admin"

type detail struct {
	ClientID  string `json:"clientId"`
	Transport string `json:"transport"`
	Looks     *bool  `json:"looks,omitempty"` // of administrators: they see everything
}

// detailOf is what other nodes are told of a socket.
func (a *Admin) detailOf(s *socketio.Socket) any {
	d := detail{ClientID: clientID(s.Conn().ID()), Transport: s.Conn().Transport()}
	if s.Namespace() == a.namespace {
		a.mu.Lock()
		looks := a.lookers[s]
		a.mu.Unlock()
		d.Looks = &looks
	}
	return d
}

// clientID names the connection of a session. Unlike Node's it shows no part of the
// session id, which is a secret.
func clientID(sid string) string {
	sum := sha256.Sum256([]byte(sid))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// adminSocket is a socket as the page wants it.
type adminSocket struct {
	ID        string          `json:"id"`
	ClientID  string          `json:"clientId"`
	Transport string          `json:"transport"`
	Namespace string          `json:"nsp"`
	Data      json.RawMessage `json:"data"`
	Handshake adminHandshake  `json:"handshake"`
	Rooms     []string        `json:"rooms"`
}

// adminHandshake is a handshake without auth.
type adminHandshake struct {
	Address string            `json:"address"`
	Headers map[string]string `json:"headers"`
	Query   map[string]string `json:"query"`
	Issued  int64             `json:"issued"`
	Secure  bool              `json:"secure"`
	Time    string            `json:"time"`
	URL     string            `json:"url"`
	XDomain bool              `json:"xdomain"`
}

// serialize makes the page's form of a socket of any node.
func (a *Admin) serialize(namespace string, d socketio.SocketDetails) adminSocket {
	s := adminSocket{ID: d.ID, Namespace: namespace, Rooms: d.Rooms, Handshake: publicHandshake(d.Handshake)}
	if s.Rooms == nil {
		s.Rooms = []string{}
	}
	var connection detail
	s.Data, connection = splitDetail(d.Data)
	s.ClientID, s.Transport = connection.ClientID, connection.Transport
	if s.ClientID == "" { // of a node that is not instrumented; the page needs one
		s.ClientID = clientID(namespace + d.ID)
	}
	if a.isPrivate(namespace) {
		s.Data = emptyObject
	}
	return s
}

var emptyObject = json.RawMessage("{}")

// splitDetail parts data from the field of the nodes.
func splitDetail(data json.RawMessage) (json.RawMessage, detail) {
	var fields map[string]json.RawMessage
	var d detail
	if json.Unmarshal(data, &fields) != nil || fields == nil {
		return emptyObject, d
	}
	_ = json.Unmarshal(fields[detailName], &d) // a field of another program: as without one
	delete(fields, detailName)
	rest, err := json.Marshal(fields)
	if err != nil {
		return emptyObject, d
	}
	return rest, d
}

const redacted = "…"

// secretHeaders are shown without their values.
var secretHeaders = []string{"cookie", "authorization", "proxy-authorization", "sec-websocket-key"}

// secretWords are in the names of query parameters that are shown without their values.
var secretWords = []string{"token", "secret", "passw", "pwd", "ticket", "code", "key", "auth", "jwt", "session", "signature"}

func publicHandshake(h *socketio.Handshake) adminHandshake {
	if h == nil {
		h = &socketio.Handshake{}
	}
	p := adminHandshake{
		Address: h.Address, Headers: map[string]string{}, Query: map[string]string{}, Issued: h.Issued,
		Secure: h.Secure, Time: h.Time, URL: h.URL, XDomain: h.XDomain,
	}
	for name, value := range h.Headers {
		p.Headers[name] = value
	}
	for _, name := range secretHeaders {
		if _, found := p.Headers[name]; found {
			p.Headers[name] = redacted
		}
	}
	for name, value := range h.Query {
		if isSecret(name) {
			value = redacted
			path, _, _ := strings.Cut(p.URL, "?") // the URL repeats the query
			p.URL = path + "?" + redacted
		}
		p.Query[name] = value
	}
	return p
}

func isSecret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
