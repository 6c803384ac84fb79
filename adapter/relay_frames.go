package adapter

import "encoding/binary"

// frameScanner finds where the frames of a WebSocket end (RFC 6455 §5.2), of which
// it knows the lengths only.
type frameScanner struct {
	header      [14]byte
	headerBytes int    // bytes of head
	payloadLeft uint64 // of the payload
}

// betweenFrames reports whether no frame has begun that has not ended.
func (f *frameScanner) betweenFrames() bool { return f.headerBytes == 0 && f.payloadLeft == 0 }

// scan takes everything in b.
func (f *frameScanner) scan(b []byte) {
	for len(b) > 0 {
		b = b[f.frameBytes(b):]
	}
}

// frameBytes returns how many bytes of b belong to the current frame: the one that has
// begun, or the one that b begins.
func (f *frameScanner) frameBytes(b []byte) int {
	n := 0
	for f.payloadLeft == 0 && n < len(b) {
		f.header[f.headerBytes] = b[n]
		f.headerBytes++
		n++
		if f.headerBytes < f.headSize() {
			continue
		}
		f.payloadLeft = f.payloadLength()
		f.headerBytes = 0
		if f.payloadLeft == 0 {
			return n
		}
	}
	if rest := uint64(len(b) - n); rest < f.payloadLeft {
		f.payloadLeft -= rest
		return len(b)
	}
	n += int(f.payloadLeft)
	f.payloadLeft = 0
	return n
}

// headSize is as far as the bytes so far tell.
func (f *frameScanner) headSize() int {
	size := 2
	if f.headerBytes < size {
		return size
	}
	switch f.header[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.header[1]&0x80 != 0 {
		size += 4
	}
	return size
}

func (f *frameScanner) payloadLength() uint64 {
	switch n := f.header[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.header[2:])
	default:
		return uint64(n)
	}
}
