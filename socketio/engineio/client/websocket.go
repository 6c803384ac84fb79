package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"posthouse/socketio/engineio/internal/wire"
	"posthouse/socketio/engineio/internal/ws"
)

// dialStream opens a WebSocket or a WebTransport session, with sid for the upgrade of one.
func (c *Conn) dialStream(ctx context.Context, transport, sid string) (*stream, error) {
	if transport == "websocket" {
		rw, err := c.dialWebSocket(ctx, c.url(transport, sid))
		if err != nil {
			return nil, err
		}
		return newStream(c, transport, rw), nil
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

func (c *Conn) dialWebSocket(ctx context.Context, url string) (io.ReadWriteCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	c.setHeader(r)
	key := ws.SetRequestFields(r.Header)
	resp, err := c.webSocketClient().Do(r)
	if err != nil {
		return nil, err
	}
	if err := ws.CheckResponse(resp, key); err != nil {
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return nil, err
		}
		return nil, refusalError(resp)
	}
	rw, ok := resp.Body.(io.ReadWriteCloser) // net/http promises it for a 101
	if !ok {
		resp.Body.Close()
		return nil, errors.New("engineio client: the connection cannot be taken over")
	}
	return rw, nil
}

// webSocketClient returns the client of a handshake. net/http tunnels through a proxy
// for https only; a WebSocket without TLS needs a tunnel as well.
func (c *Conn) webSocketClient() *http.Client {
	if c.base.Scheme == "https" {
		return c.http
	}
	plain := c.http.Transport.(*http.Transport).Clone()
	plain.DisableKeepAlives = true // a refusal closes its connection
	proxy := c.opts.Proxy
	plain.Proxy = func(r *http.Request) (*url.URL, error) {
		u, err := proxy(r)
		if err != nil || u == nil || u.Scheme != "http" && u.Scheme != "https" {
			return u, err
		}
		return nil, nil
	}
	dial := c.opts.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	plain.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		u, err := proxy(&http.Request{URL: &c.base, Header: http.Header{}})
		if err != nil {
			return nil, err
		}
		if u == nil || u.Scheme != "http" && u.Scheme != "https" {
			return dial(ctx, network, addr)
		}
		return c.tunnel(ctx, dial, u, addr)
	}
	return &http.Client{Jar: c.http.Jar, CheckRedirect: c.http.CheckRedirect, Transport: plain}
}

// tunnel opens a connection through an HTTP proxy (RFC 9110 §9.3.6).
func (c *Conn) tunnel(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), proxy *url.URL, addr string) (net.Conn, error) {
	host := proxy.Host
	if proxy.Port() == "" {
		host = net.JoinHostPort(proxy.Hostname(), map[string]string{"http": "80", "https": "443"}[proxy.Scheme])
	}
	conn, err := dial(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	if proxy.Scheme == "https" {
		config := c.opts.TLS.Clone()
		if config == nil {
			config = new(tls.Config)
		}
		config.ServerName = proxy.Hostname()
		conn = tls.Client(conn, config)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err = connectTo(conn, proxy, addr)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return conn, nil
}

func connectTo(conn net.Conn, proxy *url.URL, addr string) error {
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := r.Write(conn); err != nil {
		return err
	}
	// The server says nothing before the handshake, so the buffer swallows nothing.
	in := bufio.NewReader(io.LimitReader(conn, 64<<10))
	resp, err := http.ReadResponse(in, r) //nolint:bodyclose // of a CONNECT: its body is the connection
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return &StatusError{Status: resp.StatusCode}
	}
	if in.Buffered() > 0 {
		return fmt.Errorf("%w: the proxy sent more than its answer", ErrProtocol)
	}
	return nil
}
