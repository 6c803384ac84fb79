package adapter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// EmitterOptions configure NewEmitter. The zero value is Node's default.
type EmitterOptions struct {
	// Key is that of RedisOptions; "" means "socket.io".
	Key string
}

// Emitter reaches the sockets of a cluster from a process that has none: a
// worker, a command-line tool. It selects sockets of one namespace, and is an
// immutable value: its methods return changed copies, so that one can be kept,
// shared and refined. Every call that sends waits for Redis to take the message,
// so that messages of one caller arrive in order. It has no goroutines, nothing
// to close, and is safe for concurrent use.
type Emitter struct {
	wire *emitterWire
	nsp  string
	opts socketio.BroadcastOptions
}

// emitterWire puts messages into the words of one kind of adapter.
type emitterWire struct {
	nodes redisNodes
	err   error // from the constructor: given to the first call that sends
	// emit makes the command of a broadcast, change that of everything else.
	emit   func(p *parser.Packet, o *socketio.BroadcastOptions) (command, error)
	change func(m *clusterMessage) (command, error)
}

// NewEmitter talks to the nodes that use Redis, as @socket.io/redis-emitter does.
// For rdb see Redis. Nil options mean the defaults.
func NewEmitter(rdb redis.UniversalClient, opts *EmitterOptions) *Emitter {
	key := "socket.io"
	if opts != nil && opts.Key != "" {
		key = opts.Key
	}
	w := newEmitterWire(rdb)
	w.emit = func(p *parser.Packet, o *socketio.BroadcastOptions) (command, error) {
		b, err := appendClassicBroadcast(nil, emitterUID, p, o, emitterOrder)
		channel := key + "#" + p.Namespace + "#"
		if len(o.Rooms) == 1 {
			channel += o.Rooms[0] + "#"
		}
		c := publishCommand("publish", channel, b)
		c.key = key + "#" + p.Namespace + "#" // where the namespace's adapters publish
		return c, err
	}
	w.change = func(m *clusterMessage) (command, error) {
		req := classicRequest{Opts: selectionOf(&m.opts)}
		rooms := notNil(m.rooms)
		switch m.typ {
		case clusterJoin:
			req.Type, req.Rooms = classicJoin, &rooms
		case clusterLeave:
			req.Type, req.Rooms = classicLeave, &rooms
		case clusterDisconnect:
			req.Type, req.Close = classicDisconnect, &m.closeConn
		default:
			req = classicRequest{UID: emitterUID, Type: classicServerSideEmit, Data: bufferJSON(m.value)}
		}
		b, err := marshal(req)
		c := publishCommand("publish", key+"-request#"+m.nsp+"#", b)
		c.key = key + "#" + m.nsp + "#"
		return c, err
	}
	return &Emitter{wire: w, nsp: "/"}
}

// NewShardedEmitter talks to the nodes that use ShardedRedis; of the options it
// needs the prefix and the mode of these nodes.
func NewShardedEmitter(rdb redis.UniversalClient, opts *ShardedOptions) *Emitter {
	var o ShardedOptions
	if opts != nil {
		o = *opts
	}
	o = o.withDefaults()
	w := newEmitterWire(rdb)
	w.emit = func(p *parser.Packet, b *socketio.BroadcastOptions) (command, error) {
		m := &clusterMessage{typ: clusterBroadcast, uid: emitterUID, nsp: p.Namespace, packet: p, opts: *b}
		text, err := m.encodeSharded()
		return publishCommand("spublish", o.SubscriptionMode.channelOf(o.ChannelPrefix+"#"+p.Namespace+"#", b), text), err
	}
	w.change = func(m *clusterMessage) (command, error) {
		text, err := m.encodeSharded()
		return publishCommand("spublish", o.ChannelPrefix+"#"+m.nsp+"#", text), err
	}
	return &Emitter{wire: w, nsp: "/"}
}

// NewStreamsEmitter talks to the nodes that use RedisStreams, as
// @socket.io/redis-streams-emitter does; of the options it needs what names the
// streams, and MaxLen.
func NewStreamsEmitter(rdb redis.UniversalClient, opts *StreamsOptions) *Emitter {
	var o StreamsOptions
	if opts != nil {
		o = *opts
	}
	o = o.withDefaults()
	w := newEmitterWire(rdb)
	add := func(m *clusterMessage) (command, error) {
		stream := streamOf(o.StreamName, o.StreamCount, m.nsp, o.SafeStreamNames)
		args, err := m.entryArgs(stream, int64(o.MaxLen))
		return command{key: stream, args: args}, err
	}
	w.emit = func(p *parser.Packet, b *socketio.BroadcastOptions) (command, error) {
		return add(&clusterMessage{typ: clusterBroadcast, uid: emitterUID, nsp: p.Namespace, packet: p, opts: *b})
	}
	w.change = add
	return &Emitter{wire: w, nsp: "/"}
}

