package adapter

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// appendFrame is a frame with a header in one of its forms.
func appendFrame(b []byte, size int, masked bool) []byte {
	bit := byte(0)
	if masked {
		bit = 0x80
	}
	b = append(b, 0x82)
	switch {
	case size < 126:
		b = append(b, bit|byte(size))
	case size < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, bit|126), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, bit|127), uint64(size))
	}
	if masked {
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, bytes.Repeat([]byte{0x88}, size)...)
}

// Where frames end does not depend on how their bytes arrive.
func TestFrameScanner_FindsEndsWhateverTheSegments(t *testing.T) {
	t.Parallel()
	var all []byte
	ends := map[int]bool{0: true}
	for _, size := range []int{0, 1, 125, 126, 127, 0, 65535, 65536, 70000, 5} {
		for _, masked := range []bool{false, true} {
			all = appendFrame(all, size, masked)
			ends[len(all)] = true
		}
	}
	for range 200 {
		var f frameScanner
		for at := 0; at < len(all); {
			if f.betweenFrames() != ends[at] {
				t.Fatalf("between frames at %d: %v", at, f.betweenFrames())
			}
			n := 1 + rand.N(1+rand.N(8000))
			part := all[at:min(at+n, len(all))]
			if rand.N(2) == 0 {
				f.scan(part)
				at += len(part)
				continue
			}
			used := f.frameBytes(part)
			if used < len(part) && !ends[at+used] {
				t.Fatalf("a frame ended at %d", at+used)
			}
			at += used
		}
		if !f.betweenFrames() {
			t.Fatal("the last frame did not end")
		}
	}
}

// Any bytes have their ends where they have them when they come at once, in whatever segments
// they come, and no frame takes more than there is.
func FuzzFrameScanner(f *testing.F) {
	for _, size := range []int{0, 1, 125, 126, 65536} {
		f.Add(appendFrame(appendFrame(nil, size, true), 3, false), byte(7))
	}
	f.Add([]byte{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5}, byte(1))
	f.Fuzz(func(t *testing.T, all []byte, segment byte) {
		var whole frameScanner
		whole.scan(all)
		var parts frameScanner
		for rest := all; len(rest) > 0; {
			n := min(len(rest), 1+int(segment))
			used := parts.frameBytes(rest[:n])
			if used < 1 || used > n {
				t.Fatalf("%d of %d bytes belong to a frame", used, n)
			}
			rest = rest[used:]
		}
		if whole != parts {
			t.Fatalf("in one piece %+v, in pieces of %d %+v", whole, 1+int(segment), parts)
		}
	})
}
