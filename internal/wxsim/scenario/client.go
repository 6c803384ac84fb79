package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"posthouse/socketio"
	sio "posthouse/socketio/client"
	engine "posthouse/socketio/engineio/client"
)

const (
	namespace = "/login"
	// maxEvents bounds what a client has not looked at yet; the login sends a
	// handful. More is a fault of the server, and ends the connection.
	maxEvents = 64
	// maxMessage bounds what the gateway may send at once.
	maxMessage = 1 << 20
)

var (
	errClosed   = errors.New("scenario: the connection is closed")
	errProtocol = errors.New("scenario: unexpected packet")
)

// message is an event of the server.
type message struct {
	name  string
	args  []json.RawMessage
	event *sio.Event // to acknowledge
}

// client is one connection to the namespace, which does not come back by itself.
type client struct {
	socket *sio.Socket
	events chan message    // closed when the connection is over, behind done
	done   <-chan struct{} // closed when the connection is over
	life   context.Context // ends with done

	disconnected bool // the server left the namespace; read behind done
}

// dialer opens connections to the gateway.
type dialer struct {
	http *http.Client // for requests beside the connections
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	path string // of Socket.IO, "/socket.io/"
}

// newDialer spreads the clients over the addresses of 127.0.0.0/8 when from is
// such an address, because gateways limit what one address may do.
func newDialer(from net.IP, path string) *dialer {
	d := &net.Dialer{Timeout: 10 * time.Second}
	if from != nil {
		d.LocalAddr = &net.TCPAddr{IP: from}
	}
	return &dialer{
		path: path, dial: d.DialContext,
		http: &http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}},
	}
}

// connect opens a connection and joins the namespace.
func (d *dialer) connect(ctx context.Context, gateway string) (*client, error) {
	socket, err := sio.New(gateway+namespace, &sio.Options{
		Transports: []string{"websocket"}, Path: d.path, DialContext: d.dial, NoReconnect: true, MaxPayload: maxMessage,
	})
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.Background())
	c := &client{socket: socket, events: make(chan message, maxEvents), done: life.Done(), life: life}
	socket.OnAny(c.take)
	socket.OnDisconnect(func(reason socketio.Reason, _ error) {
		c.disconnected = reason == sio.ReasonServerDisconnect
		end()
		close(c.events)
	})
	if err := socket.Connect(ctx); err != nil {
		_ = socket.Close()
		end()
		return nil, refusal(err)
	}
	return c, nil
}

// refusal returns the error of a connection that was not made, a *failure when the gateway
// refused it.
func refusal(err error) error {
	var status *engine.StatusError
	if errors.As(err, &status) && status.Status == http.StatusTooManyRequests {
		return &failure{Code: "rate_limited", Message: "handshake refused", RetryAfter: 1}
	}
	var refused *socketio.ConnectError
	if !errors.As(err, &refused) {
		return fmt.Errorf("scenario: connect: %w", err)
	}
	var f failure
	if data, ok := refused.Data.(json.RawMessage); ok && json.Unmarshal(data, &f) == nil && f.Code != "" {
		return &f
	}
	return &failure{Code: "connect_error", Message: refused.Message}
}

// take keeps an event for its tab.
func (c *client) take(e *sio.Event) {
	m := message{name: e.Name(), event: e}
	for i := range e.Args().Len() {
		m.args = append(m.args, e.Args().JSON(i))
	}
	select {
	case c.events <- m:
	default: // no login has that many events
		c.socket.Manager().Drop()
	}
}

// call emits an event and waits for its ack.
func (c *client) call(ctx context.Context, event string, args ...any) ([]json.RawMessage, error) {
	calling, cancel := context.WithCancel(ctx)
	defer cancel()
	// An event that is not sent any more would wait for a connection that never comes.
	defer context.AfterFunc(c.life, cancel)()
	answer, err := c.socket.EmitWithAck(calling, event, args...)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", errClosed, err)
	}
	values := make([]json.RawMessage, answer.Len())
	for i := range values {
		values[i] = answer.JSON(i)
	}
	return values, nil
}

// acknowledge answers an event that asked for it.
func (c *client) acknowledge(m message) error {
	if !m.event.WantsAck() {
		return nil
	}
	return m.event.Ack()
}

// cut ends the connection as a lost network does: without a word.
func (c *client) cut() {
	c.socket.Manager().Drop()
	_ = c.socket.Close()
	<-c.done
}

// left tells whether the server ended the namespace itself. False while the connection is
// there.
func (c *client) left() bool {
	select {
	case <-c.done:
		return c.disconnected
	default:
		return false
	}
}

// failure is an error the gateway answered (docs/login.md §2).
type failure struct {
	Code       string  `json:"code"`
	Message    string  `json:"message"`
	RetryAfter float64 `json:"retryAfter"`
}

func (f *failure) Error() string { return f.Code + ": " + f.Message }
