package parser

import (
	"errors"
	"fmt"
	"strconv"

	"posthouse/internal/jsontext"
	"posthouse/socketio/engineio"
)

var (
	// ErrInvalid is wrapped by every error of a decoder: the peer sent something
	// that is no packet, and its connection must be closed.
	ErrInvalid = errors.New("parser: invalid packet")
	// ErrLimit is wrapped as well when the packet is one, but larger than the
	// decoder's options allow.
	ErrLimit = errors.New("parser: limit exceeded")
)

const (
	// MaxNamespace is the length in bytes of the longest namespace that decoders accept.
	MaxNamespace = 255
	// MaxID is the highest ack id that decoders accept: the highest integer that
	// JavaScript keeps exact.
	MaxID = 1<<53 - 1
)

// Options are the limits of decoders. A zero field means the default; nil
// options mean all defaults.
type Options struct {
	MaxDepth       int // nested arrays and objects of a payload, default 32, at most 10 000
	MaxAttachments int // binary values of a packet, default 10
	// MaxAttachmentBytes bounds the sum of a packet's attachments. The default, 0,
	// leaves it to the engine's MaxPayload, which bounds each of them.
	MaxAttachmentBytes int64
}

func (o *Options) withDefaults() Options {
	var v Options
	if o != nil {
		v = *o
	}
	if v.MaxDepth <= 0 {
		v.MaxDepth = 32
	}
	v.MaxDepth = min(v.MaxDepth, jsontext.MaxDepth)
	if v.MaxAttachments <= 0 {
		v.MaxAttachments = 10
	}
	return v
}

// Default returns the codec of the protocol: a packet is a text message
// (docs/protocol.md §3.1) followed by one binary message per attachment. It is safe for
// concurrent use; its decoders are not.
func Default(o *Options) Codec { return &textCodec{o.withDefaults()} }

type textCodec struct{ opts Options }

// Encode appends the messages of p. The text is a fresh slice that the caller
// may hand over to a frame; the attachments are not copied.
func (c *textCodec) Encode(dst []engineio.Message, p *Packet) ([]engineio.Message, error) {
	text, err := AppendText(make([]byte, 0, textSize(p)), p)
	if err != nil {
		return dst, err
	}
	dst = append(dst, engineio.Message{Data: text})
	if p.Type == Event || p.Type == Ack {
		for _, a := range p.Attachments {
			dst = append(dst, engineio.Message{Data: a, Binary: true})
		}
	}
	return dst, nil
}

func (c *textCodec) NewDecoder() Decoder { return &textDecoder{opts: &c.opts} }

// textSize is an upper bound of the length of p's text: a type, two numbers of
// at most 20 digits, a dash and a comma.
func textSize(p *Packet) int {
	n := 2 + len(p.Namespace) + len(p.Data)
	if p.ID != nil {
		n += 20
	}
	if len(p.Attachments) > 0 {
		n += 21
	}
	return n
}

// AppendText is the function AppendText: callers that find this method know that
// a packet of this codec is that text, followed by its attachments as binary
// messages, and can build it in their own buffers.
func (c *textCodec) AppendText(dst []byte, p *Packet) ([]byte, error) { return AppendText(dst, p) }

// AppendText appends the text message of p, for callers that keep their own
// buffers. An EVENT or ACK with attachments gets the type and the count of a
// binary packet; attachments of other types are not sent.
func AppendText(dst []byte, p *Packet) ([]byte, error) {
	if p.Type > ConnectError {
		return dst, fmt.Errorf("parser: cannot encode packet type %d", p.Type)
	}
	t := p.Type
	binary := len(p.Attachments) > 0 && (t == Event || t == Ack)
	if binary {
		t += BinaryEvent - Event
	}
	dst = append(dst, '0'+byte(t))
	if binary {
		dst = strconv.AppendInt(dst, int64(len(p.Attachments)), 10)
		dst = append(dst, '-')
	}
	if p.Namespace != "/" && p.Namespace != "" {
		dst = append(dst, p.Namespace...)
		dst = append(dst, ',')
	}
	if p.ID != nil {
		dst = strconv.AppendUint(dst, *p.ID, 10)
	}
	return append(dst, p.Data...), nil
}