func newEmitterWire(rdb redis.UniversalClient) *emitterWire {
	w := &emitterWire{}
	w.nodes, w.err = newRedisNodes(rdb)
	return w
}

func (w *emitterWire) send(ctx context.Context, c command, err error) error {
	if err = errors.Join(w.err, err); err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultRequestsTimeout)
		defer cancel()
	}
	cmd := redis.NewCmd(ctx, c.args...)
	if w.nodes.cluster != nil && c.args[0] != "publish" {
		cmd.SetFirstKeyPos(1)
		return w.nodes.cluster.Process(ctx, once{cmd})
	}
	node, err := w.nodes.owner(ctx, c.key)
	if err != nil {
		return err
	}
	return node.Process(ctx, once{cmd})
}

func (e *Emitter) with(change func(*Emitter)) *Emitter {
	c := *e
	c.opts.Rooms, c.opts.Except = slices.Clone(e.opts.Rooms), slices.Clone(e.opts.Except)
	change(&c)
	return &c
}

// Of returns an emitter for a namespace, with all its sockets selected. A missing
// leading slash is added.
func (e *Emitter) Of(namespace string) *Emitter {
	if !strings.HasPrefix(namespace, "/") {
		namespace = "/" + namespace
	}
	return &Emitter{wire: e.wire, nsp: namespace}
}

// To adds rooms: the sockets in any of them are selected. Without rooms all
// sockets of the namespace are. The id of a socket is a room.
func (e *Emitter) To(rooms ...string) *Emitter {
	return e.with(func(c *Emitter) { c.opts.Rooms = appendNew(c.opts.Rooms, rooms) })
}

// In is To.
func (e *Emitter) In(rooms ...string) *Emitter { return e.To(rooms...) }

// Except excludes the sockets in any of the rooms.
func (e *Emitter) Except(rooms ...string) *Emitter {
	return e.with(func(c *Emitter) { c.opts.Except = appendNew(c.opts.Except, rooms) })
}

func appendNew(list, add []string) []string {
	for _, s := range add {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// Volatile lets events be dropped for clients that cannot take them right now.
func (e *Emitter) Volatile() *Emitter {
	return e.with(func(c *Emitter) { c.opts.Flags.Volatile = true })
}

// Compress asks for compression of the events or not. The default is true.
func (e *Emitter) Compress(on bool) *Emitter {
	return e.with(func(c *Emitter) { c.opts.Flags.NoCompress = !on })
}

// Emit sends an event to the selected sockets. It returns socketio.ErrReserved
// for the names that Socket.IO uses itself.
func (e *Emitter) Emit(ctx context.Context, event string, args ...any) error {
	if parser.Reserved(event) {
		return fmt.Errorf("%w: %q", socketio.ErrReserved, event)
	}
	v, err := eventValue(event, args)
	if err != nil {
		return err
	}
	p := &parser.Packet{Type: parser.Event, Namespace: e.nsp, Data: v.JSON, Attachments: v.Attachments}
	c, err := e.wire.emit(p, &e.opts)
	return e.wire.send(ctx, c, err)
}

func eventValue(event string, args []any) (v socketio.Value, err error) {
	list, attachments, err := parser.AppendArgs([]byte{'['}, nil, append([]any{event}, args...)...)
	return socketio.Value{JSON: append(list, ']'), Attachments: attachments}, err
}

// SocketsJoin makes the selected sockets join rooms.
func (e *Emitter) SocketsJoin(ctx context.Context, rooms ...string) error {
	return e.change(ctx, &clusterMessage{typ: clusterJoin, rooms: rooms})
}

// SocketsLeave makes the selected sockets leave rooms.
func (e *Emitter) SocketsLeave(ctx context.Context, rooms ...string) error {
	return e.change(ctx, &clusterMessage{typ: clusterLeave, rooms: rooms})
}

// DisconnectSockets disconnects the selected sockets; closeConn also closes
// their connections.
func (e *Emitter) DisconnectSockets(ctx context.Context, closeConn bool) error {
	return e.change(ctx, &clusterMessage{typ: clusterDisconnect, closeConn: closeConn})
}

// ServerSideEmit sends an event to the namespace of all servers. There are no
// acknowledgements.
func (e *Emitter) ServerSideEmit(ctx context.Context, event string, args ...any) error {
	v, err := eventValue(event, args)
	if err != nil {
		return err
	}
	return e.change(ctx, &clusterMessage{typ: clusterServerSideEmit, value: v})
}

func (e *Emitter) change(ctx context.Context, m *clusterMessage) error {
	m.uid, m.nsp, m.opts = emitterUID, e.nsp, e.opts
	c, err := e.wire.change(m)
	return e.wire.send(ctx, c, err)
}
