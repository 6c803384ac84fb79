package parser

import (
	"encoding/json"

	"posthouse/socketio/engineio"
)

// Type is the type of a Socket.IO packet (protocol revision 5, docs/protocol.md §3.1).
type Type byte

// The packet types. BinaryEvent and BinaryAck exist only on the wire: decoders
// give Event and Ack with Attachments.
const (
	Connect Type = iota
	Disconnect
	Event
	Ack
	ConnectError
	BinaryEvent
	BinaryAck
)

// Packet is one Socket.IO packet in canonical form: Data is compact JSON text
// in which the i-th binary value is replaced by {"_placeholder":true,"num":i},
// and Attachments[i] is that value. Everything that moves packets (codecs, the
// Redis adapters) translates from and to this form without building Go values.
type Packet struct {
	Type        Type
	Namespace   string  // "/" or "/name", never empty
	ID          *uint64 // ack id
	Data        json.RawMessage
	Attachments [][]byte
}

// Codec turns packets into Engine.IO messages and back.
type Codec interface {
	// Encode appends the messages of p: the first, then one per attachment.
	Encode(dst []engineio.Message, p *Packet) ([]engineio.Message, error)
	// NewDecoder returns a decoder for one connection.
	NewDecoder() Decoder
}

// Decoder joins the messages of one connection into packets. Not safe for
// concurrent use.
type Decoder interface {
	// Add takes the next message. It returns nil, nil while attachments are
	// missing. The packet and its slices are valid until the next call of Add
	// unless the decoder says otherwise. Any error is final: the connection must
	// be closed.
	Add(m engineio.Message) (*Packet, error)
}
