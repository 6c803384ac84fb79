package adapter

import (
	"encoding/json"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/parser"
	"posthouse/socketio/parser/msgpack"
)

// optsOrder is the order of the keys of opts: adapters and emitters differ.
type optsOrder byte

const (
	adapterOrder optsOrder = iota // rooms, except, flags
	emitterOrder                  // rooms, flags, except
)

// appendPacket appends {type, data, id?, nsp?} as MessagePack.
func appendPacket(dst []byte, p *parser.Packet, withNamespace bool) ([]byte, error) {
	n := 2
	if p.ID != nil {
		n++
	}
	if withNamespace {
		n++
	}
	dst = msgpack.AppendMapHeader(dst, n)
	// Always EVENT: binary values stay where they are (docs/protocol.md §4.1).
	dst = msgpack.AppendUint(msgpack.AppendString(dst, "type"), uint64(parser.Event))
	dst, err := appendValue(msgpack.AppendString(dst, "data"), socketio.Value{JSON: p.Data, Attachments: p.Attachments})
	if err != nil {
		return nil, err
	}
	if p.ID != nil {
		dst = msgpack.AppendUint(msgpack.AppendString(dst, "id"), *p.ID)
	}
	if withNamespace {
		dst = msgpack.AppendString(msgpack.AppendString(dst, "nsp"), p.Namespace)
	}
	return dst, nil
}

// packet reads what appendPacket wrote. A missing namespace is "/".
func (u *unpacker) packet() *parser.Packet {
	p := &parser.Packet{Type: parser.Event, Namespace: "/"}
	typ := uint64(parser.Event)
	for range u.mapLen() {
		switch u.text() {
		case "type":
			typ = u.uint()
		case "data":
			v := u.value()
			p.Data, p.Attachments = v.JSON, v.Attachments
		case "id":
			if u.isNil() {
				break
			}
			id := u.uint()
			p.ID = &id
		case "nsp":
			p.Namespace = u.text()
		default:
			u.skip()
		}
		if u.firstError != nil {
			return nil
		}
	}
	checkPacket(p, typ, u.fail)
	return p
}

// checkPacket refuses what must not go to clients as an event.
func checkPacket(p *parser.Packet, typ uint64, fail func(error)) {
	if typ != uint64(parser.Event) && typ != uint64(parser.BinaryEvent) {
		fail(errMalformed)
	}
	// An array that begins with the event's name: a string, in Node also a number.
	if len(p.Data) < 3 || p.Data[0] != '[' || p.Data[1] != '"' && p.Data[1] != '-' && (p.Data[1] < '0' || p.Data[1] > '9') {
		fail(errMalformed)
	}
}

// appendOpts appends {rooms, except, flags} as MessagePack.
func appendOpts(dst []byte, o *socketio.BroadcastOptions, order optsOrder) []byte {
	keys := 3
	if o.Recorded != nil {
		keys++
	}
	dst = msgpack.AppendMapHeader(dst, keys)
	dst = appendStrings(msgpack.AppendString(dst, "rooms"), o.Rooms)
	if order == adapterOrder {
		dst = appendStrings(msgpack.AppendString(dst, "except"), o.Except)
		dst = appendFlags(msgpack.AppendString(dst, "flags"), o.Flags)
		if o.Recorded != nil {
			dst = msgpack.AppendString(msgpack.AppendString(dst, "history"), recordedText(o.Recorded))
		}
		return dst
	}
	dst = appendFlags(msgpack.AppendString(dst, "flags"), o.Flags)
	return appendStrings(msgpack.AppendString(dst, "except"), o.Except)
}

func appendStrings(dst []byte, s []string) []byte {
	dst = msgpack.AppendArrayHeader(dst, len(s))
	for _, v := range s {
		dst = msgpack.AppendString(dst, v)
	}
	return dst
}

// appendFlags appends the flags that are set, in the order in which Node's
// operators mostly set them.
func appendFlags(dst []byte, f socketio.BroadcastFlags) []byte {
	start := len(dst)
	dst = msgpack.AppendMapHeader(dst, 0)
	if f.Volatile {
		dst = msgpack.AppendBool(msgpack.AppendString(dst, "volatile"), true)
		dst[start]++ // one more pair; few enough for one byte
	}
	if f.NoCompress {
		dst = msgpack.AppendBool(msgpack.AppendString(dst, "compress"), false)
		dst[start]++
	}
	if f.ExpectSingleResponse {
		dst = msgpack.AppendBool(msgpack.AppendString(dst, "expectSingleResponse"), true)
		dst[start]++
	}
	if f.Timeout > 0 {
		dst = msgpack.AppendUint(msgpack.AppendString(dst, "timeout"), uint64(f.Timeout.Milliseconds()))
		dst[start]++
	}
	if f.Trace != "" { // Node ignores flags that it does not know
		dst = msgpack.AppendString(msgpack.AppendString(dst, "traceparent"), f.Trace)
		dst[start]++
	}
	return dst
}

