package jsontext

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendFloat appends f as JavaScript prints a number in JSON: integers without
// a fraction, exponents from 1e21 up and below 1e-6, null for NaN and the
// infinities. bits is 32 for a number that was a float32, so that it is printed
// as short as it was meant.
func AppendFloat(dst []byte, f float64, bits int) []byte {
	switch abs := math.Abs(f); {
	case math.IsNaN(f) || abs > math.MaxFloat64:
		return append(dst, "null"...)
	case f == 0:
		return append(dst, '0') // also for -0
	case abs < 1<<53 && f == math.Trunc(f):
		return strconv.AppendInt(dst, int64(f), 10)
	case abs >= 1e-6 && abs < 1e21:
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, bits)
	// Go pads the exponent to two digits: 1e-07 is 1e-7 in JavaScript.
	if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// AppendQuoted appends s as a JSON string as JSON.stringify writes it: nothing
// is escaped for HTML, U+2028 and U+2029 stay as they are. Invalid UTF-8 becomes
// U+FFFD.
func AppendQuoted[S ~string | ~[]byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	i := 0
	for i < len(s) {
		end := plainRun(s, i)
		dst = append(dst, s[i:end]...)
		if i = end; i == len(s) {
			break
		}
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, "\uFFFD"...)
			} else {
				dst = append(dst, s[i:i+n]...)
			}
			i += n
			continue
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
	}
	return append(dst, '"')
}

// plainRun returns the index of the first byte of s at or after i that is not
// ASCII or needs an escape.
func plainRun[S ~string | ~[]byte](s S, i int) int {
	for len(s)-i >= 8 {
		x := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		if special(x)|x&highs != 0 {
			break
		}
		i += 8
	}
	for i < len(s) && s[i] < utf8.RuneSelf && !isSpecial[s[i]] {
		i++
	}
	return i
}

// AppendTime appends t as JavaScript's Date writes itself into JSON: UTC with
// milliseconds, years beyond four digits with a sign and six.
func AppendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	dst = append(dst, '"')
	if y := t.Year(); y < 0 || y > 9999 {
		sign := byte('+')
		if y < 0 {
			sign, y = '-', -y
		}
		dst = append(dst, sign)
		for div := 100_000; div > y && div > 1; div /= 10 {
			dst = append(dst, '0')
		}
		dst = strconv.AppendInt(dst, int64(y), 10)
		dst = t.AppendFormat(dst, "-01-02T15:04:05.000Z")
	} else {
		dst = t.AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	}
	return append(dst, '"')
}

// Plain reports whether the checked JSON string s holds no escapes.
func Plain(s []byte) bool { return len(s) >= 2 && run(s, 1) == len(s)-1 }

// IsNumber reports whether s is a number of JSON.
func IsNumber[S ~string | ~[]byte](s S) bool {
	end, _ := number([]byte(s), 0)
	return len(s) > 0 && end == len(s)
}
