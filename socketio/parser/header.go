package parser

import (
	"bytes"
	"fmt"
)

// header is the split text of a packet. Its slices alias the text.
type header struct {
	kind        Type   // EVENT and ACK also for binary packets
	attachments uint64 // > 0 only for binary packets
	namespace   []byte // empty means "/"
	id          uint64
	hasID       bool
	payload     []byte
}

// splitHeader splits <type>[<attachments>-][<namespace>,][<id>][<payload>]
// (docs/protocol.md §3.1). It is stricter than Node where Node's way to ask "is this a
// number" takes blanks, signs and exponents for digits.
func splitHeader(b []byte) (h header, err error) {
	if len(b) == 0 {
		return h, fmt.Errorf("%w: empty message", ErrInvalid)
	}
	h.kind = Type(b[0] - '0')
	b = b[1:]
	switch {
	case h.kind > BinaryAck:
		return h, fmt.Errorf("%w: unknown type", ErrInvalid)
	case h.kind >= BinaryEvent:
		h.kind -= BinaryEvent - Event
		n := leadingDigits(b)
		if n == 0 || n == len(b) || b[n] != '-' {
			return h, fmt.Errorf("%w: no number of attachments", ErrInvalid)
		}
		var ok bool
		if h.attachments, ok = parseUint(b[:n]); !ok || h.attachments == 0 {
			return h, fmt.Errorf("%w: bad number of attachments", ErrInvalid)
		}
		b = b[n+1:]
	}
	if len(b) > 0 && b[0] == '/' {
		// A name that ends later than allowed is not searched for its end.
		end := bytes.IndexByte(b[:min(len(b), MaxNamespace+1)], ',')
		switch {
		case end >= 0:
			h.namespace, b = b[:end], b[end+1:]
		case len(b) <= MaxNamespace:
			h.namespace, b = b, nil
		default:
			return h, fmt.Errorf("%w: %w: namespace of more than %d bytes", ErrInvalid, ErrLimit, MaxNamespace)
		}
	}
	if n := leadingDigits(b); n > 0 {
		if h.id, h.hasID = parseUint(b[:n]); !h.hasID {
			return h, fmt.Errorf("%w: %w: ack id", ErrInvalid, ErrLimit)
		}
		b = b[n:]
	}
	if len(b) > 0 && b[0] <= ' ' {
		return h, fmt.Errorf("%w: blank before the payload", ErrInvalid)
	}
	h.payload = b
	return h, nil
}

func leadingDigits(b []byte) int {
	for i, c := range b {
		if c-'0' >= 10 {
			return i
		}
	}
	return len(b)
}

// parseUint parses digits up to MaxID.
func parseUint(b []byte) (n uint64, ok bool) {
	for _, c := range b {
		if n = n*10 + uint64(c-'0'); n > MaxID {
			return 0, false
		}
	}
	return n, true
}
