package adapter

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// relayedSocket is a WebSocket between a client and the owner of its session. The
// request's goroutine carries what the owner says, another one what the client says.
type relayedSocket struct {
	clientConn net.Conn
	ownerConn  net.Conn
	earlyBytes io.Reader // what the owner sent behind its answer

	mu          sync.Mutex // guards what follows
	closeWanted bool       // a close frame is to be sent at the end of the current frame
}

const (
	// relayLinger is how long an end may take: the rest of the current frame, the
	// peer's close frame, the other side's end of stream.
	relayLinger = 2 * time.Second
	relayBuffer = 4 << 10
)

// restarting is a close frame with code 1012: the service restarts.
var restarting = []byte{0x88, 2, 1012 >> 8, 1012 & 0xff}

var relayBuffers = sync.Pool{New: func() any { return new([relayBuffer]byte) }}

// serveUpgrade relays an upgrade and, if the owner agrees, the connection.
func (l *forwarder) serveUpgrade(w http.ResponseWriter, req *http.Request, d destination, sid string) {
	if l.isDraining() {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Connection", "close")
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	ctx := req.Context()
	owner, err := l.relay.dialReplica(ctx, d)
	if err != nil {
		l.answerFailure(w, req, d, err)
		return
	}
	defer owner.Close()
	stop := context.AfterFunc(ctx, func() { owner.SetDeadline(longAgo) })
	out := l.outgoingRequest(req, d, sid, markRelay)
	copyHeaders(out.Header, req.Header, upgradeHeaders)
	out.Header["Connection"], out.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	head := &io.LimitedReader{R: owner, N: maxAnswerHead}
	br := bufio.NewReaderSize(head, relayBuffer)
	owner.SetDeadline(time.Now().Add(proofTimeout))
	if err = out.Write(owner); err != nil {
		l.answerFailure(w, req, d, err)
		return
	}
	resp, err := http.ReadResponse(br, out)
	if err != nil {
		l.answerFailure(w, req, d, err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		l.passAnswer(w, req, http.NewResponseController(w), resp)
		return
	}
	if !stop() {
		return // the client left
	}
	early, _ := br.Peek(br.Buffered())
	l.relayUpgraded(w, owner, early, l.switchedHeader(resp))
}

// switchedHeader is the head of the answer that makes the client's connection a WebSocket.
func (l *forwarder) switchedHeader(resp *http.Response) http.Header {
	h := http.Header{}
	copyHeaders(h, resp.Header, l.answerHeaders)
	copyHeaders(h, resp.Header, switchHeaders)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	return h
}

// relayUpgraded takes the client's connection and relays it until both sides have ended.
func (l *forwarder) relayUpgraded(w http.ResponseWriter, owner net.Conn, early []byte, head http.Header) {
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		l.relay.log.Debug("adapter: upgrade not relayed", "error", err)
		unknownSession(w)
		return
	}
	defer client.Close()
	sent, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	s := &relayedSocket{clientConn: client, ownerConn: owner, earlyBytes: newPrefix(early, owner)}
	if !l.addSocket(s) {
		return // too late: the process ends
	}
	defer l.removeSocket(s)
	l.relay.counters.relayed.Add(1)
	client.SetDeadline(time.Time{})
	owner.SetDeadline(time.Time{})
	client.SetWriteDeadline(time.Now().Add(relayWrite))
	text := []byte("HTTP/1.1 101 Switching Protocols\r\n")
	text = append(appendHeader(text, head), "\r\n"...)
	if _, err := client.Write(text); err != nil {
		return
	}
	var up sync.WaitGroup
	up.Go(func() { s.toOwner(newPrefix(sent, client)) })
	s.toClient()
	up.Wait()
}

func appendHeader(b []byte, h http.Header) []byte {
	for name, values := range h {
		for _, v := range values {
			b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
		}
	}
	return b
}

// newPrefix reads what came early and then the rest.
func newPrefix(early []byte, rest net.Conn) io.Reader {
	if len(early) == 0 {
		return rest
	}
	return io.MultiReader(bytes.NewReader(early), rest)
}

// toOwner carries what the client says until it ends.
func (s *relayedSocket) toOwner(from io.Reader) {
	_, err := io.Copy(s.ownerConn, from)
	s.propagateEnd(s.ownerConn, err)
}

// toClient carries what the owner says until it ends, or until end was called and
// the current frame is complete: nothing may come behind a close frame.
func (s *relayedSocket) toClient() {
	buf := relayBuffers.Get().(*[relayBuffer]byte)
	defer relayBuffers.Put(buf)
	var frames frameScanner
	last := false // the current frame is the last one
	for {
		n, err := s.earlyBytes.Read(buf[:])
		data := buf[:n]
		if last {
			data = data[:frames.frameBytes(data)]
		} else {
			frames.scan(data)
		}
		if len(data) > 0 {
			s.clientConn.SetWriteDeadline(time.Now().Add(relayWrite))
			if _, err := s.clientConn.Write(data); err != nil {
				s.propagateEnd(s.clientConn, err)
				return
			}
		}
		ending := s.isEnding()
		if ending && frames.betweenFrames() {
			s.sendCloseFrame()
			return
		}
		if ending && !last && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)) {
			last = true
			s.ownerConn.SetReadDeadline(time.Now().Add(relayLinger))
			continue
		}
		if err != nil {
			s.propagateEnd(s.clientConn, err)
			return
		}
	}
}

// propagateEnd tells one side that the other has ended, and ends all of it soon.
func (s *relayedSocket) propagateEnd(to net.Conn, err error) {
	if half, ok := to.(interface{ CloseWrite() error }); ok && (err == nil || errors.Is(err, io.EOF)) {
		_ = half.CloseWrite()
		s.limitRest()
		return
	}
	s.clientConn.Close()
	s.ownerConn.Close()
}

// limitRest bounds what is left of the connection.
func (s *relayedSocket) limitRest() {
	deadline := time.Now().Add(relayLinger)
	s.clientConn.SetDeadline(deadline)
	s.ownerConn.SetDeadline(deadline)
}

func (s *relayedSocket) isEnding() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeWanted
}

// startClose closes the WebSocket as its protocol wants it, once the current frame is
// through. It does not wait.
func (s *relayedSocket) startClose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closeWanted {
		s.closeWanted = true
		s.ownerConn.SetReadDeadline(longAgo) // wakes toClient
	}
}

// sendCloseFrame sends the close frame. The client answers it, and that answer goes to
// the owner, as if the owner's end and the client's had spoken to each other.
func (s *relayedSocket) sendCloseFrame() {
	s.limitRest()
	if _, err := s.clientConn.Write(restarting); err != nil {
		s.propagateEnd(s.clientConn, err)
		return
	}
	_, err := io.Copy(io.Discard, s.ownerConn)
	if err != nil {
		s.clientConn.Close()
		s.ownerConn.Close()
		return
	}
	s.propagateEnd(s.clientConn, nil)
}
