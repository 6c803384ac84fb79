package engineio

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// The payloads of revision 3 (docs/protocol.md §2.1) come in two forms: text, in which the
// length of a packet counts UTF-16 code units, and binary, in which it counts
// bytes and is written as bytes 0-9 that end in 255.

const lengthEnd = 0xff

// appendPayload3 appends the packets of q. isBinary says which form it took:
// binary only when a binary message is among them and the client can take it.
func appendPayload3(dst []byte, q *queue, b64 bool) (out []byte, isBinary bool) {
	if !b64 && q.hasBinary() {
		for i := range q.queuedItems {
			dst = appendBinary3(dst, &q.queuedItems[i], q.bytes(i))
		}
		return dst, true
	}
	for i := range q.queuedItems {
		dst = appendText3(dst, &q.queuedItems[i], q.bytes(i))
	}
	return dst, false
}

func appendText3(dst []byte, it *item, data []byte) []byte {
	if it.binary {
		dst = strconv.AppendInt(dst, int64(2+base64.StdEncoding.EncodedLen(len(data))), 10)
		return base64.StdEncoding.AppendEncode(append(dst, ':', 'b', byte(it.packetType)), data)
	}
	dst = strconv.AppendInt(dst, int64(1+utf16Len(data)), 10)
	return append(append(dst, ':', byte(it.packetType)), data...)
}

func appendBinary3(dst []byte, it *item, data []byte) []byte {
	kind, typ := byte(0), byte(it.packetType)
	if it.binary {
		kind, typ = 1, typ-'0'
	}
	dst = append(dst, kind)
	start := len(dst)
	dst = strconv.AppendInt(dst, int64(1+len(data)), 10)
	for i := start; i < len(dst); i++ {
		dst[i] -= '0'
	}
	return append(append(dst, lengthEnd, typ), data...)
}

// utf16Len returns how long JavaScript thinks UTF-8 text is.
func utf16Len(b []byte) int {
	n := 0
	for _, c := range b {
		switch {
		case c >= 0xf0:
			n += 2 // a surrogate pair
		case c < 0x80 || c >= 0xc0:
			n++
		}
	}
	return n
}

// cutUTF16 splits valid UTF-8 behind n code units; ok is false when b is shorter
// or the cut would fall between two surrogates.
func cutUTF16(b []byte, n int) (head, tail []byte, ok bool) {
	i := 0
	for n > 0 && i < len(b) {
		c := b[i]
		switch {
		case c < 0x80:
			i++
		case c >= 0xf0:
			i += 4
			n--
		case c >= 0xe0:
			i += 3
		default:
			i += 2
		}
		n--
	}
	if n != 0 || i > len(b) {
		return nil, nil, false
	}
	return b[:i], b[i:], true
}

// nextText3 decodes the first packet of a text payload, which must be valid
// UTF-8. Packets of length 0 are nothing, as in the reference.
func nextText3(b []byte) (p packet, rest []byte, done bool, err error) {
	for {
		i := bytes.IndexByte(b[:min(len(b), 11)], ':')
		if i <= 0 {
			return p, nil, true, errParse
		}
		n, ok := parseLength(b[:i])
		if !ok {
			return p, nil, true, errParse
		}
		text, rest, ok := cutUTF16(b[i+1:], n)
		if !ok {
			return p, nil, true, errParse
		}
		if n > 0 {
			p, err = decodeText(text, 3)
			return p, rest, len(rest) == 0, err
		}
		if len(rest) == 0 {
			return packet{typ: packetNoop}, nil, true, nil
		}
		b = rest
	}
}

func parseLength(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// nextBinary3 decodes the first packet of a binary payload.
func nextBinary3(b []byte) (p packet, rest []byte, done bool, err error) {
	if len(b) == 0 {
		return p, nil, true, errParse
	}
	i := bytes.IndexByte(b[:min(len(b), 12)], lengthEnd)
	if i < 2 || b[0] > 1 {
		return p, nil, true, errParse
	}
	n := 0
	for _, c := range b[1:i] {
		if c > 9 {
			return p, nil, true, errParse
		}
		n = n*10 + int(c)
	}
	if n > len(b)-i-1 {
		return p, nil, true, errParse
	}
	content := b[i+1 : i+1+n]
	rest = b[i+1+n:]
	if b[0] == 1 {
		p, err = decodeBinary3(content)
	} else if !utf8.Valid(content) {
		err = errNotUTF8
	} else {
		p, err = decodeText(content, 3)
	}
	return p, rest, len(rest) == 0, err
}

// decodeBinary3 decodes a packet whose first byte is its type as a number: in a
// binary payload, and in binary WebSocket frames.
func decodeBinary3(b []byte) (packet, error) {
	if len(b) == 0 || b[0] > 6 {
		return packet{}, errParse
	}
	t := packetType(b[0] + '0')
	return packet{typ: t, binary: t == packetMessage, data: b[1:]}, nil
}
