package ws

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The close codes this package sends or names (RFC 6455 §7.4.1).
const (
	CloseNormal          = 1000
	CloseGoingAway       = 1001
	CloseProtocolError   = 1002
	CloseNoStatus        = 1005 // never on the wire: the close frame was empty
	CloseInvalidPayload  = 1007
	ClosePolicyViolation = 1008
	CloseTooBig          = 1009
	CloseInternalError   = 1011
	CloseServiceRestart  = 1012
)

// Error is a breach of the protocol by the peer. The connection is to be failed
// with a close frame of that code (RFC 6455 §7.1.7).
type Error struct {
	Code   int
	Reason string // short, constant, tells nothing about us
}

func (e *Error) Error() string { return fmt.Sprintf("ws: %s (close %d)", e.Reason, e.Code) }

// The breaches a Reader reports.
var (
	ErrReservedBits = &Error{CloseProtocolError, "reserved bits set"}
	ErrOpcode       = &Error{CloseProtocolError, "reserved opcode"}
	ErrUnmasked     = &Error{CloseProtocolError, "client frame without mask"}
	ErrMasked       = &Error{CloseProtocolError, "server frame with mask"}
	ErrLength       = &Error{CloseProtocolError, "invalid payload length"}
	ErrControl      = &Error{CloseProtocolError, "invalid control frame"}
	ErrContinuation = &Error{CloseProtocolError, "continuation without beginning"}
	ErrInterleaved  = &Error{CloseProtocolError, "new message inside a fragmented one"}
	ErrCloseStatus  = &Error{CloseProtocolError, "invalid close status"}
	ErrUTF8         = &Error{CloseInvalidPayload, "invalid UTF-8"}
	ErrDeflate      = &Error{CloseInvalidPayload, "invalid compressed data"}
	ErrTooBig       = &Error{CloseTooBig, "message too big"}
	ErrFragments    = &Error{ClosePolicyViolation, "too many fragments"}
	ErrSlowMessage  = &Error{ClosePolicyViolation, "message took too long"}
	ErrControlFlood = &Error{ClosePolicyViolation, "too many control frames"}
)

// ErrPeerClosed is returned by Reader.Feed once the peer's close frame was
// handed to the handler. Bytes after it are dropped (RFC 6455 §5.5.1).
var ErrPeerClosed = errors.New("ws: peer sent a close frame")

// AppendClose appends a close frame. Code 0 or CloseNoStatus means an empty one.
// The reason is cut to what fits, at a rune boundary.
func AppendClose(dst []byte, code int, reason string) []byte {
	if code == 0 || code == CloseNoStatus {
		return AppendHeader(dst, Close, 0)
	}
	if len(reason) > maxControl-2 {
		cut := maxControl - 2
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	dst = AppendHeader(dst, Close, 2+len(reason))
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), reason...)
}

// ParseClose splits the payload of a close frame that a Reader delivered. The
// code of an empty one is CloseNoStatus.
func ParseClose(payload []byte) (code int, reason []byte) {
	if len(payload) < 2 {
		return CloseNoStatus, nil
	}
	return int(binary.BigEndian.Uint16(payload)), payload[2:]
}

// checkClose validates the payload of a received close frame (RFC 6455 §5.5.1, §7.4).
func checkClose(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if len(p) == 1 {
		return ErrCloseStatus
	}
	code, reason := ParseClose(p)
	switch {
	case code >= 3000 && code <= 4999: // registered and private codes
	case code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006:
	default:
		return ErrCloseStatus
	}
	if !utf8.Valid(reason) {
		return ErrUTF8
	}
	return nil
}
