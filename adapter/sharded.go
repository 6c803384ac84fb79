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
	Logger            *slog.Logger
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
		return newSharded(l, nodes, o), nil
	}
}

// Sharded is the adapter that ShardedRedis makes. Safe for concurrent use.
type Sharded struct {
	*clusterNode
	mode     SubscriptionMode
	main     string // channel of all nodes, and prefix of the others
	presence string
	links    *shardLinks
}

var (
	_ socketio.Adapter     = (*Sharded)(nil)
	_ socketio.RoomWatcher = (*Sharded)(nil)
)

func newSharded(l *socketio.LocalAdapter, nodes redisNodes, o ShardedOptions) *Sharded {
	m := newMember(l, nodes, hexID(), o.RequestsTimeout, o.Logger)
	m.sharded = true
	a := &Sharded{
		clusterNode: &clusterNode{member: m},
		mode:        o.SubscriptionMode,
		main:        o.ChannelPrefix + "#" + m.nsp + "#",
		presence:    o.ChannelPrefix + "-nodes#" + m.nsp + "#",
	}
	m.answerOn(a.main, func(uid string) string { return a.main + uid + "#" })
	a.send = func(msg *clusterMessage) error { return a.publish(a.main, msg) }
	a.reply = func(uid string, msg *clusterMessage) error { return a.publish(m.answersChannel(uid), msg) }
	m.pub = newPublisher(nodes, "", &m.stats, m.log)
	m.peers = newPeers(m.uid, o.HeartbeatInterval,
		func(b []byte) { _ = m.pub.send(publishCommand("spublish", a.presence, b)) }, m.pending.gone)
	probePrefix := o.ChannelPrefix + "-probe#" + m.nsp + "#" + m.uid + "#"
	a.links = newShardLinks(nodes, probePrefix, o.ProbeInterval, &m.stats, m.log, a.receive)
	a.links.proveOn(a.main, o.ProofInterval)
	a.links.answers = m.answers
	for _, channel := range []string{a.main, m.answersChannel(m.uid), a.presence} {
		a.links.add(channel)
	}
	for _, room := range l.Rooms() {
		a.RoomCreated(room, l.HasSocket(room))
	}
	m.start(a.links.run, a.links.firstTry)
	return a
}

// Proved is Classic's, for the channel on which nodes ask and tell each other: a
// broadcast to one room may go through another server of a cluster.
func (a *Sharded) Proved() time.Time { return a.links.proved() }

func (a *Sharded) publish(channel string, msg *clusterMessage) error {
	b, err := msg.encodeSharded()
	if err != nil {
		return err
	}
	return a.pub.send(publishCommand("spublish", channel, b))
}

// RoomCreated implements socketio.RoomWatcher: the room may get a channel.
func (a *Sharded) RoomCreated(room string, private bool) {
	if a.hasChannel(private) {
		a.links.add(a.main + room + "#")
	}
}

// RoomDeleted implements socketio.RoomWatcher.
func (a *Sharded) RoomDeleted(room string, private bool) {
	if a.hasChannel(private) {
		a.links.remove(a.main + room + "#")
	}
}

func (a *Sharded) hasChannel(private bool) bool {
	return a.mode == DynamicPrivate || a.mode == Dynamic && !private
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
	if channel == a.presence {
		if !a.peers.hear([]byte(payload)) {
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

// Broadcast implements socketio.Adapter. The error, if any, is about the other
// nodes: ErrQueueFull or ErrClosed.
func (a *Sharded) Broadcast(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) error {
	var failure error
	if !o.Flags.Local {
		m := a.message(clusterBroadcast)
		m.packet, m.opts = p, o
		failure = a.publish(a.mode.channelOf(a.main, &o), m)
	}
	return errors.Join(a.local.Broadcast(ctx, p, o), failure)
}

// BroadcastWithAck implements socketio.Adapter.
func (a *Sharded) BroadcastWithAck(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) ([]socketio.Value, error) {
	m := a.message(clusterBroadcast)
	m.packet, m.requestID = p, hexID()
	return a.broadcastWithAck(ctx, p, o, m.requestID, func(o socketio.BroadcastOptions) error {
		m.opts = o
		return a.send(m)
	})
}

// AddSockets implements socketio.Adapter.
func (a *Sharded) AddSockets(ctx context.Context, o socketio.BroadcastOptions, rooms []string) error {
	return a.change(a.local.AddSockets(ctx, o, rooms), clusterJoin, o, rooms, false, a.send)
}

// DelSockets implements socketio.Adapter.
func (a *Sharded) DelSockets(ctx context.Context, o socketio.BroadcastOptions, rooms []string) error {
	return a.change(a.local.DelSockets(ctx, o, rooms), clusterLeave, o, rooms, false, a.send)
}

// DisconnectSockets implements socketio.Adapter.
func (a *Sharded) DisconnectSockets(ctx context.Context, o socketio.BroadcastOptions, closeConn bool) error {
	return a.change(a.local.DisconnectSockets(ctx, o, closeConn), clusterDisconnect, o, nil, closeConn, a.send)
}
