package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// dialFunc opens a TCP connection, as Options.DialContext does.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

var defaultPorts = map[string]string{"": "80", "http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

// hostPort returns the address of a URL.
func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), defaultPorts[u.Scheme])
}

// connect opens the connection for a request: through the proxy that Options.Proxy wants,
// if any, and with TLS for https.
func (c *Conn) connect(ctx context.Context, r *http.Request) (net.Conn, error) {
	dial := dialFunc(c.opts.DialContext)
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	through, err := c.opts.Proxy(r)
	if err != nil {
		return nil, err
	}
	addr := hostPort(r.URL)
	var conn net.Conn
	switch {
	case through == nil:
		conn, err = dial(ctx, "tcp", addr)
	case through.Scheme == "socks5" || through.Scheme == "socks5h":
		conn, err = dialProxy(ctx, dial, through, addr, connectSOCKS)
	default:
		conn, err = c.tunnel(ctx, dial, through, addr)
	}
	if err != nil || r.URL.Scheme != "https" {
		return conn, err
	}
	return c.secure(ctx, conn, r.URL.Hostname())
}

// secure makes the handshake of TLS.
func (c *Conn) secure(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	config := c.opts.TLS.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	config.NextProtos = []string{"http/1.1"}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

// dialProxy opens a connection to a proxy and has connect ask it for one to addr.
func dialProxy(ctx context.Context, dial dialFunc, proxy *url.URL, addr string, connect func(net.Conn, *url.URL, string) error) (net.Conn, error) {
	conn, err := dial(ctx, "tcp", hostPort(proxy))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err = connect(conn, proxy, addr)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return conn, nil
}

// tunnel opens a connection through an HTTP proxy (RFC 9110 §9.3.6).
func (c *Conn) tunnel(ctx context.Context, dial dialFunc, proxy *url.URL, addr string) (net.Conn, error) {
	if proxy.Scheme == "https" {
		plain := dial
		dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := plain(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			config := c.opts.TLS.Clone()
			if config == nil {
				config = new(tls.Config)
			}
			config.ServerName = proxy.Hostname()
			return tls.Client(conn, config), nil
		}
	}
	return dialProxy(ctx, dial, proxy, addr, connectTo)
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
