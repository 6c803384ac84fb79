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
	// Log is that of RedisOptions: with it the events are in the log of these nodes.
	Log *LogOptions
}

// Emitter reaches the sockets of a cluster from a process that has none: a
// worker, a command-line tool. It selects sockets of one namespace, and is an
// immutable value: its methods return changed copies, so that one can be kept,
// shared and refined. Every call that sends waits for Redis to take the message,
// so that messages of one caller arrive in order. It has no goroutines, nothing
// to close, and is safe for concurrent use.
type Emitter struct {
	wire      *emitterWire
	namespace string
	options   socketio.BroadcastOptions
}

// emitterWire puts messages into the words of one kind of adapter.
type emitterWire struct {
	nodes            redisNodes
	constructorError error // from the constructor: given to the first call that sends
	// emitCommand makes the command of a broadcast, change that of everything else.
	emitCommand   func(p *parser.Packet, o *socketio.BroadcastOptions) (redisCommand, error)
	changeCommand func(m *clusterMessage) (redisCommand, error)
	// logged makes the commands of the broadcasts of a namespace instead, if there is a log.
	logged func(namespace string) *logPublisher
}

// NewEmitter talks to the nodes that use Redis, as @socket.io/redis-emitter does.
// For rdb see Redis. Nil options mean the defaults.
func NewEmitter(rdb redis.UniversalClient, opts *EmitterOptions) *Emitter {
	key := "socket.io"
	var log *LogOptions
	if opts != nil {
		log = opts.Log
		if opts.Key != "" {
			key = opts.Key
		}
	}
	uid := loggedName(emitterUID, log)
	w := newEmitterWire(rdb)
	encode := func(p *parser.Packet, o *socketio.BroadcastOptions) (channel string, b []byte, err error) {
		b, err = appendClassicBroadcast(nil, uid, p, o, emitterOrder)
		channel = key + "#" + p.Namespace + "#"
		if len(o.Rooms) == 1 {
			channel += o.Rooms[0] + "#"
		}
		return channel, b, err
	}
	if log != nil {
		l := log.publisher(key, "publish", func(m *clusterMessage) (string, []byte, error) { return encode(m.packet, &m.options) })
		w.logged = func(string) *logPublisher { return l }
	}
	w.emitCommand = func(p *parser.Packet, o *socketio.BroadcastOptions) (redisCommand, error) {
		channel, b, err := encode(p, o)
		c := publishCommand("publish", channel, b)
		c.key = key + "#" + p.Namespace + "#" // where the namespace's adapters publish
		return c, err
	}
	w.changeCommand = func(m *clusterMessage) (redisCommand, error) {
		req := classicRequest{Opts: selectionOf(&m.options)}
		rooms := notNil(m.rooms)
		switch m.messageType {
		case clusterJoin:
			req.Type, req.Rooms = classicJoin, &rooms
		case clusterLeave:
			req.Type, req.Rooms = classicLeave, &rooms
		case clusterDisconnect:
			req.Type, req.Close = classicDisconnect, &m.closeConn
		default:
			req = classicRequest{UID: emitterUID, Type: classicServerSideEmit, Data: bufferJSON(m.value)}
		}
		b, err := marshalJSON(req)
		c := publishCommand("publish", key+"-request#"+m.namespace+"#", b)
		c.key = key + "#" + m.namespace + "#"
		return c, err
	}
	return &Emitter{wire: w, namespace: "/"}
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
	if o.Log != nil {
		w.logged = func(namespace string) *logPublisher {
			mainChannel := o.ChannelPrefix + "#" + namespace + "#"
			return o.Log.publisherBeside(mainChannel, o.ChannelPrefix, w.nodes, func(m *clusterMessage) (string, []byte, error) {
				text, err := m.encodeSharded()
				return o.SubscriptionMode.channelOf(mainChannel, &m.options), text, err
			})
		}
	}
	w.emitCommand = func(p *parser.Packet, b *socketio.BroadcastOptions) (redisCommand, error) {
		m := &clusterMessage{messageType: clusterBroadcast, senderUID: emitterUID, namespace: p.Namespace, packet: p, options: *b}
		text, err := m.encodeSharded()
		return publishCommand("spublish", o.SubscriptionMode.channelOf(o.ChannelPrefix+"#"+p.Namespace+"#", b), text), err
	}
	w.changeCommand = func(m *clusterMessage) (redisCommand, error) {
		text, err := m.encodeSharded()
		return publishCommand("spublish", o.ChannelPrefix+"#"+m.namespace+"#", text), err
	}
	return &Emitter{wire: w, namespace: "/"}
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
	add := func(m *clusterMessage) (redisCommand, error) {
		stream := streamOf(o.StreamName, o.StreamCount, m.namespace, o.SafeStreamNames)
		args, err := m.entryArgs(stream, int64(o.MaxLen))
		return redisCommand{key: stream, args: args}, err
	}
	w.emitCommand = func(p *parser.Packet, b *socketio.BroadcastOptions) (redisCommand, error) {
		return add(&clusterMessage{messageType: clusterBroadcast, senderUID: emitterUID, namespace: p.Namespace, packet: p, options: *b})
	}
	w.changeCommand = add
	return &Emitter{wire: w, namespace: "/"}
}

