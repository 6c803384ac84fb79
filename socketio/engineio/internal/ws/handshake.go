package ws

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// HandshakeError is a request that cannot become a WebSocket.
type HandshakeError struct {
	Status int // 400, 405, 426 or 500
	Text   string
	// Name and Value are a header field the answer must carry, if Name is set.
	Name, Value string
}

func (e *HandshakeError) Error() string { return fmt.Sprintf("ws: handshake: %s", e.Text) }

// Write answers the request with the error.
func (e *HandshakeError) Write(w http.ResponseWriter) {
	if e.Name != "" {
		w.Header().Set(e.Name, e.Value)
	}
	w.Header().Set("Connection", "close")
	http.Error(w, e.Text, e.Status)
}

var (
	errMethod      = &HandshakeError{http.StatusMethodNotAllowed, "method is not GET", "Allow", "GET"}
	errHTTP        = &HandshakeError{Status: http.StatusBadRequest, Text: "HTTP/1.1 required"}
	errHost        = &HandshakeError{Status: http.StatusBadRequest, Text: "missing Host"}
	errUpgrade     = &HandshakeError{http.StatusUpgradeRequired, "not a WebSocket handshake", "Upgrade", "websocket"}
	errKey         = &HandshakeError{Status: http.StatusBadRequest, Text: "invalid Sec-WebSocket-Key"}
	errVersion     = &HandshakeError{http.StatusUpgradeRequired, "unsupported Sec-WebSocket-Version", "Sec-WebSocket-Version", "13"}
	errBody        = &HandshakeError{Status: http.StatusBadRequest, Text: "handshake with a body"}
	errSubprotocol = &HandshakeError{Status: http.StatusBadRequest, Text: "invalid Sec-WebSocket-Protocol"}
	errExtensions  = &HandshakeError{Status: http.StatusBadRequest, Text: "invalid Sec-WebSocket-Extensions"}
	errHijack      = &HandshakeError{Status: http.StatusInternalServerError, Text: "connection cannot be taken over"}
)

// ErrNotHijackable is the cause of a failed Hijack that left the response
// writer usable.
var ErrNotHijackable error = errHijack

// Handshake is a valid opening handshake (RFC 6455 §4.2), not answered yet.
type Handshake struct {
	Protocol string   // subprotocol: the first the client offers, as Node's ws does
	Deflate  *Deflate // nil: no compression

	accept     string
	extensions string
}

// Negotiate checks an opening handshake. deflate may be nil: no compression,
// and offers of it are not even parsed. The error is a *HandshakeError. Checking
// the origin is the caller's business.
func Negotiate(r *http.Request, deflate *DeflateOptions) (Handshake, error) {
	var hs Handshake
	switch {
	case r.Method != http.MethodGet:
		return hs, errMethod
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return hs, errHTTP
	case r.Host == "":
		return hs, errHost
	case !hasToken(r.Header["Connection"], "upgrade") || !hasToken(r.Header["Upgrade"], "websocket"):
		return hs, errUpgrade
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		// Its bytes would be read as frames.
		return hs, errBody
	}
	if v := r.Header["Sec-Websocket-Version"]; len(v) != 1 || strings.TrimSpace(v[0]) != "13" {
		return hs, errVersion
	}
	key := r.Header["Sec-Websocket-Key"]
	if len(key) != 1 || !validKey(key[0]) {
		return hs, errKey
	}
	hs.accept = acceptKey(key[0])
	var ok bool
	if hs.Protocol, ok = firstProtocol(r.Header["Sec-Websocket-Protocol"]); !ok {
		return hs, errSubprotocol
	}
	if deflate != nil {
		if hs.Deflate, hs.extensions, ok = deflate.negotiate(r.Header["Sec-Websocket-Extensions"]); !ok {
			return hs, errExtensions
		}
	}
	return hs, nil
}

// AppendResponse appends the 101 answer, with the fields of extra (may be nil).
// It is not written here, so that it can leave in one write with the first frame.
func (hs *Handshake) AppendResponse(dst []byte, extra http.Header) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = append(dst, hs.accept...)
	if hs.Protocol != "" {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "...)
		dst = append(dst, hs.Protocol...)
	}
	if hs.Deflate != nil {
		dst = append(dst, "\r\nSec-WebSocket-Extensions: "...)
		dst = append(dst, hs.extensions...)
	}
	dst = append(dst, "\r\n"...)
	if len(extra) > 0 {
		// Header.Write replaces line breaks in values and drops invalid names.
		buf := bytes.NewBuffer(dst)
		extra.WriteSubset(buf, ownFields) //nolint:errcheck // a buffer takes everything
		dst = buf.Bytes()
	}
	return append(dst, "\r\n"...)
}

// ownFields are not for others to set.
var ownFields = map[string]bool{
	"Upgrade": true, "Connection": true, "Sec-Websocket-Accept": true, "Sec-Websocket-Protocol": true,
	"Sec-Websocket-Extensions": true, "Content-Length": true, "Transfer-Encoding": true,
}

// Hijack takes the connection out of net/http: without deadlines, and without
// net/http's buffers. early is what the client sent before it saw the answer; it
// is the caller's. The handler should return soon, so that what net/http holds
// for the request can go. If the error is ErrNotHijackable, w is still usable.
func Hijack(w http.ResponseWriter) (conn net.Conn, early []byte, err error) {
	conn, brw, err := http.NewResponseController(w).Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		return nil, nil, ErrNotHijackable
	}
	if err != nil {
		return nil, nil, fmt.Errorf("ws: hijack: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("ws: hijack: %w", err)
	}
	if n := brw.Reader.Buffered(); n > 0 {
		p, _ := brw.Peek(n)
		early = bytes.Clone(p)
	}
	return conn, early, nil
}

// hasToken reports whether one of the comma separated lists contains token,
// without regard to case.
func hasToken(lists []string, token string) bool {
	for _, list := range lists {
		for item := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// validKey reports whether key is 16 bytes in base64 (RFC 6455 §4.2.1).
func validKey(key string) bool {
	if len(key) != 24 {
		return false
	}
	var raw [18]byte
	n, err := base64.StdEncoding.Decode(raw[:], []byte(key))
	return err == nil && n == 16
}

// acceptKey computes Sec-WebSocket-Accept (RFC 6455 §4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// firstProtocol returns the first subprotocol offered; ok is false when the
// offer is malformed (RFC 6455 §4.1).
func firstProtocol(lists []string) (first string, ok bool) {
	seen := 0
	for _, list := range lists {
		if len(list) > maxListHeader {
			return "", false
		}
		s := scanner{rest: list}
		for {
			name, valid := s.token()
			if seen++; !valid || seen > 1 && name == first || seen > 64 {
				return "", false
			}
			if seen == 1 {
				first = name
			}
			if s.done() {
				break
			}
			if !s.take(',') {
				return "", false
			}
		}
	}
	return first, true
}
