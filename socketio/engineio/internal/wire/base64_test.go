package wire

import (
	"bytes"
	"testing"
)

func FuzzBase64(f *testing.F) {
	for _, s := range []string{"AQID", "AQ==", "A Q-_", "AQID=AQID", "====", "A"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var digits []byte
		for _, c := range b {
			if c == '=' {
				break
			}
			if base64Values[c] != noDigit {
				digits = append(digits, base64Values[c])
			}
		}
		var want []byte
		for i := 0; i+1 < len(digits); i++ {
			if i%4 != 3 {
				shift := uint(i % 4 * 2)
				want = append(want, digits[i]<<(2+shift)|digits[i+1]>>(4-shift))
			}
		}
		if got := DecodeBase64(bytes.Clone(b)); !bytes.Equal(got, want) {
			t.Fatalf("%q: %x, want %x", b, got, want)
		}
	})
}

func BenchmarkDecodeBase64(b *testing.B) {
	src := bytes.Repeat([]byte("AQID"), 1024)
	buf := make([]byte, len(src))
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		copy(buf, src)
		DecodeBase64(buf)
	}
}
