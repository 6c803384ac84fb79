package msgpack

import (
	"encoding/binary"
	"math"
	"time"
)

// AppendNil appends nil.
func AppendNil(dst []byte) []byte { return append(dst, 0xc0) }

// AppendBool appends a boolean.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 0xc3)
	}
	return append(dst, 0xc2)
}

// AppendInt appends an integer in its shortest form, unsigned forms for v ≥ 0.
func AppendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0:
		return AppendUint(dst, uint64(v))
	case v >= -0x20:
		return append(dst, byte(v))
	case v >= math.MinInt8:
		return append(dst, 0xd0, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(v))
	}
}

// AppendUint appends an integer in its shortest form.
func AppendUint(dst []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xcf), v)
	}
}

// AppendNumber appends a number of JavaScript: an integer in the shortest
// integer form, everything else as a 64-bit float. Integers that no 64-bit form
// holds are floats as well; notepack.io truncates those to other numbers.
func AppendNumber(dst []byte, f float64) []byte {
	switch {
	case f != math.Trunc(f) || math.IsInf(f, 0): // NaN is unequal to itself
	case f >= 0 && f < 1<<64:
		return AppendUint(dst, uint64(f))
	case f < 0 && f >= -1<<63:
		return AppendInt(dst, int64(f))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(f))
}

// AppendString appends a string. It must be UTF-8.
func AppendString(dst []byte, s string) []byte {
	return append(appendStringHeader(dst, len(s)), s...)
}

func appendStringHeader(dst []byte, n int) []byte {
	switch {
	case n < 0x20:
		return append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xd9, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
	}
}

// AppendBinary appends a byte string (a Buffer of Node).
func AppendBinary(dst, b []byte) []byte {
	switch n := len(b); {
	case n <= math.MaxUint8:
		dst = append(dst, 0xc4, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xc5), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc6), uint32(n))
	}
	return append(dst, b...)
}

// AppendArrayHeader begins an array of n values, which the caller appends.
func AppendArrayHeader(dst []byte, n int) []byte {
	return appendHeader(dst, n, 0x90, 0xdc)
}

// AppendMapHeader begins a map of n keys and values, which the caller appends,
// each key followed by its value.
func AppendMapHeader(dst []byte, n int) []byte {
	return appendHeader(dst, n, 0x80, 0xde)
}

func appendHeader(dst []byte, n int, fix, wide byte) []byte {
	switch {
	case n < 0x10:
		return append(dst, fix|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, wide), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, wide+1), uint32(n))
	}
}

// AppendTime appends a point in time as the timestamp extension (type -1) with
// the milliseconds of a Date, in the shortest of its three forms.
func AppendTime(dst []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	s := ms / 1000
	if ms%1000 < 0 {
		s--
	}
	ns := uint32(ms-s*1000) * 1_000_000
	switch {
	case ns == 0 && s >= 0 && s <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd6, 0xff), uint32(s))
	case s >= 0 && s < 1<<34:
		return binary.BigEndian.AppendUint64(append(dst, 0xd7, 0xff), uint64(ns)<<34|uint64(s))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc7, 12, 0xff), ns)
		return binary.BigEndian.AppendUint64(dst, uint64(s))
	}
}
