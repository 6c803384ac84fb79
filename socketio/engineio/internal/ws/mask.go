package ws

import (
	"encoding/binary"
	"math/bits"
)

// unmask applies the masking key (little-endian, so that the first wire byte is
// the low one) to p in place and returns the key rotated for the byte after p
// (RFC 6455 §5.3).
func unmask(p []byte, key uint32) uint32 {
	k := uint64(key)<<32 | uint64(key)
	for len(p) >= 32 {
		q := p[:32]
		binary.LittleEndian.PutUint64(q[0:8], binary.LittleEndian.Uint64(q[0:8])^k)
		binary.LittleEndian.PutUint64(q[8:16], binary.LittleEndian.Uint64(q[8:16])^k)
		binary.LittleEndian.PutUint64(q[16:24], binary.LittleEndian.Uint64(q[16:24])^k)
		binary.LittleEndian.PutUint64(q[24:32], binary.LittleEndian.Uint64(q[24:32])^k)
		p = p[32:]
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^k)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(key)
		key = bits.RotateLeft32(key, -8)
	}
	return key
}
