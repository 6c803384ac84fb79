package parser

import (
	"errors"
	"fmt"

	"posthouse/internal/jsontext"
	"posthouse/socketio/engineio"
)

// textDecoder joins the messages of the default codec. The packet, its id and
// its namespace are reused from call to call, so that a plain event costs no
// allocation: Packet, ID and Data are valid until the next Add, and Data only as
// long as the message's bytes if those end sooner (it aliases them when they
// need no rewriting). Attachments are copies that belong to the caller.
type textDecoder struct {
	opts   *Options
	packet Packet
	id     uint64
	names  names
	buf    []byte // Data, where it must outlive its message or be rewritten
	failed bool

	// While attachments are missing:
	missing int
	left    int64 // bytes that they may still have; used if the option is set
}

// keep is the largest rewriting buffer that stays with an idle connection.
const keep = 4 << 10

// Add takes the next message of the connection.
func (d *textDecoder) Add(m engineio.Message) (*Packet, error) {
	if d.failed {
		return nil, fmt.Errorf("%w: the decoder has failed before", ErrInvalid)
	}
	p, err := d.add(m)
	if err != nil {
		d.failed = true
		d.packet, d.buf, d.missing = Packet{}, nil, 0
		return nil, err
	}
	return p, nil
}

func (d *textDecoder) add(m engineio.Message) (*Packet, error) {
	if d.missing > 0 {
		return d.addAttachment(m)
	}
	if m.Binary {
		return nil, fmt.Errorf("%w: binary message without binary packet", ErrInvalid)
	}
	h, err := splitHeader(m.Data)
	if err != nil {
		return nil, err
	}
	if h.attachments > uint64(d.opts.MaxAttachments) {
		return nil, fmt.Errorf("%w: %w: %d attachments", ErrInvalid, ErrLimit, h.attachments)
	}
	p := &d.packet
	*p = Packet{Type: h.kind, Namespace: d.names.intern(h.namespace)}
	if h.hasID {
		d.id = h.id
		p.ID = &d.id
	}
	if cap(d.buf) > keep {
		d.buf = nil
	}
	switch {
	case len(h.payload) > 0:
		if p.Data, err = d.payload(&h); err != nil {
			return nil, err
		}
	case h.attachments > 0:
		return nil, fmt.Errorf("%w: %w", ErrInvalid, jsontext.ErrPlaceholder)
	}
	if h.attachments == 0 {
		return p, nil
	}
	p.Attachments = make([][]byte, 0, h.attachments)
	d.missing = int(h.attachments)
	d.left = d.opts.MaxAttachmentBytes
	return nil, nil
}

// payload checks the payload and brings it into canonical form.
func (d *textDecoder) payload(h *header) ([]byte, error) {
	spaced, err := jsontext.Check(h.payload, d.opts.MaxDepth)
	if errors.Is(err, jsontext.ErrDepth) {
		return nil, fmt.Errorf("%w: %w: %w", ErrInvalid, ErrLimit, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: payload: %w", ErrInvalid, err)
	}
	data := h.payload
	if spaced {
		d.buf = jsontext.AppendCompact(d.buf[:0], data)
		data = d.buf
	}
	if !validPayload(h.kind, data) {
		return nil, fmt.Errorf("%w: payload does not fit packet type %d", ErrInvalid, h.kind)
	}
	if h.attachments > 0 {
		// The text outlives its message: it waits for the attachments.
		if !spaced {
			d.buf = append(d.buf[:0], data...)
		}
		if d.buf, err = jsontext.NormalizePlaceholders(d.buf, int(h.attachments)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		data = d.buf
	}
	return data, nil
}

func (d *textDecoder) addAttachment(m engineio.Message) (*Packet, error) {
	if !m.Binary {
		return nil, fmt.Errorf("%w: text message while %d attachments are missing", ErrInvalid, d.missing)
	}
	if d.opts.MaxAttachmentBytes > 0 {
		if d.left -= int64(len(m.Data)); d.left < 0 {
			return nil, fmt.Errorf("%w: %w: attachments of more than %d bytes", ErrInvalid, ErrLimit, d.opts.MaxAttachmentBytes)
		}
	}
	p := &d.packet
	p.Attachments = append(p.Attachments, append(make([]byte, 0, len(m.Data)), m.Data...))
	if d.missing--; d.missing > 0 {
		return nil, nil
	}
	return p, nil
}

// validPayload reports whether compact, checked JSON may be the payload of a
// packet (docs/protocol.md §3.2).
func validPayload(t Type, data []byte) bool {
	switch t {
	case Connect:
		return data[0] == '{'
	case ConnectError:
		return data[0] == '{' || data[0] == '"'
	case Event:
		if data[0] != '[' {
			return false
		}
		switch c := data[1]; {
		case c == '"':
			return !reservedString(data[1:jsontext.SkipString(data, 1)])
		default:
			return c == '-' || c-'0' < 10
		}
	case Ack:
		return data[0] == '['
	default: // DISCONNECT has none
		return false
	}
}

// names keeps the last few namespaces of a connection, so that naming one again
// does not allocate.
type names struct {
	kept [4]string
	next uint8
}

func (n *names) intern(b []byte) string {
	if len(b) == 0 || len(b) == 1 {
		return "/"
	}
	for _, s := range n.kept {
		if s == string(b) {
			return s
		}
	}
	s := string(b)
	n.kept[n.next%uint8(len(n.kept))] = s
	n.next++
	return s
}
