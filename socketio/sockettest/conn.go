package sockettest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"posthouse/socketio/engineio"
)

// Wait bounds every wait of this package: a test that hangs fails instead.
const Wait = 10 * time.Second

// ErrClosed is returned by reads of a connection that has ended.
var ErrClosed = errors.New("sockettest: connection closed")

// DialOptions say how to connect. Nil means a WebSocket with nothing special.
type DialOptions struct {
	Transport string      // "websocket" (default) or "polling", never upgraded
	Protocol  int         // Engine.IO revision 4 (default) or, over WebSocket, 3
	Query     url.Values  // further query parameters
	Header    http.Header // further headers of all requests
}

// Conn is one Engine.IO connection: messages as they are on the wire. It answers
// pings. Methods are safe for concurrent use.
type Conn struct {
	SID      string // session id
	server   *Server
	link     link
	protocol int

	mu     sync.Mutex // guards what follows
	queue  []engineio.Message
	err    error         // why reading ended
	signal chan struct{} // closed and replaced when something above changes
	done   chan struct{}
}

type link interface {
	write(op byte, data []byte) error
	read() (data []byte, isBinary bool, err error)
	close()
}

// Dial opens a connection; nothing is sent to any namespace yet.
func (s *Server) Dial(o *DialOptions) (*Conn, error) {
	var opts DialOptions
	if o != nil {
		opts = *o
	}
	if opts.Protocol == 0 {
		opts.Protocol = 4
	}
	if opts.Transport == "" {
		opts.Transport = "websocket"
	}
	query := url.Values{}
	for k, v := range opts.Query {
		query[k] = v
	}
	query.Set("EIO", fmt.Sprint(opts.Protocol))
	query.Set("transport", opts.Transport)
	path := s.opts.Engine.Path
	if path == "" {
		path = "/socket.io/"
	}
	uri := path + "?" + query.Encode()
	c := &Conn{server: s, protocol: opts.Protocol, signal: make(chan struct{}), done: make(chan struct{})}
	if opts.Transport == "polling" {
		ctx, cancel := context.WithCancel(context.Background())
		c.link = &polling{client: s.Client(), uri: uri, header: opts.Header, ctx: ctx, cancel: cancel}
	} else {
		pipe, err := s.DialContext(context.Background(), "", "")
		if err != nil {
			return nil, err
		}
		if c.link, err = dialWebSocket(pipe, uri, opts.Header); err != nil {
			_ = pipe.Close()
			return nil, err
		}
	}
	if err := c.open(uri); err != nil {
		c.link.close()
		return nil, err
	}
	go c.read() // ends with the connection; Cleanup waits for it
	s.t.Cleanup(func() { c.Close(); <-c.done })
	return c, nil
}

func (c *Conn) open(uri string) error {
	data, _, err := c.link.read()
	if err != nil {
		return err
	}
	var open struct {
		SID string `json:"sid"`
	}
	if len(data) == 0 || data[0] != '0' || json.Unmarshal(data[1:], &open) != nil {
		return fmt.Errorf("sockettest: no open packet: %q", data)
	}
	c.SID = open.SID
	if p, ok := c.link.(*polling); ok {
		p.uri = uri + "&sid=" + url.QueryEscape(open.SID)
	}
	return nil
}

func (c *Conn) read() {
	defer close(c.done)
	for {
		data, isBinary, err := c.link.read()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: %w", ErrClosed, err)
			} else {
				err = ErrClosed
			}
			c.change(func() { c.err = err })
			c.link.close()
			return
		}
		switch {
		case isBinary && c.protocol == 3:
			if len(data) > 0 { // the first byte is the packet type
				c.change(func() { c.queue = append(c.queue, engineio.Message{Data: data[1:], Binary: true}) })
			}
		case isBinary:
			c.change(func() { c.queue = append(c.queue, engineio.Message{Data: data, Binary: true}) })
		case len(data) > 0 && data[0] == '4':
			c.change(func() { c.queue = append(c.queue, engineio.Message{Data: data[1:]}) })
		case string(data) == "2":
			_ = c.link.write(opText, []byte("3"))
		}
	}
}

func (c *Conn) change(f func()) {
	c.mu.Lock()
	f()
	close(c.signal)
	c.signal = make(chan struct{})
	c.mu.Unlock()
}

// Next returns the next message from the server.
func (c *Conn) Next(ctx context.Context) (engineio.Message, error) {
	for {
		c.mu.Lock()
		if len(c.queue) > 0 {
			m := c.queue[0]
			c.queue = c.queue[1:]
			c.mu.Unlock()
			return m, nil
		}
		err, signal := c.err, c.signal
		c.mu.Unlock()
		if err != nil {
			return engineio.Message{}, err
		}
		select {
		case <-signal:
		case <-ctx.Done():
			return engineio.Message{}, context.Cause(ctx)
		}
	}
}

// Text returns the next message, which must be a text; the test fails otherwise.
func (c *Conn) Text() string {
	c.server.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Wait)
	defer cancel()
	m, err := c.Next(ctx)
	if err != nil || m.Binary {
		c.server.t.Fatalf("sockettest: no text message but %x (binary %t): %v", m.Data, m.Binary, err)
	}
	return string(m.Data)
}

// SendText sends a message; the test fails when that does.
func (c *Conn) SendText(text string) {
	c.server.t.Helper()
	if err := c.Send(engineio.Message{Data: []byte(text)}); err != nil {
		c.server.t.Fatalf("sockettest: send: %v", err)
	}
}

// Send sends messages, one after the other.
func (c *Conn) Send(ms ...engineio.Message) error {
	for _, m := range ms {
		var err error
		switch {
		case m.Binary && c.protocol == 3:
			err = c.link.write(opBinary, append([]byte{4}, m.Data...))
		case m.Binary:
			err = c.link.write(opBinary, m.Data)
		default:
			err = c.link.write(opText, append([]byte("4"), m.Data...))
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrClosed, err)
		}
	}
	return nil
}

// Closed waits until the server has closed the connection; the test fails when
// it does not, or when a message comes instead.
func (c *Conn) Closed() {
	c.server.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Wait)
	defer cancel()
	if m, err := c.Next(ctx); !errors.Is(err, ErrClosed) {
		c.server.t.Fatalf("sockettest: connection still open: got %q, %v", m.Data, err)
	}
}

// Close drops the connection without a word, as a lost network does.
func (c *Conn) Close() { c.link.close() }
