package adapter

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// StreamsOptions configure RedisStreams. The zero value is Node's default.
type StreamsOptions struct {
	// StreamName is the key of the stream; "" means "socket.io".
	StreamName string
	// StreamCount spreads the namespaces over this many streams, named
	// <StreamName>-<n>; 0 and 1 mean one stream. All nodes need the same.
	StreamCount int
	// SafeStreamNames avoids the negative numbers that Node gives to the streams
	// of about half the namespaces when StreamCount > 1, where nobody reads them.
	// Such namespaces are then out of reach for Node nodes.
	SafeStreamNames bool
	// ChannelPrefix is the prefix of the Pub/Sub channels for questions and
	// answers; "" means "socket.io".
	ChannelPrefix string
	// UseShardedPubSub takes the sharded Pub/Sub of Redis 7 for them.
	UseShardedPubSub bool
	// MaxLen is about how many entries a stream keeps; 0 means 10 000. What is
	// older cannot be replayed.
	MaxLen int
	// ReadCount is how many entries one read takes; 0 means 100.
	ReadCount int
	// BlockTime is how long one read waits; 0 means 5 s.
	BlockTime time.Duration
	// SessionKeyPrefix is the prefix of the keys of kept sessions; "" means
	// "sio:session:".
	SessionKeyPrefix string
	// RequestsTimeout ends requests whose context has no deadline; 0 means 5 s.
	RequestsTimeout time.Duration
	// ProbeInterval, ProofInterval, HeartbeatInterval and Logger are those of RedisOptions.
	ProbeInterval     time.Duration
	ProofInterval     time.Duration
	HeartbeatInterval time.Duration
	Logger            *slog.Logger
}

