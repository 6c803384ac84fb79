package wire

// The values of the base64 digits, of the standard and of the URL alphabet;
// noDigit for everything else.
const noDigit = 0xff

var base64Values = func() (t [256]byte) {
	for i := range t {
		t[i] = noDigit
	}
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range len(digits) {
		t[digits[i]] = byte(i)
	}
	t['-'], t['_'] = 62, 63
	return t
}()

// DecodeBase64 decodes b in place as Node does (docs/protocol.md §1.4): both alphabets,
// characters that are no digits are skipped, and padding ends the data.
func DecodeBase64(b []byte) []byte {
	n, i := 0, 0
	for ; i+4 <= len(b); i += 4 {
		p, q, r, s := base64Values[b[i]], base64Values[b[i+1]], base64Values[b[i+2]], base64Values[b[i+3]]
		if p|q|r|s == noDigit {
			break
		}
		v := uint32(p)<<18 | uint32(q)<<12 | uint32(r)<<6 | uint32(s)
		b[n], b[n+1], b[n+2] = byte(v>>16), byte(v>>8), byte(v)
		n += 3
	}
	var acc uint32
	var bits uint
	for _, c := range b[i:] {
		if c == '=' {
			break
		}
		v := base64Values[c]
		if v == noDigit {
			continue
		}
		acc = acc<<6 | uint32(v)
		if bits += 6; bits >= 8 {
			bits -= 8
			b[n] = byte(acc >> bits)
			n++
		}
	}
	return b[:n]
}
