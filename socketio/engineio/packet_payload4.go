package engineio

import (
	"bytes"
	"encoding/base64"
)

const separator = 0x1e // between the packets of a revision 4 payload (docs/protocol.md §1.4)

// appendPayload4 appends the packets of q as a revision 4 polling payload.
func appendPayload4(dst []byte, q *queue) []byte {
	for i := range q.queuedItems {
		if i > 0 {
			dst = append(dst, separator)
		}
		it := &q.queuedItems[i]
		if it.binary {
			dst = base64.StdEncoding.AppendEncode(append(dst, 'b'), q.bytes(i))
		} else {
			dst = append(append(dst, byte(it.packetType)), q.bytes(i)...)
		}
	}
	return dst
}

// nextPacket4 decodes the first packet of a revision 4 payload and returns what
// follows it. done is true with the last packet. Payloads are decoded packet by
// packet, so that those before a broken one are delivered (docs/protocol.md §1.4).
func nextPacket4(b []byte) (p packet, rest []byte, done bool, err error) {
	text := b
	i := bytes.IndexByte(b, separator)
	if i >= 0 {
		text, rest = b[:i], b[i+1:]
	}
	p, err = decodeText(text, 4)
	return p, rest, i < 0, err
}
