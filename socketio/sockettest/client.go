package sockettest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

// Client is one Socket.IO client in one namespace, alone on its connection. Its
// methods fail the test when what they wait for does not come; they must be
// called from the test's goroutine, but for Emit.
type Client struct {
	Conn      *Conn
	ID        string // the socket's id
	PID       string // the private id for recovery, if any
	server    *Server
	namespace string
	codec     parser.Codec

	mu     sync.Mutex // orders the messages of concurrent sends
	lastID uint64

	// Used by the reading side, the test's goroutine:
	decoder parser.Decoder
	early   []*parser.Packet // read while waiting for something else
}

// Connect opens a WebSocket and joins a namespace with an auth object, nil for
// none. The test fails when the server refuses.
func (s *Server) Connect(namespace string, auth any) *Client {
	s.t.Helper()
	c, err := s.TryConnect(namespace, auth, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// TryConnect is Connect that returns the refusal, a *socketio.ConnectError
// whose Data is a json.RawMessage.
func (s *Server) TryConnect(namespace string, auth any, o *DialOptions) (*Client, error) {
	s.t.Helper()
	conn, err := s.Dial(o)
	if err != nil {
		return nil, err
	}
	c := &Client{Conn: conn, server: s, namespace: namespace, codec: s.opts.Codec}
	if c.codec == nil {
		c.codec = parser.Default(nil)
	}
	c.decoder = c.codec.NewDecoder()
	return c, c.join(auth)
}

func (c *Client) join(auth any) error {
	if c.Conn.protocol != 3 || c.namespace != "/" {
		p := &parser.Packet{Type: parser.Connect, Namespace: c.namespace}
		if auth != nil {
			var err error
			if p.Data, err = json.Marshal(auth); err != nil {
				return err
			}
		}
		if err := c.send(p); err != nil {
			return err
		}
	}
	p := c.wait("an answer to CONNECT", func(p *parser.Packet) bool {
		return p.Namespace == c.namespace && (p.Type == parser.Connect || p.Type == parser.ConnectError)
	})
	var answer struct {
		SID, PID, Message string
		Data              json.RawMessage
	}
	if len(p.Data) > 0 {
		if err := json.Unmarshal(p.Data, &answer); err != nil {
			answer.Message = string(p.Data) // revision 3 sends a string, or the data
		}
	}
	if p.Type == parser.ConnectError {
		refusal := &socketio.ConnectError{Message: answer.Message}
		if answer.Data != nil {
			refusal.Data = answer.Data
		}
		return refusal
	}
	c.ID, c.PID = answer.SID, answer.PID
	return nil
}

func (c *Client) send(p *parser.Packet) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	messages, err := c.codec.Encode(nil, p)
	if err != nil {
		return err
	}
	return c.Conn.Send(messages...)
}

// next reads one packet.
func (c *Client) next(ctx context.Context) (*parser.Packet, error) {
	for {
		m, err := c.Conn.Next(ctx)
		if err != nil {
			return nil, err
		}
		p, err := c.decoder.Add(engineio.Message{Data: m.Data, Binary: m.Binary})
		if err != nil {
			return nil, err
		}
		if p != nil {
			own := *p
			own.Data = slices.Clone(p.Data)
			if p.ID != nil {
				id := *p.ID
				own.ID = &id
			}
			return &own, nil
		}
	}
}

// wait returns the first packet that matches, keeping the others for later.
func (c *Client) wait(what string, match func(*parser.Packet) bool) *parser.Packet {
	c.server.t.Helper()
	for i, p := range c.early {
		if match(p) {
			c.early = slices.Delete(c.early, i, i+1)
			return p
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), Wait)
	defer cancel()
	for {
		p, err := c.next(ctx)
		if err != nil {
			c.server.t.Fatalf("sockettest: waiting for %s: %v", what, err)
		}
		if match(p) {
			return p
		}
		c.early = append(c.early, p)
	}
}

func (c *Client) event(event string, args []any, id *uint64) *parser.Packet {
	list, attachments, err := parser.AppendArgs([]byte{'['}, nil, append([]any{event}, args...)...)
	if err != nil {
		c.server.t.Fatalf("sockettest: %v", err)
	}
	return &parser.Packet{Type: parser.Event, Namespace: c.namespace, ID: id, Data: append(list, ']'), Attachments: attachments}
}

// Emit sends an event.
func (c *Client) Emit(event string, args ...any) {
	c.server.t.Helper()
	if err := c.send(c.event(event, args, nil)); err != nil {
		c.server.t.Fatalf("sockettest: emit: %v", err)
	}
}

// Call sends an event, waits for its acknowledgement and returns its arguments.
func (c *Client) Call(event string, args ...any) Args {
	c.server.t.Helper()
	c.lastID++
	id := c.lastID
	if err := c.send(c.event(event, args, &id)); err != nil {
		c.server.t.Fatalf("sockettest: emit: %v", err)
	}
	p := c.wait(fmt.Sprintf("the acknowledgement of %q", event), func(p *parser.Packet) bool {
		return p.Type == parser.Ack && p.ID != nil && *p.ID == id
	})
	return Args{parser.List(p.Data), p.Attachments}
}

// Message is an event that the client received.
type Message struct {
	Name   string
	Args   Args
	client *Client
	id     *uint64
}

// Ack acknowledges the event, if the server asked for it.
func (m *Message) Ack(args ...any) {
	m.client.server.t.Helper()
	if m.id == nil {
		m.client.server.t.Fatalf("sockettest: the server asked for no acknowledgement of %q", m.Name)
	}
	list, attachments, err := parser.AppendArgs([]byte{'['}, nil, args...)
	if err == nil {
		err = m.client.send(&parser.Packet{Type: parser.Ack, Namespace: m.client.namespace, ID: m.id,
			Data: append(list, ']'), Attachments: attachments})
	}
	if err != nil {
		m.client.server.t.Fatalf("sockettest: acknowledge: %v", err)
	}
}

// Next returns the next event, whatever its name.
func (c *Client) Next() *Message {
	c.server.t.Helper()
	return c.message(c.wait("an event", func(p *parser.Packet) bool { return p.Type == parser.Event }))
}

// Expect returns the next event of that name; others stay for later.
func (c *Client) Expect(event string) *Message {
	c.server.t.Helper()
	return c.message(c.wait(fmt.Sprintf("the event %q", event), func(p *parser.Packet) bool {
		name, _ := parser.SplitEvent(p.Data)
		return p.Type == parser.Event && string(name) == event
	}))
}

func (c *Client) message(p *parser.Packet) *Message {
	name, list := parser.SplitEvent(p.Data)
	return &Message{Name: string(name), Args: Args{list, p.Attachments}, client: c, id: p.ID}
}

// Quiet fails the test when an event has come that the test has not read. It asks the
// server for an answer first, so that what was sent before has arrived.
func (c *Client) Quiet() {
	c.server.t.Helper()
	if err := c.send(&parser.Packet{Type: parser.Connect, Namespace: probe}); err != nil {
		c.server.t.Fatalf("sockettest: %v", err)
	}
	c.wait("an answer", func(p *parser.Packet) bool { return p.Namespace == probe })
	for _, p := range c.early {
		if p.Type == parser.Event {
			c.server.t.Fatalf("sockettest: unexpected event %s", p.Data)
		}
	}
}

// Disconnected waits until the server has disconnected the client from its
// namespace.
func (c *Client) Disconnected() {
	c.server.t.Helper()
	c.wait("DISCONNECT", func(p *parser.Packet) bool { return p.Type == parser.Disconnect && p.Namespace == c.namespace })
}

// Disconnect leaves the namespace, as the client's disconnect() does.
func (c *Client) Disconnect() {
	c.server.t.Helper()
	if err := c.send(&parser.Packet{Type: parser.Disconnect, Namespace: c.namespace}); err != nil {
		c.server.t.Fatalf("sockettest: disconnect: %v", err)
	}
}

// Close drops the connection without a word, as a lost network does.
func (c *Client) Close() { c.Conn.Close() }

// Args are the arguments of an event or an acknowledgement.
type Args struct {
	list        []byte
	Attachments [][]byte // binary values, in the order of their placeholders
}

// JSON returns the i-th argument, "" when there are fewer.
func (a Args) JSON(i int) string {
	for e := range parser.Elements(a.list) {
		if i == 0 {
			return string(e)
		}
		i--
	}
	return ""
}

// String returns the arguments as a JSON array.
func (a Args) String() string { return "[" + string(a.list) + "]" }

// Bind decodes the i-th argument into dst.
func (a Args) Bind(i int, dst any) error {
	return parser.Bind(json.RawMessage(a.JSON(i)), a.Attachments, dst)
}
