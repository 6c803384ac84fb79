package engineio

import (
	"encoding/base64"

	"posthouse/socketio/engineio/internal/ws"
)

// wireForm is how packets look inside WebSocket frames (docs/protocol.md §1.4 and §2.1).
type wireForm uint8

const (
	formV4       wireForm = iota // binary messages raw
	formV4Base64                 // as text "b" + base64
	formV3                       // binary messages behind a type byte
	formV3Base64                 // as text "b4" + base64
	wireForms    = 4
)

func formOf(revision uint8, b64 bool) wireForm {
	switch {
	case revision == 4 && !b64:
		return formV4
	case revision == 4:
		return formV4Base64
	case !b64:
		return formV3
	}
	return formV3Base64
}

// wirePayload appends the payload of a packet's WebSocket frame to dst.
func wirePayload(dst []byte, form wireForm, t packetType, binary bool, data []byte) (ws.Opcode, []byte) {
	if !binary {
		return ws.Text, append(append(dst, byte(t)), data...)
	}
	switch form {
	case formV4:
		return ws.Binary, append(dst, data...)
	case formV3:
		return ws.Binary, append(append(dst, byte(t-'0')), data...)
	case formV4Base64:
		return ws.Text, base64.StdEncoding.AppendEncode(append(dst, 'b'), data)
	default:
		return ws.Text, base64.StdEncoding.AppendEncode(append(dst, 'b', byte(t)), data)
	}
}

// appendWire appends a packet as a finished WebSocket frame.
func appendWire(dst []byte, form wireForm, d *ws.Deflate, t packetType, binary bool, data []byte) []byte {
	if d == nil {
		if !binary {
			dst = ws.AppendHeader(dst, ws.Text, 1+len(data))
			return append(append(dst, byte(t)), data...)
		}
		if form == formV4 {
			return ws.AppendFrame(dst, ws.Binary, data)
		}
	}
	tmp := takeBuffer()
	op, payload := wirePayload(tmp.b, form, t, binary, data)
	dst = d.AppendMessage(dst, op, payload)
	tmp.b = payload
	tmp.release()
	return dst
}
