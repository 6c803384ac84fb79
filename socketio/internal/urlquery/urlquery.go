// Package urlquery reads the query of a URL as the URL standard does
// (application/x-www-form-urlencoded parsing), which is how Node's Engine.IO
// server reads it. Nothing is ever an error and no pair is dropped: "%" before
// anything but two hexadecimal digits stands for itself, ";" is an ordinary
// character, and bytes that are not UTF-8 become U+FFFD.
package urlquery

import (
	"strings"
	"unicode/utf8"
)

// Next cuts the first pair off raw. Key and value are still escaped. ok is false
// when no pair is left.
func Next(raw string) (key, value, rest string, ok bool) {
	for raw != "" {
		var pair string
		if pair, raw, _ = strings.Cut(raw, "&"); pair != "" {
			key, value, _ = strings.Cut(pair, "=")
			return key, value, raw, true
		}
	}
	return "", "", "", false
}

// Unescape returns the text that an escaped key or value stands for.
func Unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return validUTF8(s)
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b = append(b, ' ')
		case c == '%' && i+2 < len(s) && hexDigit[s[i+1]] > 0 && hexDigit[s[i+2]] > 0:
			b = append(b, (hexDigit[s[i+1]]-1)<<4|(hexDigit[s[i+2]]-1))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return validUTF8(string(b))
}

// hexDigit holds the value of each hexadecimal digit plus one, and 0 for all
// other bytes.
var hexDigit = func() (t [256]byte) {
	for i := range byte(16) {
		t["0123456789abcdef"[i]], t["0123456789ABCDEF"[i]] = i+1, i+1
	}
	return t
}()

// validUTF8 replaces each maximal part of a broken sequence by U+FFFD, as the
// Encoding standard's decoder does. strings.ToValidUTF8 makes one of a whole run.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			n = brokenPart(s[i:])
		}
		b.WriteRune(r)
		i += n
	}
	return b.String()
}

// brokenPart returns the length of the longest beginning of s that is also the
// beginning of a valid sequence, at least 1. The sequence at s is broken.
func brokenPart(s string) int {
	low, high := byte(0x80), byte(0xbf) // of the second byte
	switch lead := s[0]; {
	case lead < 0xe0 || lead > 0xf4:
		return 1
	case lead == 0xe0:
		low = 0xa0
	case lead == 0xed:
		high = 0x9f
	case lead == 0xf0:
		low = 0x90
	case lead == 0xf4:
		high = 0x8f
	}
	if len(s) < 2 || s[1] < low || s[1] > high {
		return 1
	}
	if s[0] >= 0xf0 && len(s) > 2 && s[2]&0xc0 == 0x80 {
		return 3
	}
	return 2
}
