package adapter

import (
	"context"
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
	// of about half the namespaces when StreamCount > 1, where no node reads them.
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
	readers := newStreamReaders()
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
	*recoveryLog
	options         StreamsOptions
	mainChannel     string
	presenceChannel string
	readers         *streamReaders
	leaveOnce       sync.Once
	lastProof       func() time.Time
	history         *historyLog
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
		recoveryLog:     newRecoveryLog(&clusterNode{node: m}, streamOf(o.StreamName, o.StreamCount, m.namespaceName, o.SafeStreamNames), int64(o.MaxLen), o.SessionKeyPrefix),
		options:         o,
		mainChannel:     o.ChannelPrefix + "#" + m.namespaceName + "#",
		presenceChannel: o.ChannelPrefix + "-nodes#" + m.namespaceName + "#",
		readers:         readers,
	}
	a.appendEntry = a.addEntry
	a.tellNodes = func(b []byte) error {
		return m.publisher.queueCommand(publishCommand(a.publishName(), a.presenceChannel, b))
	}
	a.history = newHistoryLog(m, o.ChannelPrefix, a.streamKey)
	m.answerOn(a.mainChannel, func(uid string) string { return a.mainChannel + uid + "#" }, a.presenceChannel)
	a.sendMessage = func(msg *clusterMessage) error { return a.publish(a.mainChannel, msg, nil) }
	a.replyTo = func(uid string, msg *clusterMessage) error { return a.publish(m.answersChannel(uid), msg, nil) }
	m.publisher = newPublisher(nodes, "", &m.counters, m.log)
	m.presence = newPeers(m.uid, o.HeartbeatInterval,
		func(b []byte) { _ = a.tellNodes(b) }, m.pendingRequests.nodeLeft)

	channels := []string{a.mainChannel, m.answersChannel(m.uid), a.presenceChannel}
	probe := o.ChannelPrefix + "-probe#" + m.namespaceName + "#" + m.uid + "#"
	a.reader = readers.join(a.streamKey, m.namespaceName, a, func() *streamReader {
		return newStreamReader(nodes, a.streamKey, &o, o.Logger)
	})
	if o.UseShardedPubSub {
		links := newShardLinks(nodes, probe, o.ProbeInterval, &m.counters, m.log, a.receive)
		links.proveOn(a.mainChannel, o.ProofInterval)
		links.answerChannels, a.lastProof = m.answerChannels, links.lastProof
		for _, channel := range channels {
			links.add(channel)
		}
		a.startKeeping()
		m.startGoroutines(links.run, links.firstTry, a.reader.positionKnown)
		return a
	}
	server := func(ctx context.Context) (*redis.Client, error) { return nodes.ownerOf(ctx, a.mainChannel) }
	link := newSubscription(nodes, server, redisChannel{probe, toChannel}, o.ProbeInterval, &m.counters, m.log, a.receive)
	link.proofEvery, link.answerChannels = o.ProofInterval, m.answerChannels
	a.lastProof = func() time.Time { return *link.lastProof.Load() }
	for _, channel := range channels {
		link.add(redisChannel{channel, toChannel})
	}
	a.startKeeping()
	m.startGoroutines(link.run, link.firstTry, a.reader.positionKnown)
	return a
}

// Close is that of node, and ends the reader with its last namespace.
func (a *Streams) Close() error {
	err := a.node.Close()
	a.leaveOnce.Do(func() { a.readers.leave(a.reader, a.namespaceName, a) })
	return err
}

// Proved is Classic's, for questions and answers: broadcasts go through the stream.
func (a *Streams) Proved() time.Time { return a.lastProof() }

func (a *Streams) publishName() string {
	if a.sharded {
		return "spublish"
	}
	return "publish"
}

func (a *Streams) publish(channel string, msg *clusterMessage, sent func(error)) error {
	b, err := msg.encodeEphemeral()
	if err != nil {
		return err
	}
	return a.publisher.queueCommand(publishCommand(a.publishName(), channel, b).telling(sent))
}

