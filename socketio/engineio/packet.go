package engineio

import "posthouse/socketio/engineio/internal/wire"

// The packets of package wire, under the names of this package.
type (
	packetType = wire.Type
	packet     = wire.Packet
)

const (
	packetOpen    = wire.Open
	packetClose   = wire.Close
	packetPing    = wire.Ping
	packetPong    = wire.Pong
	packetMessage = wire.Message
	packetUpgrade = wire.Upgrade
	packetNoop    = wire.Noop
)

// packet returns item i for the functions of package wire.
func (q *queue) packet(i int) packet {
	it := &q.queuedItems[i]
	return packet{Type: it.packetType, Binary: it.binary, Data: q.bytes(i)}
}

// appendPayload4 appends the packets of q as a revision 4 polling payload.
func appendPayload4(dst []byte, q *queue) []byte {
	for i := range q.queuedItems {
		if i > 0 {
			dst = append(dst, wire.Separator)
		}
		dst = wire.AppendPacket4(dst, q.packet(i))
	}
	return dst
}

// appendPayload3 appends the packets of q as a revision 3 payload. isBinary says which
// form it took: binary only when a binary message is among them and the client can take it.
func appendPayload3(dst []byte, q *queue, b64 bool) (out []byte, isBinary bool) {
	if !b64 && q.hasBinary() {
		for i := range q.queuedItems {
			dst = wire.AppendBinary3(dst, q.packet(i))
		}
		return dst, true
	}
	for i := range q.queuedItems {
		dst = wire.AppendText3(dst, q.packet(i))
	}
	return dst, false
}
