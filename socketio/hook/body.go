package hook

import (
	"crypto/rand"
	"encoding/json"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/internal/jsonbinary"
)

// body is what is posted (docs/realtime.md §4).
type body struct {
	Type      string            `json:"type"`
	ID        string            `json:"id"`
	Namespace string            `json:"namespace"`
	Socket    string            `json:"socket"`
	User      string            `json:"user,omitempty"`
	Claims    any               `json:"claims,omitempty"`
	Rooms     []string          `json:"rooms"`
	Data      json.RawMessage   `json:"data,omitempty"`
	Auth      json.RawMessage   `json:"auth,omitempty"`      // connect
	Headers   map[string]string `json:"headers,omitempty"`   // connect
	Recovered bool              `json:"recovered,omitempty"` // connect: the socket continues an earlier one
	Event     string            `json:"event,omitempty"`     // event
	Args      any               `json:"args,omitempty"`      // event: a list, also an empty one
	Ack       *bool             `json:"ack,omitempty"`       // event
	Reason    string            `json:"reason,omitempty"`    // disconnect
	Replica   string            `json:"replica,omitempty"`
	Address   string            `json:"address"`
	Time      string            `json:"time"`
}

// timeFormat is RFC 3339 in UTC, with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z"

func (c *Client) newBody(kind string, s *socketio.Socket) *body {
	o := &c.current.Load().opts
	b := &body{
		Type: kind, ID: "msg_" + rand.Text(), Namespace: s.Namespace().Name(), Socket: s.ID(), User: o.User(s),
		Rooms: []string{}, Replica: o.Replica, Address: s.Handshake().Address, Time: time.Now().UTC().Format(timeFormat),
	}
	if o.Claims != nil {
		b.Claims = o.Claims(s)
	}
	for _, room := range s.Rooms() {
		if room != s.ID() {
			b.Rooms = append(b.Rooms, room)
		}
	}
	b.Data, _ = Data.Of(s)
	return b
}

func (b *body) encode() ([]byte, error) { return json.Marshal(b) }

// authOf is the CONNECT payload less its secrets, the token and the private session id,
// and the offset that belongs to that; nil when nothing is left.
func authOf(s *socketio.Socket) json.RawMessage {
	fields := map[string]json.RawMessage{}
	if s.Auth(&fields) != nil {
		return nil // no object
	}
	for _, name := range []string{"token", "pid", "offset"} {
		delete(fields, name)
	}
	if len(fields) == 0 {
		return nil
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	return text
}

// argsOf are the arguments of an event, with binary values as the protocol has them.
func argsOf(args socketio.Args) (any, error) {
	list := make([]any, 0, 4)
	for _, v := range args.All() {
		if len(v.Attachments) == 0 && jsonbinary.Plain(v.JSON) {
			list = append(list, v.JSON)
			continue
		}
		var tree any
		if err := args.Slice(len(list)).Bind(&tree); err != nil {
			return nil, err
		}
		list = append(list, jsonbinary.Encode(tree))
	}
	return list, nil
}
