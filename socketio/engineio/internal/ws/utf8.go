package ws

import "unicode/utf8"

// validPrefix checks text of which more may come. It returns how many bytes of
// p are whole runes; the rest (up to 3 bytes) can still become one. ok is false
// as soon as no continuation could make p valid.
func validPrefix(p []byte) (n int, ok bool) {
	n = len(p)
	for i := n - 1; i >= 0 && i >= len(p)-utf8.UTFMax+1; i-- {
		if utf8.RuneStart(p[i]) {
			// An invalid beginning counts as a full rune, and fails below.
			if !utf8.FullRune(p[i:]) {
				n = i
			}
			break
		}
	}
	return n, utf8.Valid(p[:n])
}
