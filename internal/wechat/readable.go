package wechat

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// readable drops what stands before the first character of a body: byte order
// marks, which some editors and proxies put there, white space and controls.
func readable(body []byte) []byte {
	return bytes.TrimLeftFunc(body, func(r rune) bool { return r <= ' ' || r == '\ufeff' })
}

// cleanXML makes the XML of a push readable for encoding/xml. Keyboards and pasted
// texts put bytes into messages that XML forbids, and WeChat passes them on; an
// error answer to such a push would count against the account
// (docs/wechat.md §2.5). Forbidden characters, bytes that are no UTF-8 and
// references to forbidden characters are dropped. The XML declaration is dropped
// as well, because pushes are UTF-8 whatever the declaration says. An ampersand
// that begins no reference, and "]]>" outside CDATA, stand for themselves.
//
// The only error is ErrDoctype. Everything else that is not well-formed is left
// for the parser to find.
func cleanXML(body []byte) ([]byte, error) {
	in := readable(allowedRunes(body))
	if bytes.HasPrefix(in, []byte("<?xml")) {
		if end := bytes.Index(in, []byte("?>")); end >= 0 {
			in = readable(in[end+2:])
		}
	}
	out := make([]byte, 0, len(in)+16)
	for len(in) > 0 {
		n := bytes.IndexAny(in, "<&>")
		if n < 0 {
			return append(out, in...), nil
		}
		out, in = append(out, in[:n]...), in[n:]
		switch {
		case bytes.HasPrefix(in, []byte("<!DOCTYPE")):
			return nil, ErrDoctype
		case bytes.HasPrefix(in, []byte("<![CDATA[")):
			n = through(in, "]]>")
		case bytes.HasPrefix(in, []byte("<!--")):
			n = through(in, "-->")
		case bytes.HasPrefix(in, []byte("<?")):
			n = through(in, "?>")
		case in[0] == '<':
			n = through(in, ">")
		case in[0] == '&':
			out, in = appendReference(out, in)
			continue
		case bytes.HasSuffix(out, []byte("]]")): // in[0] is '>'
			out, in = append(out, "&gt;"...), in[1:]
			continue
		default:
			n = 1
		}
		out, in = append(out, in[:n]...), in[n:]
	}
	return out, nil
}

// through is the length of in up to and with the first end, all of in without one.
func through(in []byte, end string) int {
	if n := bytes.Index(in, []byte(end)); n >= 0 {
		return n + len(end)
	}
	return len(in)
}

// appendReference appends the reference that in begins with, in a form that
// encoding/xml reads, and returns what follows it.
func appendReference(out, in []byte) (cleaned, rest []byte) {
	name, rest, ok := cutReference(in)
	if !ok {
		return append(out, "&amp;"...), in[1:]
	}
	switch name {
	case "lt", "gt", "amp", "apos", "quot":
		return append(out, in[:len(in)-len(rest)]...), rest
	}
	r, ok := numbered(name)
	if !ok {
		return append(out, "&amp;"...), in[1:]
	}
	if utf16.IsSurrogate(r) {
		// Some writers make one reference of each half of a pair.
		if low, after, ok := cutReference(rest); ok {
			if second, ok := numbered(low); ok && utf16.DecodeRune(r, second) != utf8.RuneError {
				r, rest = utf16.DecodeRune(r, second), after
			}
		}
	}
	if allowedRune(r) {
		out = append(out, "&#"...)
		out = strconv.AppendInt(out, int64(r), 10)
		out = append(out, ';')
	}
	return out, rest
}

// maxReference is far above the length of any reference to a character.
const maxReference = 16

// cutReference splits "&name;" off the beginning of in.
func cutReference(in []byte) (name string, rest []byte, ok bool) {
	if len(in) == 0 || in[0] != '&' {
		return "", in, false
	}
	end := bytes.IndexByte(in[:min(len(in), maxReference)], ';')
	if end < 0 {
		return "", in, false
	}
	return string(in[1:end]), in[end+1:], true
}

// numbered reads "#60" and "#x3c". A number that is no character is 0, which XML
// forbids.
func numbered(name string) (rune, bool) {
	if len(name) < 2 || name[0] != '#' {
		return 0, false
	}
	digits, base := name[1:], 10
	if digits[0] == 'x' || digits[0] == 'X' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, false
	}
	if n > utf8.MaxRune {
		return 0, true
	}
	return rune(n), true
}

// allowedRune is the production Char of XML 1.0, chapter 2.2.
func allowedRune(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n' || r == '\r'
	case r >= 0xD800 && r <= 0xDFFF, r == 0xFFFE, r == 0xFFFF:
		return false
	}
	return r <= utf8.MaxRune
}

// allowedRunes drops everything that is no character of XML in UTF-8. A body
// without any, as nearly all are, comes back as it is.
func allowedRunes(in []byte) []byte {
	var out []byte
	kept := 0 // in[:kept] stands in out, once something was dropped
	for i := 0; i < len(in); {
		if c := in[i]; c >= 0x20 && c < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(in[i:])
		if (r != utf8.RuneError || size > 1) && allowedRune(r) {
			i += size
			continue
		}
		if out == nil {
			out = make([]byte, 0, len(in))
		}
		out = append(out, in[kept:i]...)
		i += size
		kept = i
	}
	if out == nil {
		return in
	}
	return append(out, in[kept:]...)
}
