package engineio

import (
	"sync/atomic"

	"posthouse/socketio/engineio/internal/ws"
)

// Message is one Engine.IO message: what the layer above sends and receives
// (packet type 4). Text is UTF-8.
type Message struct {
	Data   []byte
	Binary bool
}

// Frame is an immutable message that is encoded at most once for each wire
// form (WebSocket text or binary, polling text, base64, revision 3 binary) and
// shared by every session it is sent to. It is safe for concurrent use.
type Frame struct {
	message      Message
	noCompress   bool
	encodedForms [wireForms]atomic.Pointer[ws.Frame]
}

// NewFrame returns a frame for m. The frame takes m.Data over: it must not be
// changed afterwards. With compress false the frame never triggers HTTP
// compression of a polling answer (the `compress` flag of Socket.IO).
func NewFrame(m Message, compress bool) *Frame {
	return &Frame{message: m, noCompress: !compress}
}

// Message returns the frame's message; its Data must not be changed.
func (f *Frame) Message() Message { return f.message }

// wire returns the frame's bytes for a WebSocket of that form. Two sessions that
// ask at the same time may both encode; one result is kept.
func (f *Frame) wire(form wireForm, d *ws.Deflate) []byte {
	p := &f.encodedForms[form]
	if !f.message.Binary {
		p = &f.encodedForms[formV4] // text is the same for all
	}
	w := p.Load()
	if w == nil {
		op, payload := wirePayload(nil, form, packetMessage, f.message.Binary, f.message.Data)
		w = ws.NewFrame(op, payload)
		if !p.CompareAndSwap(nil, w) {
			w = p.Load()
		}
	}
	return w.For(d)
}
