package wire

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

// AppendText3 appends a packet to a text payload. Binary messages become base64.
func AppendText3(dst []byte, p Packet) []byte {
	data := p.Data
	if p.Binary {
		dst = strconv.AppendInt(dst, int64(2+base64.StdEncoding.EncodedLen(len(data))), 10)
		return base64.StdEncoding.AppendEncode(append(dst, ':', 'b', byte(p.Type)), data)
	}
	dst = strconv.AppendInt(dst, int64(1+utf16Len(data)), 10)
	return append(append(dst, ':', byte(p.Type)), data...)
}

// AppendBinary3 appends a packet to a binary payload.
func AppendBinary3(dst []byte, p Packet) []byte {
	data := p.Data
	kind, typ := byte(0), byte(p.Type)
	if p.Binary {
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

// NextText3 decodes the first packet of a text payload, which must be valid
// UTF-8. Packets of length 0 are nothing, as in the reference.
func NextText3(b []byte) (p Packet, rest []byte, done bool, err error) {
	for {
		i := bytes.IndexByte(b[:min(len(b), 11)], ':')
		if i <= 0 {
			return p, nil, true, ErrParse
		}
		n, ok := parseLength(b[:i])
		if !ok {
			return p, nil, true, ErrParse
		}
		text, rest, ok := cutUTF16(b[i+1:], n)
		if !ok {
			return p, nil, true, ErrParse
		}
		if n > 0 {
			p, err = DecodeText(text, 3)
			return p, rest, len(rest) == 0, err
		}
		if len(rest) == 0 {
			return Packet{Type: Noop}, nil, true, nil
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

// NextBinary3 decodes the first packet of a binary payload.
func NextBinary3(b []byte) (p Packet, rest []byte, done bool, err error) {
	if len(b) == 0 {
		return p, nil, true, ErrParse
	}
	i := bytes.IndexByte(b[:min(len(b), 12)], lengthEnd)
	if i < 2 || b[0] > 1 {
		return p, nil, true, ErrParse
	}
	n := 0
	for _, c := range b[1:i] {
		if c > 9 {
			return p, nil, true, ErrParse
		}
		n = n*10 + int(c)
	}
	if n > len(b)-i-1 {
		return p, nil, true, ErrParse
	}
	content := b[i+1 : i+1+n]
	rest = b[i+1+n:]
	if b[0] == 1 {
		p, err = DecodeBinary3(content)
	} else if !utf8.Valid(content) {
		err = ErrNotUTF8
	} else {
		p, err = DecodeText(content, 3)
	}
	return p, rest, len(rest) == 0, err
}

// DecodeBinary3 decodes a packet whose first byte is its type as a number: in a
// binary payload, and in binary WebSocket frames.
func DecodeBinary3(b []byte) (Packet, error) {
	if len(b) == 0 || b[0] > 6 {
		return Packet{}, ErrParse
	}
	t := Type(b[0] + '0')
	return Packet{Type: t, Binary: t == Message, Data: b[1:]}, nil
}