func (u *unpacker) broadcastOptions() (o socketio.BroadcastOptions) {
	var ids string
	for range u.mapLen() {
		switch u.text() {
		case "rooms":
			o.Rooms = u.names()
		case "except":
			o.Except = u.names()
		case "flags":
			o.Flags = u.broadcastFlags()
		case "history":
			ids = u.text()
		default:
			u.skip()
		}
		if u.firstError != nil {
			return o
		}
	}
	o.Recorded = parseRecorded(ids, o.Rooms)
	return o
}

func (u *unpacker) broadcastFlags() (f socketio.BroadcastFlags) {
	for range u.mapLen() {
		switch u.text() {
		case "volatile":
			f.Volatile = u.truth()
		case "compress":
			f.NoCompress = !u.truth()
		case "expectSingleResponse":
			f.ExpectSingleResponse = u.truth()
		case "timeout":
			f.Timeout = fromMillis(u.number())
		case "traceparent":
			f.Trace = u.text()
		default:
			u.skip()
		}
		if u.firstError != nil {
			return f
		}
	}
	return f
}

// maxTimeout bounds how long another node can make us remember an ack.
const maxTimeout = time.Hour

func fromMillis(ms float64) time.Duration {
	if !(ms > 0) {
		return 0
	}
	if ms > float64(maxTimeout/time.Millisecond) {
		return maxTimeout
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// socketJSON is the form of a socket in answers to fetchSockets.
type socketJSON struct {
	ID        string          `json:"id"`
	Handshake json.RawMessage `json:"handshake"`
	Rooms     names           `json:"rooms"`
	Data      json.RawMessage `json:"data"`
}

func socketsToJSON(list []socketio.SocketDetails) (json.RawMessage, error) {
	out := make([]socketJSON, len(list))
	for i, s := range list {
		handshake, err := marshalJSON(s.Handshake)
		if err != nil {
			return nil, err
		}
		data := s.Data
		if len(data) == 0 {
			data = json.RawMessage("{}")
		}
		out[i] = socketJSON{ID: s.ID, Handshake: handshake, Rooms: notNil(s.Rooms), Data: data}
	}
	return marshalJSON(out)
}

func socketsFromJSON(b json.RawMessage) ([]socketio.SocketDetails, error) {
	var in []socketJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, err
	}
	list := make([]socketio.SocketDetails, len(in))
	for i, s := range in {
		list[i] = socketio.SocketDetails{ID: s.ID, Handshake: handshakeFromJSON(s.Handshake), Rooms: s.Rooms, Data: s.Data}
	}
	return list, nil
}

// handshakeFromJSON reads a handshake leniently: what a peer put into a header
// or a query (Node gives arrays for repeated keys) must not hide the socket.
func handshakeFromJSON(b json.RawMessage) *socketio.Handshake {
	var in struct {
		Headers flatStrings     `json:"headers"`
		Time    string          `json:"time"`
		Address string          `json:"address"`
		XDomain bool            `json:"xdomain"`
		Secure  bool            `json:"secure"`
		Issued  int64           `json:"issued"`
		URL     string          `json:"url"`
		Query   flatStrings     `json:"query"`
		Auth    json.RawMessage `json:"auth"`
	}
	_ = json.Unmarshal(b, &in) // a field of another type stays empty
	return &socketio.Handshake{
		Headers: in.Headers, Time: in.Time, Address: in.Address, XDomain: in.XDomain, Secure: in.Secure,
		Issued: in.Issued, URL: in.URL, Query: in.Query, Auth: in.Auth,
	}
}

// flatStrings is an object whose values are strings, or arrays whose last
// element counts.
type flatStrings map[string]string

func (f *flatStrings) UnmarshalJSON(b []byte) error {
	var raw map[string]any
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*f = make(flatStrings, len(raw))
	for k, v := range raw {
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[len(list)-1]
		}
		if s, ok := v.(string); ok {
			(*f)[k] = s
		}
	}
	return nil
}
