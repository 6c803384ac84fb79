package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"

	"posthouse/socketio/engineio/internal/wire"
	"posthouse/socketio/engineio/internal/ws"
)

// dialStream opens a WebSocket or a WebTransport session, with sid for the upgrade of one.
func (c *Conn) dialStream(ctx context.Context, transport, sid string) (*stream, error) {
	if transport == "websocket" {
		conn, early, err := c.dialWebSocket(ctx, c.url(transport, sid))
		if err != nil {
			return nil, err
		}
		st := newStream(c, transport, conn)
		st.early = early
		return st, nil
	}
	header := http.Header{}
	for name, values := range c.opts.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	conn, err := c.opts.WebTransport(ctx, c.url(transport, ""), header, int64(c.opts.MaxPayload))
	if err != nil {
		return nil, err
	}
	st := newStream(c, transport, conn)
	open := wire.Packet{Type: wire.Open}
	if sid != "" {
		if open.Data, err = json.Marshal(map[string]string{"sid": sid}); err != nil {
			st.kill()
			return nil, err
		}
	}
	if err := st.writeNow(open); err != nil {
		st.kill()
		return nil, err
	}
	return st, nil
}

// dialWebSocket makes the handshake of a WebSocket on a connection of its own: one of
// net/http would keep its buffers as long as it lives. The bytes are what came behind the answer.
func (c *Conn) dialWebSocket(ctx context.Context, address string) (net.Conn, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	c.setHeader(r)
	if u := r.URL.User; u != nil && r.Header.Get("Authorization") == "" {
		password, _ := u.Password()
		r.SetBasicAuth(u.Username(), password)
	}
	if c.opts.Jar != nil {
		for _, cookie := range c.opts.Jar.Cookies(cookieURL(r)) {
			r.AddCookie(cookie)
		}
	}
	key := ws.SetRequestFields(r.Header)
	conn, err := c.connect(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	early, err := c.shakeHands(conn, r, key)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, early, nil
}

// cookieURL returns the URL whose cookies count: that of the Host field, as in net/http.
func cookieURL(r *http.Request) *url.URL {
	u := *r.URL
	if r.Host != "" {
		u.Host = r.Host
	}
	return &u
}

// headReaders read answers to handshakes.
var headReaders = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// maxInformational is how many answers 1xx may come before the one that counts.
const maxInformational = 5

// shakeHands sends the request of a WebSocket and checks the answer.
func (c *Conn) shakeHands(conn net.Conn, r *http.Request, key string) (early []byte, err error) {
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	in := headReaders.Get().(*bufio.Reader)
	defer headReaders.Put(in)
	defer in.Reset(nil)
	in.Reset(io.LimitReader(conn, maxHeader))
	resp, err := http.ReadResponse(in, r)
	for range maxInformational {
		if err == nil && resp.StatusCode > 101 && resp.StatusCode < 200 {
			resp, err = http.ReadResponse(in, r) //nolint:bodyclose // a 1xx has no body; that of the last is closed below
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: answer to the handshake: %w", ErrProtocol, err)
	}
	defer resp.Body.Close()
	if c.opts.Jar != nil {
		c.opts.Jar.SetCookies(cookieURL(r), resp.Cookies())
	}
	if err := ws.CheckResponse(resp, key); err != nil {
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return nil, err
		}
		return nil, refusalError(resp)
	}
	early, _ = in.Peek(in.Buffered()) // that many are there
	return bytes.Clone(early), nil
}
