package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
)

// httpConn is a kept-alive HTTP connection.
type httpConn struct {
	net.Conn
	r    *bufio.Reader
	addr string
	out  []byte
}

func dialHTTP(ctx context.Context, addr string) (*httpConn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &httpConn{Conn: nc, r: bufio.NewReader(nc), addr: addr}, nil
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
	h.out = append(append(h.out, "\r\n\r\n"...), body...)
	_, err := h.Write(h.out)
	return err
}

// answer reads the answer to a request, which must be 200.
func (h *httpConn) answer() (string, error) {
	res, err := http.ReadResponse(h.r, nil)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("load: %s: %.80q", res.Status, b)
	}
	return string(b), err
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