// addEntry adds a durable message to the stream. done, if not nil, is told the
// entry's id; it must not block.
func (a *Streams) addEntry(msg *clusterMessage, done func(id string, err error)) error {
	args, err := msg.entryArgs(a.streamKey, a.maxLen)
	if err != nil {
		return err
	}
	c := redisCommand{key: a.streamKey, args: args, byteSize: 256 + msg.sizeHint()}
	if done != nil {
		c.onReply = func(reply any, err error) {
			id, _ := reply.(string)
			done(id, err)
		}
	}
	if msg.options.Recorded != nil {
		// The fields begin behind xadd, the stream, MAXLEN ~ n and the star.
		last := append([]any{"xadd", args[4]}, args[6:]...)
		return a.history.record(msg.options.Recorded, a.streamKey, last, c.byteSize, c.onReply)
	}
	return a.publisher.queueCommand(c)
}

func (a *Streams) receive(channel, payload string) {
	if channel == a.presenceChannel {
		if !a.hearSession([]byte(payload)) && !a.presence.receiveMessage([]byte(payload)) {
			a.countMalformed(channel, errMalformed)
		}
		return
	}
	m, err := decodeCluster([]byte(payload))
	if err != nil {
		a.countMalformed(channel, err)
		return
	}
	a.handleMessage(m)
}

// receiveEntry implements streamListener.
func (a *Streams) receiveEntry(id entryID, m *clusterMessage, err error) {
	if err != nil || m == nil {
		a.countMalformed(a.streamKey, err)
		return
	}
	if m.messageType == clusterMark {
		a.readMark(m)
		return
	}
	if m.senderUID == a.uid {
		a.counters.ownEntries.Add(1)
		if a.keepFor > 0 && m.messageType == clusterBroadcast && a.takeOwn(id, m) {
			a.broadcastEntry(id, m)
		}
		return
	}
	if m.messageType == clusterBroadcast && m.requestID == "" && a.keepFor > 0 {
		if !isEmitter(m.senderUID) {
			a.presence.rememberForeign(m.senderUID)
		}
		a.counters.received.Add(1)
		a.broadcastEntry(id, m)
		return
	}
	a.handleMessage(m)
}

// AddSockets implements socketio.Adapter.
func (a *Streams) AddSockets(ctx context.Context, o socketio.BroadcastOptions, rooms []string) error {
	return a.changeRooms(a.localAdapter.AddSockets(ctx, o, rooms), clusterJoin, o, rooms, false, a.appendMessage)
}

// DelSockets implements socketio.Adapter.
func (a *Streams) DelSockets(ctx context.Context, o socketio.BroadcastOptions, rooms []string) error {
	return a.changeRooms(a.localAdapter.DelSockets(ctx, o, rooms), clusterLeave, o, rooms, false, a.appendMessage)
}

// DisconnectSockets implements socketio.Adapter.
func (a *Streams) DisconnectSockets(ctx context.Context, o socketio.BroadcastOptions, closeConn bool) error {
	return a.changeRooms(a.localAdapter.DisconnectSockets(ctx, o, closeConn), clusterDisconnect, o, nil, closeConn, a.appendMessage)
}

func (a *Streams) appendMessage(m *clusterMessage) error { return a.appendEntry(m, nil) }

// BroadcastWithAck implements socketio.Adapter. It does not go through the stream.
func (a *Streams) BroadcastWithAck(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) ([]socketio.Value, error) {
	m := a.newMessage(clusterBroadcast)
	m.packet, m.requestID = p, hexID()
	return a.broadcastWithAck(ctx, p, o, m.requestID, func(o socketio.BroadcastOptions, sent func(error)) error {
		m.options = o
		return a.publish(a.mainChannel, m, sent)
	})
}

// Broadcast implements socketio.Adapter. The error, if any, is about the other
// nodes: ErrQueueFull or ErrClosed.
func (a *Streams) Broadcast(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) error {
	if o.Flags.Local {
		return a.localAdapter.Broadcast(ctx, p, o)
	}
	return a.broadcast(ctx, p, o)
}
