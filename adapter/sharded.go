package adapter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode/utf16"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// SubscriptionMode tells which channels the sharded adapter uses. All nodes of a
// cluster need the same.
type SubscriptionMode string

const (
	// Dynamic is the default: a channel for each room that is not a socket's own.
	Dynamic SubscriptionMode = "dynamic"
	// Static uses two channels per namespace, whatever the rooms.
	Static SubscriptionMode = "static"
	// DynamicPrivate has a channel for each socket, too.
	DynamicPrivate SubscriptionMode = "dynamic-private"
)

// ShardedOptions configure ShardedRedis. The zero value is Node's default.
type ShardedOptions struct {
	// ChannelPrefix is the prefix of all channels; "" means "socket.io".
	ChannelPrefix string
	// SubscriptionMode is Dynamic if empty.
	SubscriptionMode SubscriptionMode
	// RequestsTimeout ends requests whose context has no deadline; 0 means 5 s.
	RequestsTimeout time.Duration
	// ProbeInterval, ProofInterval, HeartbeatInterval and Logger are those of
	// RedisOptions. In a cluster each server that carries channels is asked for proofs.
	ProbeInterval     time.Duration
	ProofInterval     time.Duration
	HeartbeatInterval time.Duration
	// Log keeps broadcasts for clients that come back; nil means none. All broadcasts of a
	// namespace go through one stream, on one server of a cluster. Unless the mode is Static,
	// clients are not recovered while nodes without the log are in the cluster, and emitters
	// need the log.
	Log    *LogOptions
	Logger *slog.Logger
}

func (o ShardedOptions) withDefaults() ShardedOptions {
	if o.ChannelPrefix == "" {
		o.ChannelPrefix = "socket.io"
	}
	if o.SubscriptionMode == "" {
		o.SubscriptionMode = Dynamic
	}
	if o.ProbeInterval <= 0 {
		o.ProbeInterval = defaultProbeInterval
	}
	if o.HeartbeatInterval <= 0 {
		o.HeartbeatInterval = defaultHeartbeatInterval
	}
	return o
}

// ShardedRedis connects namespaces over the sharded Pub/Sub of Redis 7, as
// createShardedAdapter of @socket.io/redis-adapter does. In a Redis Cluster each
// channel lives on the server of its slot only, so that the load spreads; the
// price is that messages to different rooms may overtake each other. The
// adapters it makes are *Sharded. For rdb see Redis. Nil options mean the defaults.
func ShardedRedis(rdb redis.UniversalClient, opts *ShardedOptions) socketio.NewAdapter {
	var o ShardedOptions
	if opts != nil {
		o = *opts
	}
	o = o.withDefaults()
	readers := newStreamReaders()
	return func(l *socketio.LocalAdapter) (socketio.Adapter, error) {
		switch o.SubscriptionMode {
		case Dynamic, Static, DynamicPrivate:
		default:
			return nil, fmt.Errorf("adapter: unknown subscription mode %q", o.SubscriptionMode)
		}
		nodes, err := newRedisNodes(rdb)
		if err != nil {
			return nil, err
		}
		a := newSharded(l, nodes, o, readers)
		if a.eventLog != nil {
			return &loggedSharded{a}, nil
		}
		return a, nil
	}
}

// Sharded is the adapter that ShardedRedis makes. Safe for concurrent use.
type Sharded struct {
	*clusterNode
	subscriptionMode SubscriptionMode
	mainChannel      string // channel of all nodes, and prefix of the others
	presenceChannel  string
	subscriptions    *shardedSubscription
	history          *historyLog
	eventLog         *pubSubLog // nil without a log
}

var (
	_ socketio.Adapter     = (*Sharded)(nil)
	_ socketio.RoomWatcher = (*Sharded)(nil)
)

