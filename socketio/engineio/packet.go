package engineio

import "errors"

// packetType is the type of an Engine.IO packet as it is written in text (docs/protocol.md §1.4).
type packetType byte

const (
	packetOpen    packetType = '0'
	packetClose   packetType = '1'
	packetPing    packetType = '2'
	packetPong    packetType = '3'
	packetMessage packetType = '4'
	packetUpgrade packetType = '5'
	packetNoop    packetType = '6'
)

// packet is one decoded packet. Only messages are ever binary.
type packet struct {
	typ    packetType
	binary bool
	data   []byte
}

// The descriptions of sessions closed with ReasonParseError.
var (
	errParse   = errors.New("engineio: invalid packet")
	errNotUTF8 = errors.New("engineio: text is not UTF-8")
)

// decodeText decodes the text form of one packet: a type digit and data, or
// base64 of a binary message (docs/protocol.md §1.4; revision 3 writes "b4" before the
// base64, docs/protocol.md §2.1). The data shares memory with b, and base64 is decoded in place.
func decodeText(b []byte, revision uint8) (packet, error) {
	if len(b) == 0 {
		return packet{}, errParse
	}
	if b[0] == 'b' {
		return decodeBase64Packet(b[1:], revision)
	}
	t := packetType(b[0])
	if t < packetOpen || t > packetNoop {
		return packet{}, errParse
	}
	return packet{typ: t, data: b[1:]}, nil
}

func decodeBase64Packet(b []byte, revision uint8) (packet, error) {
	t := packetMessage
	if revision == 3 {
		if len(b) == 0 || b[0] < '0' || b[0] > '6' {
			return packet{}, errParse
		}
		t, b = packetType(b[0]), b[1:]
	}
	return packet{typ: t, binary: t == packetMessage, data: decodeBase64(b)}, nil
}
