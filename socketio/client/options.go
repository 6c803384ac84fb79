package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	engine "posthouse/socketio/engineio/client"
	"posthouse/socketio/parser"
)

// Options configure a Manager and its sockets. A zero field means the default, which is
// that of socket.io-client 4.8 where it has one; nil options mean all defaults.
type Options struct {
	// Transports are tried in this order: see engineio/client. Default: polling, which is
	// upgraded to a WebSocket.
	Transports []string
	// NoUpgrade keeps a connection on its first transport.
	NoUpgrade bool
	// RememberUpgrade begins with a WebSocket when the last connection ended as one.
	RememberUpgrade bool
	// TryAllTransports goes on with the next transport when a handshake fails.
	TryAllTransports bool
	// EIO is the revision of Engine.IO: 4, or 3 for servers of Socket.IO 2.
	EIO int
	// Path of the server, default "/socket.io/".
	Path string
	// Query is added to every request.
	Query url.Values
	// Header is added to every request.
	Header http.Header
	// Jar keeps the cookies of the server and of balancers; nil means none.
	Jar http.CookieJar
	// TLS configures https and wss. Certificates are verified unless it says otherwise.
	TLS *tls.Config
	// Proxy chooses a proxy; default http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)
	// DialContext opens TCP connections; default that of a net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// WebTransport makes "webtransport" a transport: see package engineio/webtransport.
	WebTransport engine.DialStream
	// MaxPayload bounds what the server may send at once, in bytes; default 16 MiB. The
	// attachments of one event may have as many together, or MaxQueued if that is more.
	MaxPayload int

	// Codec is the format of packets; default parser.Default, which is JSON.
	Codec parser.Codec
	// NoReconnect leaves a lost connection lost.
	NoReconnect bool
	// ReconnectAttempts is how many attempts in a row may fail; 0 means no limit.
	ReconnectAttempts int
	// ReconnectDelay is the first delay, default 1 s. It doubles with each attempt.
	ReconnectDelay time.Duration
	// ReconnectDelayMax is the longest delay, default 5 s.
	ReconnectDelayMax time.Duration
	// RandomizationFactor spreads the delays, default 0.5: by half in both directions.
	// Negative means not at all.
	RandomizationFactor float64
	// Timeout bounds one attempt to connect, default 20 s; negative means no bound.
	Timeout time.Duration

	// Auth is sent when a namespace is joined: a value that is a JSON object. Servers of
	// Socket.IO 2 get it as the query of the namespace.
	Auth any
	// AuthFunc returns Auth anew for each connection. When it fails, the socket's
	// OnConnectError functions are told, and it is called again after the reconnection delay.
	AuthFunc func(ctx context.Context) (any, error)
	// Retries makes events be sent again until they are acknowledged, so many times beside
	// the first, in order and one at a time. A server may see an event twice.
	Retries int
	// AckTimeout bounds the wait for an acknowledgement; default none but the context's.
	AckTimeout time.Duration
	// MaxBuffered bounds what waits to be sent, in bytes: while there is no connection
	// for each socket, and on a connection that is slow. Default 16 MiB; more is ErrBufferFull.
	MaxBuffered int
	// MaxQueued bounds what was received and waits for the handlers of a socket, in bytes;
	// default 16 MiB. Then the connection is not read until they have caught up.
	MaxQueued int
	// Logger gets a line for events that are given up; nil means slog.Default().
	Logger *slog.Logger
}

const (
	defaultMax = 16 << 20
	// eventCost is what a waiting event costs beside its bytes, about.
	eventCost = 256
	// maxAcks bounds the acknowledgements that one socket waits for.
	maxAcks = 1 << 16
)

// setDefaults replaces what is zero.
func (o *Options) setDefaults() {
	if o.EIO == 0 {
		o.EIO = 4
	}
	if len(o.Transports) == 0 {
		o.Transports = []string{"polling", "websocket"}
		if o.WebTransport != nil {
			o.Transports = append(o.Transports, "webtransport")
		}
	}
	if o.Path == "" {
		o.Path = "/socket.io/"
	}
	if o.ReconnectDelay <= 0 {
		o.ReconnectDelay = time.Second
	}
	if o.ReconnectDelayMax <= 0 {
		o.ReconnectDelayMax = 5 * time.Second
	}
	if o.RandomizationFactor == 0 {
		o.RandomizationFactor = 0.5
	}
	if o.Timeout == 0 {
		o.Timeout = 20 * time.Second
	}
	if o.MaxBuffered <= 0 {
		o.MaxBuffered = defaultMax
	}
	if o.MaxQueued <= 0 {
		o.MaxQueued = defaultMax
	}
	if o.Codec == nil {
		together := max(o.MaxPayload, o.MaxQueued)
		o.Codec = parser.Default(&parser.Options{MaxAttachmentBytes: int64(together)})
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// engineOptions are those of the connection.
func (o *Options) engineOptions(transports []string) *engine.Options {
	return &engine.Options{
		EIO: o.EIO, Transports: transports, NoUpgrade: o.NoUpgrade, TryAllTransports: o.TryAllTransports,
		Path: o.Path, Query: o.Query, Header: o.Header, Jar: o.Jar, TLS: o.TLS, Proxy: o.Proxy,
		DialContext: o.DialContext, WebTransport: o.WebTransport, MaxPayload: o.MaxPayload, MaxBuffered: o.MaxBuffered,
	}
}

// delay returns how long to wait before an attempt, the first being 1.
func (o *Options) delay(attempt int) time.Duration {
	d := float64(o.ReconnectDelay)
	for ; attempt > 1 && d < float64(o.ReconnectDelayMax); attempt-- {
		d *= 2
	}
	if f := o.RandomizationFactor; f > 0 {
		d += d * f * (2*rand.Float64() - 1)
	}
	return time.Duration(min(max(d, 0), float64(o.ReconnectDelayMax)))
}

// splitURL takes the namespace, which is the path, from the URL of New and Dial.
func splitURL(rawURL string) (base, namespace string, err error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", "", fmt.Errorf("socketio client: %w", err)
	}
	namespace = u.Path
	if namespace == "" {
		namespace = "/"
	}
	u.Path, u.RawPath = "", ""
	return u.String(), namespace, nil
}
