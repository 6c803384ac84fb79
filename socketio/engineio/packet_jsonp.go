package engineio

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"posthouse/socketio/internal/urlquery"
)

// JSONP (docs/protocol.md §1.10) wraps a payload into a call of a function that the page
// has, because the answer is loaded as a script. It gives any site that can guess
// a session id its messages, so it is off unless Options.JSONP is set.

// appendJSONP appends the script for a payload. index holds digits only.
func appendJSONP(dst []byte, index string, payload []byte) []byte {
	dst = append(append(append(dst, "___eio["...), index...), "]("...)
	return append(appendQuoted(dst, payload), ");"...)
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends s as JSON.stringify writes it, with the two line
// separators escaped that a script may not contain.
func appendQuoted[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune([]byte(s[i:min(i+utf8.UTFMax, len(s))]))
			switch r {
			case '\u2028', '\u2029':
				dst = append(append(dst, `\u202`...), hexDigits[r&0xf])
			default:
				dst = utf8.AppendRune(dst, r) // U+FFFD for what is no text
			}
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		default:
			dst = appendControl(dst, c)
		}
		i++
	}
	return append(dst, '"')
}

func appendControl(dst []byte, c byte) []byte {
	const short = "\b\t\n\f\r"
	if i := strings.IndexByte(short, c); i >= 0 {
		return append(dst, '\\', "btnfr"[i])
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}

// jsonpBody takes the payload out of a form: the parameter d, in which a newline
// came as \n and a backslash before n as \\n. ok is false when there is none.
func jsonpBody(body []byte) (payload []byte, ok bool) {
	for pair := range strings.SplitSeq(string(body), "&") {
		if key, value, _ := strings.Cut(pair, "="); key == "d" {
			text, err := url.QueryUnescape(value)
			if err != nil {
				text = urlquery.Unescape(value) // escapes that are none stay, as in Node
			}
			payload, ok = unescapeNewlines(text), true // bytes that are no UTF-8 are refused with the body
		}
	}
	return payload, ok
}

func unescapeNewlines(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], `\\n`):
			out = append(out, '\\', 'n')
			i += 2
		case strings.HasPrefix(s[i:], `\n`):
			out = append(out, '\n')
			i++
		default:
			out = append(out, s[i])
		}
	}
	return out
}
