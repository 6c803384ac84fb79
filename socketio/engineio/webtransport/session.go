package webtransport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/quic-go/quic-go/http3"
	wt "github.com/quic-go/webtransport-go"
)

// refused is the code of streams and sessions that are not wanted.
const refused = 1

// closeTime is how long a closed session waits for the peer to agree.
const closeTime = 300 * time.Millisecond

// closeSession is the capsule WT_CLOSE_SESSION with code 0 and no message.
var closeSession = []byte{0x68, 0x43, 4, 0, 0, 0, 0}

var errNotHTTP3 = errors.New("webtransport: not an HTTP/3 request, or its ResponseWriter is hidden by a middleware without Unwrap")

// h3Writer is what the library asserts of a ResponseWriter.
type h3Writer interface {
	http.ResponseWriter
	http.Flusher
	http3.Settingser
	http3.HTTPStreamer
}

// connectWriter remembers the stream of the CONNECT request.
type connectWriter struct {
	h3Writer
	stream *http3.Stream
}

// HTTPStream implements http3.HTTPStreamer.
func (w *connectWriter) HTTPStream() *http3.Stream {
	w.stream = w.h3Writer.HTTPStream()
	return w.stream
}

// unwrap finds the writer of the library below those of middlewares.
func unwrap(w http.ResponseWriter) (*connectWriter, error) {
	for {
		switch t := w.(type) {
		case h3Writer:
			return &connectWriter{h3Writer: t}, nil
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return nil, errNotHTTP3
		}
	}
}

// open is the engineio.OpenFunc: it accepts the session and waits for its stream.
func (s *Server) open(w http.ResponseWriter, r *http.Request, maxPayload int64) (net.Conn, error) {
	cw, err := unwrap(w)
	if err != nil {
		return nil, err
	}
	session, err := s.wt.Upgrade(cw, r)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(session.Context())
	stop := context.AfterFunc(r.Context(), end) // Options.UpgradeTimeout
	stream, err := session.AcceptStream(ctx)
	if !stop() || err != nil {
		end()
		session.CloseWithError(refused, "no stream") //nolint:errcheck // it is over
		return nil, errors.Join(err, r.Context().Err())
	}
	c := &conn{stream: stream, session: session, end: end, in: inbound{max: uint64(maxPayload)}}
	s.spawn(func() { guard(ctx, session, cw.stream) })
	s.spawn(func() { refuseUniStreams(ctx, session) })
	return c, nil
}

// guard owns a session: it resets further streams, one after the other, and
// closes the session when conn.Close ends ctx.
func guard(ctx context.Context, session *wt.Session, connect *http3.Stream) {
	for {
		stream, err := session.AcceptStream(ctx)
		if err != nil {
			break
		}
		stream.CancelRead(refused)
		stream.CancelWrite(refused)
	}
	if session.Context().Err() != nil {
		return
	}
	// The library closes a session with the capsule and a STOP_SENDING in one
	// packet, and Chromium, which reads that first, calls the connection lost.
	// So the capsule goes alone, and the library only where no answer comes.
	if connect.TryWriteAll(closeSession) == nil && connect.Close() == nil {
		select {
		case <-session.Context().Done():
		case <-time.After(closeTime):
		}
	}
	session.CloseWithError(0, "") //nolint:errcheck // it is over
}

func refuseUniStreams(ctx context.Context, session *wt.Session) {
	for {
		stream, err := session.AcceptUniStream(ctx)
		if err != nil {
			return
		}
		stream.CancelRead(refused)
	}
}
