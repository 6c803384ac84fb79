package socketio

import (
	"bytes"
	"encoding/json"
	"strconv"
	"sync"

	"posthouse/internal/jsontext"
	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

// encodeBuffer is what sending one packet needs; pooled, so that a message to one
// client allocates nothing of its own.
type encodeBuffer struct {
	packet   parser.Packet
	data     []byte
	text     []byte
	messages []engineio.Message
}

var scratches = sync.Pool{New: func() any { return new(encodeBuffer) }}

func getScratch() *encodeBuffer { return scratches.Get().(*encodeBuffer) }

// backToPool gives the buffers back, unless one became too large to keep around.
func (sc *encodeBuffer) backToPool() {
	const keep = 64 << 10
	if cap(sc.data)+cap(sc.text) > keep {
		return
	}
	clear(sc.messages)
	sc.packet, sc.data, sc.text, sc.messages = parser.Packet{}, sc.data[:0], sc.text[:0], sc.messages[:0]
	scratches.Put(sc)
}

// appendEvent appends ["event",args…] as the data of an EVENT packet.
func appendEvent(dst []byte, event string, args []any) ([]byte, [][]byte, error) {
	if parser.Reserved(event) {
		return dst, nil, ErrReserved
	}
	dst = append(dst, '[')
	dst = jsontext.AppendQuoted(dst, event)
	if len(args) > 0 {
		dst = append(dst, ',')
	}
	before := len(dst)
	dst, attachments, err := appendArgs(dst, nil, args)
	if err != nil {
		return dst, nil, err
	}
	if len(args) > 0 && len(dst) == before { // empty Args
		dst = dst[:before-1]
	}
	return append(dst, ']'), attachments, nil
}

// appendArgs appends values as JSON.stringify would, comma separated, and
// collects their binary parts. Args are spliced in, all of them.
func appendArgs(dst []byte, attachments [][]byte, args []any) ([]byte, [][]byte, error) {
	var err error
	for _, arg := range args {
		start := len(dst)
		if n := len(dst); n > 0 && dst[n-1] != '[' && dst[n-1] != ',' {
			dst = append(dst, ',')
		}
		value := len(dst)
		switch v := arg.(type) {
		case Args:
			dst, attachments = spliceAttachments(dst, attachments, v.valuesJSON, v.attachments)
		case *Args: // of callers that emit much
			dst, attachments = spliceAttachments(dst, attachments, v.valuesJSON, v.attachments)
		case Value:
			dst, attachments = spliceAttachments(dst, attachments, v.JSON, v.Attachments)
		case nil:
			dst = append(dst, "null"...)
		case string:
			dst = jsontext.AppendQuoted(dst, v)
		case int:
			dst = strconv.AppendInt(dst, int64(v), 10)
		case bool:
			dst = strconv.AppendBool(dst, v)
		case []byte:
			dst = jsontext.AppendPlaceholder(dst, len(attachments))
			attachments = append(attachments, v)
		default:
			if dst, attachments, err = parser.AppendValue(dst, attachments, v); err != nil {
				return dst, nil, err
			}
		}
		if len(dst) == value {
			dst = dst[:start] // empty Args take no place
		}
	}
	return dst, attachments, nil
}

// spliceAttachments appends canonical JSON whose placeholders count from zero after others
// that did, and takes over only the attachments that it refers to. (In canonical
// form the text of a placeholder cannot occur inside a string: its quotes would
// be escaped.)
func spliceAttachments(dst []byte, attachments [][]byte, text []byte, own [][]byte) ([]byte, [][]byte) {
	if len(own) == 0 {
		return append(dst, text...), attachments
	}
	// An attachment that is named twice is sent once: what a client repeats in a few
	// bytes must not grow into megabytes.
	var few [16]int
	renamed := few[:0]
	for range own {
		renamed = append(renamed, -1)
	}
	for {
		i := bytes.Index(text, []byte(jsontext.PlaceholderHead))
		if i < 0 {
			return append(dst, text...), attachments
		}
		dst = append(dst, text[:i]...)
		text = text[i+len(jsontext.PlaceholderHead):]
		end := bytes.IndexByte(text, '}')
		num, err := strconv.Atoi(string(text[:max(end, 0)]))
		if err != nil || num < 0 || num >= len(own) { // a Value made by hand, and wrongly
			dst = append(dst, "null"...)
		} else {
			if renamed[num] < 0 {
				renamed[num] = len(attachments)
				attachments = append(attachments, own[num])
			}
			dst = jsontext.AppendPlaceholder(dst, renamed[num])
		}
		text = text[end+1:]
	}
}

// encodeJSON encodes one value without binary parts.
func encodeJSON(v any) (json.RawMessage, error) {
	data, _, err := parser.AppendValue(nil, nil, v)
	return data, err
}

// textCodec is a codec whose packets are one text message each, followed by their
// attachments as binary messages. Its texts are appended to pooled buffers.
type textCodec interface {
	AppendText(dst []byte, p *parser.Packet) ([]byte, error)
}
