// Package wire holds the packets and payloads of Engine.IO as both sides of a
// connection write and read them (docs/protocol.md §1.4, §2.1). It is pure: no I/O, no
// state, no goroutine.
package wire

import "errors"

// Type is the type of an Engine.IO packet as it is written in text (docs/protocol.md §1.4).
type Type byte

// The packet types.
const (
	Open    Type = '0'
	Close   Type = '1'
	Ping    Type = '2'
	Pong    Type = '3'
	Message Type = '4'
	Upgrade Type = '5'
	Noop    Type = '6'
)

// Packet is one decoded packet. Only messages are ever binary.
type Packet struct {
	Type   Type
	Binary bool
	Data   []byte
}

// The descriptions of sessions closed with a parse error say how a peer broke the format.
var (
	ErrParse   = errors.New("engineio: invalid packet")
	ErrNotUTF8 = errors.New("engineio: text is not UTF-8")
)

// DecodeText decodes the text form of one packet: a type digit and data, or
// base64 of a binary message (docs/protocol.md §1.4; revision 3 writes "b4" before the
// base64, docs/protocol.md §2.1). The data shares memory with b, and base64 is decoded in place.
func DecodeText(b []byte, revision uint8) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, ErrParse
	}
	if b[0] == 'b' {
		return decodeBase64Packet(b[1:], revision)
	}
	t := Type(b[0])
	if t < Open || t > Noop {
		return Packet{}, ErrParse
	}
	return Packet{Type: t, Data: b[1:]}, nil
}

func decodeBase64Packet(b []byte, revision uint8) (Packet, error) {
	t := Message
	if revision == 3 {
		if len(b) == 0 || b[0] < '0' || b[0] > '6' {
			return Packet{}, ErrParse
		}
		t, b = Type(b[0]), b[1:]
	}
	return Packet{Type: t, Binary: t == Message, Data: DecodeBase64(b)}, nil
}

// DecodeBinary decodes the payload of a binary WebSocket frame: a message, behind its
// type in revision 3.
func DecodeBinary(b []byte, revision uint8) (Packet, error) {
	if revision == 3 {
		return DecodeBinary3(b)
	}
	return Packet{Type: Message, Binary: true, Data: b}, nil
}