func newSharded(l *socketio.LocalAdapter, nodes redisNodes, o ShardedOptions, readers *streamReaders) *Sharded {
	m := newMember(l, nodes, loggedName(hexID(), o.Log), o.RequestsTimeout, o.Logger)
	m.sharded = true
	a := &Sharded{
		clusterNode:      &clusterNode{node: m},
		subscriptionMode: o.SubscriptionMode,
		mainChannel:      o.ChannelPrefix + "#" + m.namespaceName + "#",
		presenceChannel:  o.ChannelPrefix + "-nodes#" + m.namespaceName + "#",
	}
	a.history = newHistoryLog(m, o.ChannelPrefix, a.mainChannel)
	m.answerOn(a.mainChannel, func(uid string) string { return a.mainChannel + uid + "#" }, a.presenceChannel)
	a.sendMessage = func(msg *clusterMessage) error { return a.publish(a.mainChannel, msg, nil) }
	a.replyTo = func(uid string, msg *clusterMessage) error { return a.publish(m.answersChannel(uid), msg, nil) }
	tellNodes := func(b []byte) error {
		return m.publisher.queueCommand(publishCommand("spublish", a.presenceChannel, b))
	}
	if o.Log != nil {
		a.eventLog = newPubSubLog(a.clusterNode, o.Log, o.ChannelPrefix, readers, o.Log.publisherBeside(a.mainChannel, o.ChannelPrefix, nodes, a.copyOf))
		a.eventLog.tellNodes = tellNodes
		a.eventLog.history = a.history
		a.takePublished = a.eventLog.takePublished
	}
	m.publisher = newPublisher(nodes, "", &m.counters, m.log)
	m.presence = newPeers(m.uid, o.HeartbeatInterval, func(b []byte) { _ = tellNodes(b) }, m.pendingRequests.nodeLeft)
	probePrefix := o.ChannelPrefix + "-probe#" + m.namespaceName + "#" + m.uid + "#"
	a.subscriptions = newShardLinks(nodes, probePrefix, o.ProbeInterval, &m.counters, m.log, a.receive)
	a.subscriptions.proveOn(a.mainChannel, o.ProofInterval)
	a.subscriptions.answerChannels = m.answerChannels
	for _, channel := range []string{a.mainChannel, m.answersChannel(m.uid), a.presenceChannel} {
		a.subscriptions.add(channel)
	}
	for _, room := range l.Rooms() {
		a.RoomCreated(room, l.HasSocket(room))
	}
	if a.eventLog == nil || a.eventLog.keepFor <= 0 {
		m.startGoroutines(a.subscriptions.run, a.subscriptions.firstTry)
		return a
	}
	heard := newAnswers(a.mainChannel)
	m.presenceChannels.alsoTold = heard
	var finds func(context.Context) (bool, error)
	if o.SubscriptionMode != Static { // rooms without members here are not heard
		finds = (&unloggedFinder{node: m}).finds
	}
	a.eventLog.hearing = newHearing(a.eventLog.recoveryLog, heard, a.subscriptions.fence, finds)
	a.eventLog.joinReader()
	a.eventLog.startKeeping()
	m.startGoroutines(a.subscriptions.run, a.subscriptions.firstTry, a.eventLog.reader.positionKnown)
	return a
}

// Close is that of node, and ends the reader of the log with its last namespace.
func (a *Sharded) Close() error {
	err := a.node.Close()
	a.eventLog.leave()
	return err
}

func (a *Sharded) copyOf(m *clusterMessage) (channel string, payload []byte, err error) {
	payload, err = m.encodeSharded()
	if m.options.Recorded != nil { // as broadcastRecorded says
		return a.mainChannel, payload, err
	}
	return a.subscriptionMode.channelOf(a.mainChannel, &m.options), payload, err
}

// Proved is Classic's, for the channel on which nodes ask and tell each other: a
// broadcast to one room may go through another server of a cluster.
func (a *Sharded) Proved() time.Time { return a.subscriptions.lastProof() }

func (a *Sharded) publish(channel string, msg *clusterMessage, sent func(error)) error {
	b, err := msg.encodeSharded()
	if err != nil {
		return err
	}
	return a.publisher.queueCommand(publishCommand("spublish", channel, b).telling(sent))
}

