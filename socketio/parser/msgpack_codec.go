package parser

import (
	"errors"
	"fmt"

	"posthouse/internal/jsontext"
	"posthouse/socketio/engineio"
	"posthouse/socketio/parser/msgpack"
)

// MessagePack returns the codec that clients with npm's socket.io-msgpack-parser
// speak: a packet is one binary message, a MessagePack map, with binary values
// inline. Both sides must use it. There MaxAttachments defaults to 1000: the
// reference has no limit. It is safe for concurrent use; its decoders are not.
func MessagePack(o *Options) Codec {
	opts := o.withDefaults()
	if o == nil || o.MaxAttachments <= 0 {
		opts.MaxAttachments = 1000
	}
	return &packCodec{opts}
}

type packCodec struct{ opts Options }

// Encode appends the one message of p, a fresh slice.
func (c *packCodec) Encode(dst []engineio.Message, p *Packet) ([]engineio.Message, error) {
	n := 32 + len(p.Namespace) + len(p.Data)
	for _, a := range p.Attachments {
		n += len(a)
	}
	b, err := AppendMessagePack(make([]byte, 0, n), p)
	if err != nil {
		return dst, err
	}
	return append(dst, engineio.Message{Data: b, Binary: true}), nil
}

func (c *packCodec) NewDecoder() Decoder { return &packDecoder{opts: &c.opts} }

// AppendMessagePack appends p as a map in the order of keys of the Node server:
// type, data, id, nsp; what p has not is left out.
func AppendMessagePack(dst []byte, p *Packet) ([]byte, error) {
	if p.Type > ConnectError {
		return dst, fmt.Errorf("parser: cannot encode packet type %d", p.Type)
	}
	n := 2
	if len(p.Data) > 0 {
		n++
	}
	if p.ID != nil {
		n++
	}
	b := msgpack.AppendMapHeader(dst, n)
	b = msgpack.AppendInt(msgpack.AppendString(b, "type"), int64(p.Type))
	if len(p.Data) > 0 {
		var err error
		if b, err = msgpack.AppendValue(msgpack.AppendString(b, "data"), p.Data, p.Attachments); err != nil {
			return dst, fmt.Errorf("parser: packet data: %w", err)
		}
	}
	if p.ID != nil {
		b = msgpack.AppendUint(msgpack.AppendString(b, "id"), *p.ID)
	}
	nsp := p.Namespace
	if nsp == "" {
		nsp = "/"
	}
	return msgpack.AppendString(msgpack.AppendString(b, "nsp"), nsp), nil
}

// packDecoder decodes one message per packet. The lifetimes are those of
// textDecoder; Data is always in the decoder's own buffer.
type packDecoder struct {
	opts   *Options
	packet Packet
	id     uint64
	names  names
	buf    []byte
	reader msgpack.Reader
	failed bool
}

// Add takes the next message of the connection.
func (d *packDecoder) Add(m engineio.Message) (*Packet, error) {
	if d.failed {
		return nil, fmt.Errorf("%w: the decoder has failed before", ErrInvalid)
	}
	err := d.decode(m)
	d.reader.Reset(nil)
	if err != nil {
		d.failed = true
		d.packet, d.buf = Packet{}, nil
		if errors.Is(err, msgpack.ErrLimit) {
			err = fmt.Errorf("%w: %w", ErrLimit, err)
		}
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return &d.packet, nil
}

var errPacket = errors.New("not a packet")

func (d *packDecoder) decode(m engineio.Message) error {
	if !m.Binary {
		return errors.New("text message")
	}
	if cap(d.buf) > keep {
		d.buf = nil
	}
	p, r := &d.packet, &d.reader
	*p = Packet{}
	r.Reset(m.Data)
	r.MaxDepth = d.opts.MaxDepth
	r.MaxAttachments = d.opts.MaxAttachments
	n, err := r.MapHeader()
	if err != nil {
		return err
	}
	kind := int64(-1)
	for range n {
		key, err := r.Text()
		if err != nil {
			return err
		}
		switch string(key) { // of a key that comes twice, the last counts
		case "type":
			kind, err = r.Int()
		case "nsp":
			err = d.namespace()
		case "id":
			err = d.ackID()
		case "data":
			p.Data, p.Attachments = nil, nil
			if undefined(r) {
				break
			}
			d.buf, p.Attachments, err = r.AppendJSON(d.buf[:0], nil)
			p.Data = d.buf
		default: // "options", which clients send along
			_, err = r.Skip()
		}
		if err != nil {
			return err
		}
	}
	if err := r.Done(); err != nil {
		return err
	}
	if kind < int64(Connect) || kind > int64(ConnectError) {
		return fmt.Errorf("%w: type %d", errPacket, kind)
	}
	p.Type = Type(kind)
	if p.Namespace == "" {
		return fmt.Errorf("%w: no namespace", errPacket)
	}
	if !validPackData(p) {
		return fmt.Errorf("%w: data does not fit type %d", errPacket, kind)
	}
	return d.ownAttachments()
}

// undefined reads JavaScript's undefined if that comes next: the encoder inside
// socket.io-msgpack-parser is notepack.io 2, which sends it as an extension.
func undefined(r *msgpack.Reader) bool {
	ahead := *r
	if ahead.Kind() != msgpack.Extension {
		return false
	}
	kind, data, err := ahead.Extension()
	if err != nil || kind != 0 || len(data) != 1 {
		return false
	}
	*r = ahead
	return true
}

func (d *packDecoder) namespace() error {
	s, err := d.reader.Text()
	if err != nil {
		return err
	}
	if len(s) > MaxNamespace {
		return fmt.Errorf("%w: namespace of more than %d bytes", ErrLimit, MaxNamespace)
	}
	if len(s) == 0 || s[0] != '/' {
		return fmt.Errorf("%w: namespace without slash", errPacket)
	}
	d.packet.Namespace = d.names.intern(s)
	return nil
}

func (d *packDecoder) ackID() error {
	d.packet.ID = nil
	if undefined(&d.reader) {
		return nil
	}
	n, err := d.reader.Int()
	if err != nil {
		return err
	}
	if n < 0 || n > MaxID {
		return fmt.Errorf("%w: ack id", ErrLimit)
	}
	d.id = uint64(n)
	d.packet.ID = &d.id
	return nil
}

// validPackData is validPayload for packets whose data may be missing.
func validPackData(p *Packet) bool {
	if len(p.Data) == 0 {
		return p.Type == Connect || p.Type == Disconnect
	}
	if p.Type != Event && p.Type != Ack && len(p.Attachments) > 0 && isPlaceholder(p.Data) {
		return false // a binary value as the data itself
	}
	return validPayload(p.Type, p.Data)
}

func isPlaceholder(data []byte) bool {
	_, end, ok := jsontext.Placeholder(data, 0, 1)
	return ok && end == len(data)
}

// ownAttachments copies the attachments, which alias the message.
func (d *packDecoder) ownAttachments() error {
	p := &d.packet
	total := int64(0)
	for i, a := range p.Attachments {
		if total += int64(len(a)); d.opts.MaxAttachmentBytes > 0 && total > d.opts.MaxAttachmentBytes {
			return fmt.Errorf("%w: attachments of more than %d bytes", ErrLimit, d.opts.MaxAttachmentBytes)
		}
		p.Attachments[i] = append(make([]byte, 0, len(a)), a...)
	}
	return nil
}