func (o StreamsOptions) withDefaults() StreamsOptions {
	if o.StreamName == "" {
		o.StreamName = "socket.io"
	}
	if o.ChannelPrefix == "" {
		o.ChannelPrefix = "socket.io"
	}
	if o.MaxLen <= 0 {
		o.MaxLen = 10_000
	}
	if o.ReadCount <= 0 {
		o.ReadCount = 100
	}
	if o.BlockTime <= 0 {
		o.BlockTime = 5 * time.Second
	}
	if o.SessionKeyPrefix == "" {
		o.SessionKeyPrefix = "sio:session:"
	}
	if o.ProbeInterval <= 0 {
		o.ProbeInterval = defaultProbeInterval
	}
	if o.HeartbeatInterval <= 0 {
		o.HeartbeatInterval = defaultHeartbeatInterval
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// RedisStreams connects namespaces over a Redis stream, as
// @socket.io/redis-streams-adapter does: what was broadcast while a node was
// away is read when it is back, and clients can recover their session on any
// node. With recovery on, Broadcast waits for its place in the stream (at most
// a second, and not at all while Redis is known to be away), so that each
// client gets the events of all nodes in the order of their offsets. The
// adapters it makes are *Streams. For rdb see Redis. Nil options mean the defaults.
func RedisStreams(rdb redis.UniversalClient, opts *StreamsOptions) socketio.NewAdapter {
	var o StreamsOptions
	if opts != nil {
		o = *opts
	}
	o = o.withDefaults()
	readers := &streamReaders{readers: make(map[string]*streamReader)}
	return func(l *socketio.LocalAdapter) (socketio.Adapter, error) {
		nodes, err := newRedisNodes(rdb)
		if err != nil {
			return nil, err
		}
		return newStreams(l, nodes, o, readers), nil
	}
}

// Streams is the adapter that RedisStreams makes. Safe for concurrent use.
type Streams struct {
	*clusterNode
	o        StreamsOptions
	stream   string
	main     string
	presence string
	readers  *streamReaders
	reader   *streamReader
	left     sync.Once
	recovery time.Duration // how long sessions are kept; 0 without recovery
	proved   func() time.Time

	takeovers takeovers

	mu      sync.Mutex
	waiting map[entryID]*ownBroadcast // broadcasts that the reader will deliver
	tainted map[string]struct{}       // sockets that missed something they cannot recover
	admit   map[string]func()         // called when the socket of a restored session is there
}

var (
	_ socketio.Adapter      = (*Streams)(nil)
	_ socketio.SessionStore = (*Streams)(nil)
	_ socketio.RoomWatcher  = (*Streams)(nil)
)

func newStreams(l *socketio.LocalAdapter, nodes redisNodes, o StreamsOptions, readers *streamReaders) *Streams {
	m := newMember(l, nodes, hexID(), o.RequestsTimeout, o.Logger)
	m.sharded = o.UseShardedPubSub
	a := &Streams{
		clusterNode: &clusterNode{member: m},
		o:           o,
		stream:      streamOf(o.StreamName, o.StreamCount, m.nsp, o.SafeStreamNames),
		main:        o.ChannelPrefix + "#" + m.nsp + "#",
		presence:    o.ChannelPrefix + "-nodes#" + m.nsp + "#",
		readers:     readers,
		waiting:     make(map[entryID]*ownBroadcast),
		tainted:     make(map[string]struct{}),
		admit:       make(map[string]func()),
	}
	if keep, ok := l.RecoveryEnabled(); ok {
		a.recovery = keep
	}
	m.answerOn(a.main, func(uid string) string { return a.main + uid + "#" })
	a.send = func(msg *clusterMessage) error { return a.publish(a.main, msg) }
	a.reply = func(uid string, msg *clusterMessage) error { return a.publish(m.answersChannel(uid), msg) }
	m.pub = newPublisher(nodes, "", &m.stats, m.log)
	m.peers = newPeers(m.uid, o.HeartbeatInterval,
		func(b []byte) { _ = m.pub.send(publishCommand(a.publishName(), a.presence, b)) }, m.pending.gone)

	channels := []string{a.main, m.answersChannel(m.uid), a.presence}
	probe := o.ChannelPrefix + "-probe#" + m.nsp + "#" + m.uid + "#"
	a.reader = readers.join(a.stream, m.nsp, a, func() *streamReader {
		return newStreamReader(nodes, a.stream, &o, o.Logger)
	})
	if o.UseShardedPubSub {
		links := newShardLinks(nodes, probe, o.ProbeInterval, &m.stats, m.log, a.receive)
		links.proveOn(a.main, o.ProofInterval)
		links.answers, a.proved = m.answers, links.proved
		for _, channel := range channels {
			links.add(channel)
		}
		m.start(links.run, links.firstTry, a.reader.positions)
		return a
	}
	server := func(ctx context.Context) (*redis.Client, error) { return nodes.owner(ctx, a.main) }
	link := newLink(nodes, server, subscription{probe, toChannel}, o.ProbeInterval, &m.stats, m.log, a.receive)
	link.proofEvery, link.answers = o.ProofInterval, m.answers
	a.proved = func() time.Time { return *link.proved.Load() }
	for _, channel := range channels {
		link.add(subscription{channel, toChannel})
	}
	m.start(link.run, link.firstTry, a.reader.positions)
	return a
}

// Close is that of member, and ends the reader with its last namespace.
func (a *Streams) Close() error {
	err := a.member.Close()
	a.left.Do(func() { a.readers.leave(a.reader, a.nsp, a) })
	return err
}

// Proved is Classic's, for questions and answers: broadcasts go through the stream.
func (a *Streams) Proved() time.Time { return a.proved() }

func (a *Streams) publishName() string {
	if a.sharded {
		return "spublish"
	}
	return "publish"
}

func (a *Streams) publish(channel string, msg *clusterMessage) error {
	b, err := msg.encodeEphemeral()
	if err != nil {
		return err
	}
	return a.pub.send(publishCommand(a.publishName(), channel, b))
}

// append adds a durable message to the stream. done, if not nil, is told the
// entry's id; it must not block.
func (a *Streams) append(msg *clusterMessage, done func(id string, err error)) error {
	args, err := msg.entryArgs(a.stream, int64(a.o.MaxLen))
	if err != nil {
		return err
	}
	c := command{key: a.stream, args: args, size: 256 + msg.sizeHint()}
	if done != nil {
		c.done = func(reply any, err error) {
			id, _ := reply.(string)
			done(id, err)
		}
	}
	return a.pub.send(c)
}

func (a *Streams) receive(channel, payload string) {
	if channel == a.presence {
		if !a.hearSession([]byte(payload)) && !a.peers.hear([]byte(payload)) {
			a.malformed(channel, errMalformed)
		}
		return
	}
	m, err := decodeCluster([]byte(payload))
	if err != nil {
		a.malformed(channel, err)
		return
	}
	a.handle(m)
}

// entry implements streamListener.
func (a *Streams) entry(id entryID, m *clusterMessage, err error) {
	if err != nil || m == nil {
		a.malformed(a.stream, err)
		return
	}
	if m.uid == a.uid {
		a.stats.own.Add(1)
		if a.recovery > 0 && m.typ == clusterBroadcast && a.takeOwn(id) {
			a.deliver(id, m)
		}
		return
	}
	if m.typ == clusterBroadcast && m.requestID == "" && a.recovery > 0 {
		if m.uid != emitterUID {
			a.peers.note(m.uid)
		}
		a.stats.received.Add(1)
		a.deliver(id, m)
		return
	}
	a.handle(m)
}

// deliver broadcasts an entry here, with its id as the offset.
func (a *Streams) deliver(id entryID, m *clusterMessage) {
	o := m.opts
	o.Flags.Local = true
	p := *m.packet
	if recoverable(&p, &o) {
		p.Data = withOffset(p.Data, id)
	}
	p.Namespace = a.nsp
	if err := a.local.Broadcast(a.ctx, &p, o); err != nil {
		a.malformed(a.stream, err)
	}
}

// AddSockets implements socketio.Adapter.
func (a *Streams) AddSockets(ctx context.Context, o socketio.BroadcastOptions, rooms []string) error {
	return a.change(a.local.AddSockets(ctx, o, rooms), clusterJoin, o, rooms, false, a.add)
}

// DelSockets implements socketio.Adapter.
func (a *Streams) DelSockets(ctx context.Context, o socketio.BroadcastOptions, rooms []string) error {
	return a.change(a.local.DelSockets(ctx, o, rooms), clusterLeave, o, rooms, false, a.add)
}

// DisconnectSockets implements socketio.Adapter.
func (a *Streams) DisconnectSockets(ctx context.Context, o socketio.BroadcastOptions, closeConn bool) error {
	return a.change(a.local.DisconnectSockets(ctx, o, closeConn), clusterDisconnect, o, nil, closeConn, a.add)
}

func (a *Streams) add(m *clusterMessage) error { return a.append(m, nil) }

// BroadcastWithAck implements socketio.Adapter. It does not go through the stream.
func (a *Streams) BroadcastWithAck(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) ([]socketio.Value, error) {
	m := a.message(clusterBroadcast)
	m.packet, m.requestID = p, hexID()
	return a.broadcastWithAck(ctx, p, o, m.requestID, func(o socketio.BroadcastOptions) error {
		m.opts = o
		return a.send(m)
	})
}

// Broadcast implements socketio.Adapter. The error, if any, is about the other
// nodes: ErrQueueFull or ErrClosed.
func (a *Streams) Broadcast(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) error {
	if o.Flags.Local {
		return a.local.Broadcast(ctx, p, o)
	}
	m := a.message(clusterBroadcast)
	m.packet, m.opts = p, o
	if a.recovery > 0 {
		return a.broadcastInOrder(ctx, m)
	}
	failure := a.append(m, nil)
	return errors.Join(a.local.Broadcast(ctx, p, o), failure)
}
