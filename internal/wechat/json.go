package wechat

import (
	"bytes"
	"encoding/json"
)

// decodeJSON decodes an answer of WeChat's API: every answer comes through here.
// Names and remarks that people wrote stand in answers as they were typed, so a
// raw control character in one of them must not cost all the other fields.
func decodeJSON(raw []byte, into any) error { return json.Unmarshal(cleanJSON(raw), into) }

// cleanJSON makes JSON readable for encoding/json: raw control characters inside
// strings become escapes, a backslash that begins no escape stands for itself,
// control characters between tokens are dropped, and so is a byte order mark.
// Bytes that are no UTF-8 need nothing: encoding/json reads them as U+FFFD.
func cleanJSON(raw []byte) []byte {
	in := readable(raw)
	out := make([]byte, 0, len(in)+16)
	inString := false
	for i := 0; i < len(in); i++ {
		c := in[i]
		switch {
		case c == '"':
			inString = !inString
			out = append(out, c)
		case c == '\\' && inString:
			if n := escapeLength(in[i:]); n > 0 {
				out = append(out, in[i:i+n]...)
				i += n - 1
			} else {
				out = append(out, `\\`...)
			}
		case c < 0x20 && inString:
			const hex = "0123456789abcdef"
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < 0x20 && c != '\t' && c != '\n' && c != '\r':
		default:
			out = append(out, c)
		}
	}
	return out
}

// escapeLength is the length of the escape that in begins with, 0 for none.
func escapeLength(in []byte) int {
	if len(in) < 2 {
		return 0
	}
	if in[1] != 'u' {
		if bytes.IndexByte([]byte(`"\/bfnrt`), in[1]) < 0 {
			return 0
		}
		return 2
	}
	if len(in) < 6 {
		return 0
	}
	for _, c := range in[2:6] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return 0
		}
	}
	return 6
}
