package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	namespace = "/login"
	// maxEvents bounds what a client has not looked at yet; the login sends a
	// handful. More is a fault of the server, and ends the connection.
	maxEvents = 64
)

var (
	errClosed   = errors.New("scenario: the connection is closed")
	errProtocol = errors.New("scenario: unexpected packet")
)

// message is an event of the server. A token asks to be acknowledged: ackID.
type message struct {
	name  string
	args  []json.RawMessage
	ackID string
}

// client is the least of a Socket.IO v5 client: Engine.IO v4 over WebSocket,
// text only, one namespace.
type client struct {
	conn   *websocket.Conn
	events chan message  // closed when the connection is over
	done   chan struct{} // closed when the reader has ended

	mu           sync.Mutex // guards what follows
	acks         map[string]chan []json.RawMessage
	nextAck      int
	disconnected bool // the server left the namespace ("io server disconnect")
}

// dialer opens connections to the gateway.
type dialer struct {
	http *http.Client
	path string // of Socket.IO, "/socket.io/"
}

// newDialer spreads the clients over the addresses of 127.0.0.0/8 when from is
// such an address, because gateways limit what one address may do.
func newDialer(from net.IP, path string) *dialer {
	d := &net.Dialer{Timeout: 10 * time.Second}
	if from != nil {
		d.LocalAddr = &net.TCPAddr{IP: from}
	}
	return &dialer{path: path, http: &http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}}
}

// connect opens a connection and joins the namespace.
func (d *dialer) connect(ctx context.Context, gateway string) (*client, error) {
	u, err := url.Parse(gateway)
	if err != nil {
		return nil, err
	}
	u.Path = d.path
	u.RawQuery = "EIO=4&transport=websocket"
	conn, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: d.http}) //nolint:bodyclose // Dial closes it
	if err != nil {
		if resp != nil && resp.StatusCode == http.StatusTooManyRequests {
			return nil, &failure{Code: "rate_limited", Message: "handshake refused", RetryAfter: 1}
		}
		return nil, fmt.Errorf("scenario: connect: %w", err)
	}
	conn.SetReadLimit(1 << 20)
	c := &client{
		conn: conn, events: make(chan message, maxEvents), done: make(chan struct{}),
		acks: make(map[string]chan []json.RawMessage),
	}
	if err := c.join(ctx); err != nil {
		_ = conn.CloseNow()
		return nil, err
	}
	go c.read() // ends with the connection; close waits for it
	return c, nil
}

// join does the two handshakes: Engine.IO's open, then CONNECT.
func (c *client) join(ctx context.Context) error {
	if packet, err := c.next(ctx); err != nil || !strings.HasPrefix(packet, "0") {
		return fmt.Errorf("%w instead of open: %.40q %w", errProtocol, packet, err)
	}
	if err := c.conn.Write(ctx, websocket.MessageText, []byte("40"+namespace+",")); err != nil {
		return err
	}
	for {
		packet, err := c.next(ctx)
		switch {
		case err != nil:
			return err
		case packet == "2":
			if err := c.conn.Write(ctx, websocket.MessageText, []byte("3")); err != nil {
				return err
			}
		case strings.HasPrefix(packet, "40"+namespace):
			return nil
		case strings.HasPrefix(packet, "44"+namespace+","):
			return connectError(packet[len("44"+namespace+","):])
		default:
			return fmt.Errorf("%w instead of CONNECT: %.40q", errProtocol, packet)
		}
	}
}

func (c *client) next(ctx context.Context) (string, error) {
	_, data, err := c.conn.Read(ctx)
	return string(data), err
}

// read handles everything the server sends until the connection ends.
func (c *client) read() {
	defer close(c.done)
	defer close(c.events)
	defer c.failAcks()
	for {
		// The connection's own end is what stops this read, not a context.
		packet, err := c.next(context.Background())
		if err != nil || !c.handle(packet) {
			_ = c.conn.CloseNow()
			return
		}
	}
}

