package adapter

import "encoding/binary"

// frameScanner finds where the frames of a WebSocket end (RFC 6455 §5.2), of which
// it knows the lengths only.
type frameScanner struct {
	head [14]byte
	have int    // bytes of head
	left uint64 // of the payload
}

// between reports whether no frame has begun that has not ended.
func (f *frameScanner) between() bool { return f.have == 0 && f.left == 0 }

// scan takes everything in b.
func (f *frameScanner) scan(b []byte) {
	for len(b) > 0 {
		b = b[f.next(b):]
	}
}

// next returns how many bytes of b belong to the current frame: the one that has
// begun, or the one that b begins.
func (f *frameScanner) next(b []byte) int {
	n := 0
	for f.left == 0 && n < len(b) {
		f.head[f.have] = b[n]
		f.have++
		n++
		if f.have < f.headSize() {
			continue
		}
		f.left = f.payload()
		f.have = 0
		if f.left == 0 {
			return n
		}
	}
	if rest := uint64(len(b) - n); rest < f.left {
		f.left -= rest
		return len(b)
	}
	n += int(f.left)
	f.left = 0
	return n
}

// headSize is as far as the bytes so far tell.
func (f *frameScanner) headSize() int {
	size := 2
	if f.have < size {
		return size
	}
	switch f.head[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.head[1]&0x80 != 0 {
		size += 4
	}
	return size
}

func (f *frameScanner) payload() uint64 {
	switch n := f.head[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.head[2:])
	default:
		return uint64(n)
	}
}