func newEmitterWire(rdb redis.UniversalClient) *emitterWire {
	w := &emitterWire{}
	w.nodes, w.constructorError = newRedisNodes(rdb)
	return w
}

func (w *emitterWire) sendCommand(ctx context.Context, c redisCommand, err error) error {
	if err = errors.Join(w.constructorError, err); err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultRequestsTimeout)
		defer cancel()
	}
	cmd := redis.NewCmd(ctx, c.args...)
	if w.nodes.clusterClient != nil && c.args[0] != "publish" {
		cmd.SetFirstKeyPos(1)
		if c.args[0] == "eval" {
			cmd.SetFirstKeyPos(3)
		}
		return w.nodes.clusterClient.Process(ctx, once{cmd})
	}
	node, err := w.nodes.ownerOf(ctx, c.key)
	if err != nil {
		return err
	}
	return node.Process(ctx, once{cmd})
}

func (e *Emitter) changed(change func(*Emitter)) *Emitter {
	c := *e
	c.options.Rooms, c.options.Except = slices.Clone(e.options.Rooms), slices.Clone(e.options.Except)
	change(&c)
	return &c
}

// Of returns an emitter for a namespace, with all its sockets selected. A missing
// leading slash is added.
func (e *Emitter) Of(namespace string) *Emitter {
	if !strings.HasPrefix(namespace, "/") {
		namespace = "/" + namespace
	}
	return &Emitter{wire: e.wire, namespace: namespace}
}

// To adds rooms: the sockets in any of them are selected. Without rooms all
// sockets of the namespace are. The id of a socket is a room.
func (e *Emitter) To(rooms ...string) *Emitter {
	return e.changed(func(c *Emitter) { c.options.Rooms = appendNew(c.options.Rooms, rooms) })
}

// In is To.
func (e *Emitter) In(rooms ...string) *Emitter { return e.To(rooms...) }

// Except excludes the sockets in any of the rooms.
func (e *Emitter) Except(rooms ...string) *Emitter {
	return e.changed(func(c *Emitter) { c.options.Except = appendNew(c.options.Except, rooms) })
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
	return e.changed(func(c *Emitter) { c.options.Flags.Volatile = true })
}

// Compress asks for compression of the events or not. The default is true.
func (e *Emitter) Compress(on bool) *Emitter {
	return e.changed(func(c *Emitter) { c.options.Flags.NoCompress = !on })
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
	p := &parser.Packet{Type: parser.Event, Namespace: e.namespace, Data: v.JSON, Attachments: v.Attachments}
	if e.wire.logged != nil {
		return e.emitLogged(ctx, p)
	}
	c, err := e.wire.emitCommand(p, &e.options)
	return e.wire.sendCommand(ctx, c, err)
}

// emitLogged writes the event to the log and publishes it.
func (e *Emitter) emitLogged(ctx context.Context, p *parser.Packet) error {
	m := &clusterMessage{messageType: clusterBroadcast, senderUID: emitterUID + loggedSuffix, namespace: p.Namespace, packet: p, options: e.options}
	c, published, err := e.wire.logged(p.Namespace).commands(m)
	if err = e.wire.sendCommand(ctx, c, err); err != nil || published == nil {
		return err
	}
	return e.wire.sendCommand(ctx, *published, nil)
}

func eventValue(event string, args []any) (v socketio.Value, err error) {
	list, attachments, err := parser.AppendArgs([]byte{'['}, nil, append([]any{event}, args...)...)
	return socketio.Value{JSON: append(list, ']'), Attachments: attachments}, err
}

// SocketsJoin makes the selected sockets join rooms.
func (e *Emitter) SocketsJoin(ctx context.Context, rooms ...string) error {
	return e.sendChange(ctx, &clusterMessage{messageType: clusterJoin, rooms: rooms})
}

// SocketsLeave makes the selected sockets leave rooms.
func (e *Emitter) SocketsLeave(ctx context.Context, rooms ...string) error {
	return e.sendChange(ctx, &clusterMessage{messageType: clusterLeave, rooms: rooms})
}

// DisconnectSockets disconnects the selected sockets; closeConn also closes
// their connections.
func (e *Emitter) DisconnectSockets(ctx context.Context, closeConn bool) error {
	return e.sendChange(ctx, &clusterMessage{messageType: clusterDisconnect, closeConn: closeConn})
}

// ServerSideEmit sends an event to the namespace of all servers. There are no
// acknowledgements.
func (e *Emitter) ServerSideEmit(ctx context.Context, event string, args ...any) error {
	v, err := eventValue(event, args)
	if err != nil {
		return err
	}
	return e.sendChange(ctx, &clusterMessage{messageType: clusterServerSideEmit, value: v})
}

func (e *Emitter) sendChange(ctx context.Context, m *clusterMessage) error {
	m.senderUID, m.namespace, m.options = emitterUID, e.namespace, e.options
	c, err := e.wire.changeCommand(m)
	return e.wire.sendCommand(ctx, c, err)
}