// handle reports whether to go on.
func (c *client) handle(packet string) bool {
	switch {
	case packet == "2":
		return c.write(context.Background(), "3") == nil
	case packet == "6" || packet == "1":
		return packet == "6"
	case strings.HasPrefix(packet, "41"+namespace):
		c.mu.Lock()
		c.disconnected = true
		c.mu.Unlock()
		return false
	case strings.HasPrefix(packet, "42"+namespace+","):
		m, ok := parseEvent(packet[len("42"+namespace+","):])
		if !ok {
			return false
		}
		select {
		case c.events <- m:
			return true
		default:
			return false // no login has that many events
		}
	case strings.HasPrefix(packet, "43"+namespace+","):
		id, rest := cutDigits(packet[len("43"+namespace+","):])
		var args []json.RawMessage
		if json.Unmarshal([]byte(rest), &args) != nil {
			return false
		}
		c.mu.Lock()
		waiting := c.acks[id]
		delete(c.acks, id)
		c.mu.Unlock()
		if waiting != nil {
			waiting <- args // capacity 1, sent once
		}
		return true
	default:
		return false
	}
}

func (c *client) failAcks() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, waiting := range c.acks {
		close(waiting)
		delete(c.acks, id)
	}
	c.acks = nil
}

// write sends one packet. Its deadline is short: the peers are on this machine.
func (c *client) write(ctx context.Context, packet string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, []byte(packet))
}

// call emits an event and waits for its ack.
func (c *client) call(ctx context.Context, event string, args ...any) ([]json.RawMessage, error) {
	payload, err := json.Marshal(append([]any{event}, args...))
	if err != nil {
		return nil, err
	}
	waiting := make(chan []json.RawMessage, 1)
	c.mu.Lock()
	if c.acks == nil {
		c.mu.Unlock()
		return nil, errClosed
	}
	id := strconv.Itoa(c.nextAck)
	c.nextAck++
	c.acks[id] = waiting
	c.mu.Unlock()
	if err := c.write(ctx, "42"+namespace+","+id+string(payload)); err != nil {
		return nil, fmt.Errorf("%w: %w", errClosed, err)
	}
	select {
	case answer, ok := <-waiting:
		if !ok {
			return nil, errClosed
		}
		return answer, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// acknowledge answers an event that asked for it.
func (c *client) acknowledge(ctx context.Context, m message) error {
	if m.ackID == "" {
		return nil
	}
	return c.write(ctx, "43"+namespace+","+m.ackID+"[]")
}

// cut ends the connection as a lost network does: without a word.
func (c *client) cut() {
	_ = c.conn.CloseNow()
	<-c.done
}

// left tells whether the server ended the namespace itself.
func (c *client) left() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.disconnected
}

func parseEvent(text string) (message, bool) {
	id, rest := cutDigits(text)
	var args []json.RawMessage
	if json.Unmarshal([]byte(rest), &args) != nil || len(args) == 0 {
		return message{}, false
	}
	m := message{args: args[1:], ackID: id}
	return m, json.Unmarshal(args[0], &m.name) == nil
}

func cutDigits(text string) (digits, rest string) {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return text[:n], text[n:]
}

// failure is an error the gateway answered (docs/login.md §2).
type failure struct {
	Code       string  `json:"code"`
	Message    string  `json:"message"`
	RetryAfter float64 `json:"retryAfter"`
}

func (f *failure) Error() string { return f.Code + ": " + f.Message }

func connectError(text string) error {
	var body struct {
		Message string   `json:"message"`
		Data    *failure `json:"data"`
	}
	if json.Unmarshal([]byte(text), &body) != nil {
		return fmt.Errorf("%w: CONNECT_ERROR %.40q", errProtocol, text)
	}
	if body.Data != nil && body.Data.Code != "" {
		return body.Data
	}
	return &failure{Code: "connect_error", Message: body.Message}
}
