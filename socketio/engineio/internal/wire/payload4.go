package wire

import (
	"bytes"
	"encoding/base64"
)

// Separator stands between the packets of a revision 4 payload (docs/protocol.md §1.4).
const Separator = 0x1e

// AppendPacket4 appends a packet as it stands in a revision 4 payload.
func AppendPacket4(dst []byte, p Packet) []byte {
	if p.Binary {
		return base64.StdEncoding.AppendEncode(append(dst, 'b'), p.Data)
	}
	return append(append(dst, byte(p.Type)), p.Data...)
}

// NextPacket4 decodes the first packet of a revision 4 payload and returns what
// follows it. done is true with the last packet. Payloads are decoded packet by
// packet, so that those before a broken one are delivered (docs/protocol.md §1.4).
func NextPacket4(b []byte) (p Packet, rest []byte, done bool, err error) {
	text := b
	i := bytes.IndexByte(b, Separator)
	if i >= 0 {
		text, rest = b[:i], b[i+1:]
	}
	p, err = DecodeText(text, 4)
	return p, rest, i < 0, err
}