// RoomCreated implements socketio.RoomWatcher: the room may get a channel.
func (a *Sharded) RoomCreated(room string, private bool) {
	if a.hasChannel(private) {
		a.subscriptions.add(a.mainChannel + room + "#")
	}
}

// RoomDeleted implements socketio.RoomWatcher.
func (a *Sharded) RoomDeleted(room string, private bool) {
	if a.hasChannel(private) {
		a.subscriptions.remove(a.mainChannel + room + "#")
	}
}

func (a *Sharded) hasChannel(private bool) bool {
	return a.subscriptionMode == DynamicPrivate || a.subscriptionMode == Dynamic && !private
}

// channelOf gives the channel of a broadcast. A sender cannot know which rooms are
// sockets' own; Node goes by the length of the name (docs/protocol.md §4.3).
func (m SubscriptionMode) channelOf(main string, o *socketio.BroadcastOptions) string {
	if len(o.Rooms) != 1 {
		return main
	}
	room := o.Rooms[0]
	if m == DynamicPrivate || m == Dynamic && !looksPrivate(room) {
		return main + room + "#"
	}
	return main
}

func looksPrivate(room string) bool {
	const length = 20 // of a socket id, in UTF-16 units
	if len(room) < length || len(room) > 3*length {
		return false
	}
	return len(utf16.Encode([]rune(room))) == length
}

func (a *Sharded) receive(channel, payload string) {
	if channel == a.presenceChannel {
		if !a.eventLog.hearCall([]byte(payload)) && !a.presence.receiveMessage([]byte(payload)) {
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

// Broadcast implements socketio.Adapter. The error, if any, is about the other
// nodes: ErrQueueFull or ErrClosed.
func (a *Sharded) Broadcast(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) error {
	var failure error
	if !o.Flags.Local {
		if a.eventLog != nil {
			return a.eventLog.broadcast(ctx, p, o)
		}
		m := a.newMessage(clusterBroadcast)
		m.packet, m.options = p, o
		if o.Recorded == nil {
			failure = a.publish(a.subscriptionMode.channelOf(a.mainChannel, &o), m, nil)
		} else {
			failure = a.broadcastRecorded(m)
		}
	}
	return errors.Join(a.localAdapter.Broadcast(ctx, p, o), failure)
}

// broadcastRecorded publishes an event that histories keep. It goes to the channel of all
// nodes, on whose server the streams are: a channel of the room may not be subscribed yet
// where a client joins.
func (a *Sharded) broadcastRecorded(m *clusterMessage) error {
	m.options = orderRooms(m.options)
	b, err := m.encodeSharded()
	if err != nil {
		return err
	}
	return a.history.publishRecorded(m.options.Recorded, "spublish", a.mainChannel, b)
}

// BroadcastWithAck implements socketio.Adapter.
func (a *Sharded) BroadcastWithAck(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) ([]socketio.Value, error) {
	m := a.newMessage(clusterBroadcast)
	m.packet, m.requestID = p, hexID()
	return a.broadcastWithAck(ctx, p, o, m.requestID, func(o socketio.BroadcastOptions, sent func(error)) error {
		m.options = o
		return a.publish(a.mainChannel, m, sent)
	})
}

// AddSockets implements socketio.Adapter.
func (a *Sharded) AddSockets(ctx context.Context, o socketio.BroadcastOptions, rooms []string) error {
	return a.changeRooms(a.localAdapter.AddSockets(ctx, o, rooms), clusterJoin, o, rooms, false, a.sendMessage)
}

// DelSockets implements socketio.Adapter.
func (a *Sharded) DelSockets(ctx context.Context, o socketio.BroadcastOptions, rooms []string) error {
	return a.changeRooms(a.localAdapter.DelSockets(ctx, o, rooms), clusterLeave, o, rooms, false, a.sendMessage)
}

// DisconnectSockets implements socketio.Adapter.
func (a *Sharded) DisconnectSockets(ctx context.Context, o socketio.BroadcastOptions, closeConn bool) error {
	return a.changeRooms(a.localAdapter.DisconnectSockets(ctx, o, closeConn), clusterDisconnect, o, nil, closeConn, a.sendMessage)
}
