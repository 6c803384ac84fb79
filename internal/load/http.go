package load

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
)

// httpConn is a kept-alive HTTP connection.
type httpConn struct {
	net.Conn
	r    *bufio.Reader
	addr string
	out  []byte
	body []byte  // of the last answer
	gzip *gunzip // nil: answers are not to be compressed
}

// gunzip reads answers with Content-Encoding: gzip.
type gunzip struct {
	r     gzip.Reader
	wire  int // bytes of compressed answers
	plain int // of the same answers, decompressed
}

func (g *gunzip) read(body []byte) ([]byte, error) {
	if err := g.r.Reset(bytes.NewReader(body)); err != nil {
		return nil, fmt.Errorf("load: gzip: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(&g.r, maxAnswer))
	g.wire, g.plain = g.wire+len(body), g.plain+len(out)
	return out, err
}

func dialHTTP(ctx context.Context, addr string) (*httpConn, error) {
	nc, err := dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return newHTTPConn(nc, addr), nil
}

func newHTTPConn(nc net.Conn, addr string) *httpConn {
	return &httpConn{Conn: nc, r: bufio.NewReader(nc), addr: addr}
}

// request sends a request without waiting for its answer.
func (h *httpConn) request(method, path, body string) error {
	h.out = append(h.out[:0], method...)
	h.out = append(append(append(h.out, ' '), path...), " HTTP/1.1\r\nHost: "...)
	h.out = append(h.out, h.addr...)
	if method == http.MethodPost {
		h.out = append(h.out, "\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: "...)
		h.out = strconv.AppendInt(h.out, int64(len(body)), 10)
	}
	if h.gzip != nil {
		h.out = append(h.out, "\r\nAccept-Encoding: gzip"...)
	}
	h.out = append(append(h.out, "\r\n\r\n"...), body...)
	_, err := h.Write(h.out)
	return err
}

// answer reads the answer to a request, which must be 200. It is read by hand, as
// frames are: a client that is slower than the server measures itself.
func (h *httpConn) answer() (string, error) {
	head, err := readHead(h.r)
	if err != nil {
		return "", err
	}
	h.body = h.body[:0]
	if head.chunked {
		err = h.readChunks()
	} else {
		err = h.readBody(head.length)
	}
	if err == nil && head.status != "200" {
		err = fmt.Errorf("load: status %s: %.80q", head.status, h.body)
	}
	if err == nil && head.gzip {
		if h.gzip == nil {
			return "", errors.New("load: a compressed answer that was not asked for")
		}
		h.body, err = h.gzip.read(h.body)
	}
	return string(h.body), err
}

func (h *httpConn) readBody(n int) error {
	if n < 0 || n > maxAnswer {
		return fmt.Errorf("load: body of %d bytes", n)
	}
	at := len(h.body)
	h.body = slices.Grow(h.body, n)[:at+n]
	_, err := io.ReadFull(h.r, h.body[at:])
	return err
}

func (h *httpConn) readChunks() error {
	for {
		line, err := h.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return fmt.Errorf("load: chunk: %w", err)
		}
		if err := h.readBody(int(n)); err != nil {
			return err
		}
		if _, err := h.r.Discard(len("\r\n")); err != nil || n == 0 {
			return err
		}
	}
}

// maxAnswer bounds what a client reads.
const maxAnswer = 16 << 20

// answerHead is what matters of the head of an answer.
type answerHead struct {
	status  string
	length  int // -1: not told
	chunked bool
	gzip    bool
	accept  string // Sec-WebSocket-Accept
	size    int    // bytes
}

func readHead(r *bufio.Reader) (head answerHead, err error) {
	head.length = -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return head, err
		}
		head.size += len(line)
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
				return head, fmt.Errorf("load: answer begins with %.80q", line)
			}
			head.status = string(line[9:12])
			continue
		case len(line) == 0:
			return head, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if head.length, err = strconv.Atoi(string(value)); err != nil {
				return head, fmt.Errorf("load: content length: %w", err)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			head.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Content-Encoding")):
			head.gzip = bytes.EqualFold(value, []byte("gzip"))
		case bytes.EqualFold(name, []byte("Sec-WebSocket-Accept")):
			head.accept = string(value)
		}
	}
}

func (h *httpConn) do(method, path, body string) (string, error) {
	if err := h.request(method, path, body); err != nil {
		return "", err
	}
	return h.answer()
}

// once does one request on a connection of its own.
func once(ctx context.Context, addr, method, path string) (string, error) {
	h, err := dialHTTP(ctx, addr)
	if err != nil {
		return "", err
	}
	defer func() { _ = h.Close() }()
	return h.do(method, path, "")
}

// Find asks the server at addr for its process id.
func Find(ctx context.Context, addr string) (*Target, error) {
	s, err := once(ctx, addr, http.MethodGet, "/bench/pid")
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(s)
	if err != nil {
		return nil, fmt.Errorf("load: /bench/pid: %w", err)
	}
	return &Target{Addr: addr, PID: pid}, nil
}
