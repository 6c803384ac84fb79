package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"posthouse/socketio/engineio/internal/ws"
	"posthouse/socketio/internal/workers"
)

// DialStream opens the stream of a transport that HTTP does not carry, and is given by
// package engineio/webtransport. Read gives, and Write takes, unmasked frames of
// WebSocket; a message above maxPayload must not be passed on.
type DialStream func(ctx context.Context, url string, header http.Header, maxPayload int64) (net.Conn, error)

// Options say how to connect. A zero field means the default of engine.io-client; nil
// options mean all defaults.
type Options struct {
	// EIO is the revision of Engine.IO: 4, the default, or 3 for servers of Socket.IO 2.
	EIO int
	// Transports are tried in this order; the first opens the connection, the others are
	// for the upgrade. Default: "polling", "websocket", and "webtransport" with WebTransport.
	Transports []string
	// NoUpgrade keeps the connection on the transport that opened it.
	NoUpgrade bool
	// TryAllTransports makes a handshake that fails go on with the next of Transports.
	TryAllTransports bool
	// Path of the server, default "/engine.io/".
	Path string
	// Query is added to the query of every request.
	Query url.Values
	// Header is added to every request. Host sets the host.
	Header http.Header
	// Jar keeps cookies between the requests, of a balancer for instance; nil means none.
	Jar http.CookieJar
	// TLS configures wss and https. Certificates are verified unless it says otherwise.
	TLS *tls.Config
	// Proxy chooses a proxy; default http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)
	// DialContext opens TCP connections; default that of a net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// WebTransport opens WebTransport sessions: see package engineio/webtransport.
	WebTransport DialStream
	// MaxPayload bounds what the server may send at once, in bytes: one message, or one answer
	// to a poll; default 16 MiB.
	MaxPayload int
	// MaxBuffered bounds what waits to be sent, in bytes; default 16 MiB.
	MaxBuffered int
}

const (
	defaultMax     = 16 << 20
	upgradeTime    = 10 * time.Second // as the server's UpgradeTimeout
	closeTime      = 2 * time.Second  // how long Close waits for the server
	maxBeat        = 24 * time.Hour   // the longest pingInterval and pingTimeout together
	maxPayloadHint = 1 << 30          // more is taken for no limit
	maxHeader      = 64 << 10         // of an answer of HTTP
)

// dialer is what a connection needs to make its requests.
type dialer struct {
	opts    Options
	base    url.URL      // with path and query, without those of a request
	http    *http.Client // of polling; nil before it, and after an upgrade
	format  *ws.Format
	workers *workers.Pool
}

var errScheme = errors.New("engineio client: the URL must begin with http, https, ws or wss and name a host")

func newDialer(rawURL string, o *Options) (*dialer, error) {
	d := &dialer{workers: new(workers.Pool)}
	if o != nil {
		d.opts = *o
	}
	if d.opts.EIO == 0 {
		d.opts.EIO = 4
	}
	if d.opts.EIO != 3 && d.opts.EIO != 4 {
		return nil, fmt.Errorf("engineio client: Options.EIO is %d; 3 and 4 are known", d.opts.EIO)
	}
	if d.opts.MaxPayload <= 0 {
		d.opts.MaxPayload = defaultMax
	}
	if d.opts.MaxBuffered <= 0 {
		d.opts.MaxBuffered = defaultMax
	}
	if err := d.setTransports(); err != nil {
		return nil, err
	}
	if err := d.setURL(rawURL); err != nil {
		return nil, err
	}
	if d.opts.Proxy == nil {
		d.opts.Proxy = http.ProxyFromEnvironment
	}
	// Pings of a server are rare; its frames are not counted like those of a client.
	d.format = ws.NewFormat(&ws.Limits{MaxMessage: d.opts.MaxPayload, FromServer: true})
	return d, nil
}

// newHTTPClient returns a client for requests of polling.
func (d *dialer) newHTTPClient(proxy func(*http.Request) (*url.URL, error), dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Client{
		Jar: d.opts.Jar,
		// A redirect would carry Header to a host that the caller did not name.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: proxy, DialContext: dial, TLSClientConfig: d.opts.TLS.Clone(), Protocols: &protocols,
			DisableCompression: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxHeader,
		},
	}
}

// closeHTTP closes the connections of polling that are idle.
func (d *dialer) closeHTTP() {
	if d.http != nil {
		d.http.CloseIdleConnections()
	}
}

func (d *dialer) setTransports() error {
	if len(d.opts.Transports) == 0 {
		d.opts.Transports = []string{"polling", "websocket"}
		if d.opts.WebTransport != nil {
			d.opts.Transports = append(d.opts.Transports, "webtransport")
		}
	}
	for _, name := range d.opts.Transports {
		switch name {
		case "polling", "websocket":
		case "webtransport":
			if d.opts.WebTransport == nil || d.opts.EIO == 3 {
				return errors.New("engineio client: the transport webtransport needs Options.WebTransport, and EIO 4")
			}
		default:
			return fmt.Errorf("engineio client: unknown transport %q in Options.Transports", name)
		}
	}
	d.opts.Transports = slices.Clone(d.opts.Transports)
	return nil
}

func (d *dialer) setURL(rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return fmt.Errorf("engineio client: %w", err)
	}
	switch u.Scheme {
	case "http", "https":
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	default:
		return errScheme
	}
	if u.Host == "" {
		return errScheme
	}
	path := d.opts.Path
	if path == "" {
		path = "/engine.io"
	}
	query := u.Query()
	for name, values := range d.opts.Query {
		query[name] = values
	}
	query.Set("EIO", strconv.Itoa(d.opts.EIO))
	d.base = url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host, Path: "/" + strings.Trim(path, "/") + "/", RawQuery: query.Encode()}
	return nil
}

// url returns the URL of a request. Caches on the way never see one twice.
func (d *dialer) url(transport, sid string) string {
	u := d.base
	u.RawQuery += "&transport=" + transport + "&t=" + strconv.FormatUint(rand.Uint64()>>24, 36)
	if sid != "" {
		u.RawQuery += "&sid=" + url.QueryEscape(sid)
	}
	return u.String()
}

// setHeader adds Options.Header to a request.
func (d *dialer) setHeader(r *http.Request) {
	for name, values := range d.opts.Header {
		if name = http.CanonicalHeaderKey(name); name == "Host" && len(values) > 0 {
			r.Host = values[0]
			continue
		}
		r.Header[name] = slices.Clone(values)
	}
}

// maskKey returns the key of one frame.
func maskKey() (key [4]byte) {
	n := rand.Uint32()
	return [4]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
}
