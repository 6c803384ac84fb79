package adapter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"posthouse/socketio"
	"posthouse/socketio/parser"
	"posthouse/socketio/parser/msgpack"
)

// The messages of the classic adapter (docs/protocol.md §4.1). Broadcasts, broadcasts
// with acks and acknowledgements are MessagePack; everything else is JSON.

// classicType is the type of a request or response.
type classicType int

const (
	classicSockets         classicType = iota // ids of the sockets; sent by 7.x and before
	classicAllRooms                           // names of all rooms
	classicJoin                               // sockets join rooms
	classicLeave                              // sockets leave rooms
	classicDisconnect                         // sockets are disconnected
	classicFetch                              // details of the sockets
	classicServerSideEmit                     // event for the servers, and its answer
	classicBroadcast                          // broadcast with acks
	classicClientCount                        // how many clients got it
	classicAck                                // what one client acknowledged
	classicTypeOutOfBounds                    // first number without meaning
)

// emitterUID is the name emitters give themselves: foreign to every node, and
// not a node.
const emitterUID = "emitter"

var errMalformed = errors.New("malformed message")

// classicHead is how each broadcast of a node begins.
func classicHead(uid string) []byte {
	return msgpack.AppendString(msgpack.AppendArrayHeader(nil, 3), uid)
}

// appendClassicBroadcast appends [uid, packet, opts]. order tells whose key order
// opts have.
func appendClassicBroadcast(dst []byte, uid string, p *parser.Packet, o *socketio.BroadcastOptions, order optsOrder) ([]byte, error) {
	dst = msgpack.AppendArrayHeader(dst, 3)
	dst = msgpack.AppendString(dst, uid)
	dst, err := appendPacket(dst, p, true)
	if err != nil {
		return nil, err
	}
	return appendOpts(dst, o, order), nil
}

// decodeClassicBroadcast is the reverse. The packet owns its memory.
func decodeClassicBroadcast(b []byte) (uid string, p *parser.Packet, o socketio.BroadcastOptions, err error) {
	r := newUnpacker(b)
	if r.arrayLen() < 3 {
		return "", nil, o, errMalformed
	}
	uid = r.text()
	p = r.packet()
	o = r.broadcastOptions()
	if r.firstError != nil {
		return "", nil, o, r.firstError
	}
	return uid, p, o, nil
}

// classicAckRequest is a broadcast with acks.
type classicAckRequest struct {
	uid, requestID string
	packet         *parser.Packet
	options        socketio.BroadcastOptions
}

func (m *classicAckRequest) appendTo(dst []byte) ([]byte, error) {
	dst = msgpack.AppendMapHeader(dst, 5)
	dst = msgpack.AppendString(msgpack.AppendString(dst, "uid"), m.uid)
	dst = msgpack.AppendString(msgpack.AppendString(dst, "requestId"), m.requestID)
	dst = msgpack.AppendUint(msgpack.AppendString(dst, "type"), uint64(classicBroadcast))
	dst = msgpack.AppendString(dst, "packet")
	dst, err := appendPacket(dst, m.packet, true)
	if err != nil {
		return nil, err
	}
	dst = msgpack.AppendString(dst, "opts")
	return appendOpts(dst, &m.options, adapterOrder), nil
}

// decodeClassicAckRequest returns nil and no error for a message of another type.
func decodeClassicAckRequest(b []byte) (*classicAckRequest, error) {
	var m classicAckRequest
	typ := uint64(classicTypeOutOfBounds)
	r := newUnpacker(b)
	for range r.mapLen() {
		switch r.text() {
		case "uid":
			m.uid = r.text()
		case "requestId":
			m.requestID = r.text()
		case "type":
			typ = r.uint()
		case "packet":
			m.packet = r.packet()
		case "opts":
			m.options = r.broadcastOptions()
		default:
			r.skip()
		}
		if r.firstError != nil {
			return nil, r.firstError
		}
	}
	switch {
	case r.firstError != nil:
		return nil, r.firstError
	case typ != uint64(classicBroadcast):
		return nil, nil
	case m.packet == nil || m.requestID == "":
		return nil, errMalformed
	}
	return &m, nil
}

func appendClassicAck(dst []byte, requestID string, v socketio.Value) ([]byte, error) {
	dst = msgpack.AppendMapHeader(dst, 3)
	dst = msgpack.AppendUint(msgpack.AppendString(dst, "type"), uint64(classicAck))
	dst = msgpack.AppendString(msgpack.AppendString(dst, "requestId"), requestID)
	return appendValue(msgpack.AppendString(dst, "packet"), v)
}

func decodeClassicAck(b []byte) (requestID string, v socketio.Value, err error) {
	typ := uint64(classicTypeOutOfBounds)
	r := newUnpacker(b)
	for range r.mapLen() {
		switch r.text() {
		case "type":
			typ = r.uint()
		case "requestId":
			requestID = r.text()
		case "packet":
			v = r.value()
		default:
			r.skip()
		}
		if r.firstError != nil {
			return "", v, r.firstError
		}
	}
	if r.firstError != nil || typ != uint64(classicAck) || requestID == "" {
		return "", v, errMalformed
	}
	if v.JSON == nil {
		v.JSON = json.RawMessage("null") // the client acknowledged without argument
	}
	return requestID, v, nil
}

// selection is opts as requests carry them: without flags.
type selection struct {
	Rooms  names `json:"rooms"`
	Except names `json:"except"`
}

func selectionOf(o *socketio.BroadcastOptions) *selection {
	return &selection{Rooms: notNil(o.Rooms), Except: notNil(o.Except)}
}

func (t *selection) broadcastOptions() socketio.BroadcastOptions {
	return socketio.BroadcastOptions{Rooms: t.Rooms, Except: t.Except}
}

// classicRequest has the fields of all JSON requests, in the order Node writes
// them.
type classicRequest struct {
	UID       string          `json:"uid,omitempty"`
	RequestID string          `json:"requestId,omitempty"`
	Type      classicType     `json:"type"`
	SID       string          `json:"sid,omitempty"`  // old forms of 2, 3 and 4
	Room      string          `json:"room,omitempty"` // old forms of 2 and 3
	Opts      *selection      `json:"opts,omitempty"`
	Rooms     *names          `json:"rooms,omitempty"`
	Close     *bool           `json:"close,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
}

// classicResponse has the fields of all JSON responses, in the order Node writes
// them. UID is ours: Go nodes sign what they answer to Go nodes, so that those
// know who has not answered yet.
type classicResponse struct {
	Type        *classicType    `json:"type,omitempty"`
	RequestID   string          `json:"requestId"`
	ClientCount *int            `json:"clientCount,omitempty"`
	Sockets     json.RawMessage `json:"sockets,omitempty"`
	Rooms       *names          `json:"rooms,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	UID         string          `json:"uid,omitempty"`
}

// decodeClassicJSON decodes a request or response.
func decodeClassicJSON[T classicRequest | classicResponse](b []byte) (*T, error) {
	m := new(T)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return m, nil
}

// marshalJSON is JSON as JSON.stringify writes it.
func marshalJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), nil
}

// names are names of rooms. Node lets a room be a number.
type names []string

func notNil(s []string) names {
	if s == nil {
		return names{}
	}
	return s
}

func (n *names) UnmarshalJSON(b []byte) error {
	var plain []string
	if err := json.Unmarshal(b, &plain); err == nil {
		*n = plain
		return nil
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	out := make(names, len(raw))
	for i, r := range raw {
		if json.Unmarshal(r, &out[i]) != nil {
			out[i] = string(r)
		}
	}
	*n = out
	return nil
}
