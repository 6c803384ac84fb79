package adapter

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// RedisOptions configure Redis. The zero value is Node's default.
type RedisOptions struct {
	// Key is the prefix of all channels; "" means "socket.io". All nodes of a
	// cluster need the same.
	Key string
	// RequestsTimeout ends requests whose context has no deadline; 0 means 5 s.
	RequestsTimeout time.Duration
	// PublishOnSpecificResponseChannel answers each request on a channel that only
	// the node that asked listens to. Nodes with and without it understand
	// each other.
	PublishOnSpecificResponseChannel bool
	// ProbeInterval is how often the subscription must prove that it works; one
	// that does not is made again after one to four intervals. 0 means 5 s.
	ProbeInterval time.Duration
	// ProofInterval is how often the subscription proves itself between probes, for
	// callers of Proved that want to know soon: a late proof ends no connection. 0 is
	// off.
	ProofInterval time.Duration
	// HeartbeatInterval is how often Go nodes tell each other that they live; after
	// two intervals of silence requests do not wait for a node. 0 means 5 s.
	HeartbeatInterval time.Duration
	// Log keeps broadcasts for clients that come back; nil means none.
	Log *LogOptions
	// Logger gets what goes wrong and what was mended; nil means slog.Default().
	Logger *slog.Logger
}

func (o RedisOptions) withDefaults() RedisOptions {
	if o.Key == "" {
		o.Key = "socket.io"
	}
	if o.ProbeInterval <= 0 {
		o.ProbeInterval = defaultProbeInterval
	}
	if o.HeartbeatInterval <= 0 {
		o.HeartbeatInterval = defaultHeartbeatInterval
	}
	return o
}

// Redis connects namespaces over Redis Pub/Sub, as createAdapter of
// @socket.io/redis-adapter does. The adapters it makes are *Classic. rdb must be
// a *redis.Client (also for Sentinel) or a *redis.ClusterClient; it stays the
// caller's to close, after the server. Nil options mean the defaults.
func Redis(rdb redis.UniversalClient, opts *RedisOptions) socketio.NewAdapter {
	var o RedisOptions
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
		a := newClassic(l, nodes, o, readers)
		if a.eventLog != nil {
			return &loggedClassic{a}, nil
		}
		return a, nil
	}
}

// Classic is the adapter that Redis makes. Safe for concurrent use.
type Classic struct {
	*node
	subscription *subscription
	eventLog     *pubSubLog // nil without a log
	ownChannels  bool
	history      *historyLog

	broadcastPrefix string // prefix of the channels of broadcasts, and the channel of those to all or several rooms
	requestChannel  string
	responsePrefix  string // prefix of the channels of responses, and the common one
	presenceChannel string
}

var _ socketio.Adapter = (*Classic)(nil)

func newClassic(l *socketio.LocalAdapter, nodes redisNodes, o RedisOptions, readers *streamReaders) *Classic {
	m := newMember(l, nodes, loggedName(shortID(), o.Log), o.RequestsTimeout, o.Logger)
	a := &Classic{
		node:            m,
		ownChannels:     o.PublishOnSpecificResponseChannel,
		broadcastPrefix: o.Key + "#" + m.namespaceName + "#",
		requestChannel:  o.Key + "-request#" + m.namespaceName + "#",
		responsePrefix:  o.Key + "-response#" + m.namespaceName + "#",
		presenceChannel: o.Key + "-nodes#" + m.namespaceName + "#",
	}
	m.answerOn(a.requestChannel, func(uid string) string { return a.responsePrefix + uid + "#" }, a.presenceChannel)
	fixedKey := a.broadcastPrefix
	if o.Log != nil {
		a.eventLog = newPubSubLog(&clusterNode{node: m}, o.Log, o.Key, readers, o.Log.publisher(o.Key, "publish", a.copyOf))
		a.eventLog.tellNodes = func(b []byte) error { return a.publishOn(a.presenceChannel, b) }
		fixedKey = a.eventLog.streamKey
	}
	m.publisher = newPublisher(nodes, fixedKey, &m.counters, m.log)
	m.presence = newPeers(m.uid, o.HeartbeatInterval,
		func(b []byte) { _ = a.publishOn(a.presenceChannel, b) }, m.pendingRequests.nodeLeft)

	server := func(ctx context.Context) (*redis.Client, error) { return nodes.ownerOf(ctx, a.broadcastPrefix) }
	probe := redisChannel{o.Key + "-probe#" + m.namespaceName + "#" + m.uid + "#", toChannel}
	link := newSubscription(nodes, server, probe, o.ProbeInterval, &m.counters, m.log, a.receive)
	link.proofEvery, link.answerChannels = o.ProofInterval, m.answerChannels
	link.ownPayload = classicHead(m.uid)
	a.subscription = link
	if nodes.clusterClient == nil {
		fixedKey = a.broadcastPrefix // the histories have one name with a log and without
	}
	a.history = newHistoryLog(m, o.Key, fixedKey)
	if a.eventLog != nil {
		a.eventLog.history = a.history
	}
	broadcasts := globEscaper.Replace(a.broadcastPrefix) + "*"
	for _, s := range []redisChannel{
		{broadcasts, toPattern},
		{a.requestChannel, toChannel},
		{a.responsePrefix, toChannel},
		{m.answersChannel(m.uid), toChannel},
		{a.presenceChannel, toChannel},
	} {
		link.add(s)
	}
	if a.eventLog == nil || a.eventLog.keepFor <= 0 {
		m.startGoroutines(link.run, link.firstTry)
		return a
	}
	heard := newAnswers(broadcasts)
	m.presenceChannels.alsoTold = heard
	a.eventLog.hearing = newHearing(a.eventLog.recoveryLog, heard, link.fence, nil)
	a.eventLog.joinReader()
	a.eventLog.startKeeping()
	m.startGoroutines(link.run, link.firstTry, a.eventLog.reader.positionKnown)
	return a
}

// Close is that of node, and ends the reader of the log with its last namespace.
func (a *Classic) Close() error {
	err := a.node.Close()
	a.eventLog.leave()
	return err
}

// globEscaper makes a pattern of a name. Node does not, so that a namespace with
// a star in its name hears others.
var globEscaper = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `\`, `\\`)

// Proved is when the latest message was published that proved, by coming back, that
// messages of other nodes arrive. See RedisOptions.ProofInterval.
func (a *Classic) Proved() time.Time { return *a.subscription.lastProof.Load() }

func (a *Classic) publishOn(channel string, payload []byte) error {
	return a.publisher.queueCommand(publishCommand("publish", channel, payload))
}

func (a *Classic) publishJSON(channel string, v any) error {
	b, err := marshalJSON(v)
	if err != nil {
		return err
	}
	return a.publishOn(channel, b)
}

// Broadcast implements socketio.Adapter. The error, if any, is about the other
// nodes: ErrQueueFull or ErrClosed.
func (a *Classic) Broadcast(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) error {
	var failure error
	if !o.Flags.Local {
		if a.eventLog != nil {
			return a.eventLog.broadcast(ctx, p, o)
		}
		if o.Recorded != nil {
			o = orderRooms(o)
		}
		failure = a.publishBroadcast(p, &o)
	}
	return errors.Join(a.localAdapter.Broadcast(ctx, p, o), failure)
}

func (a *Classic) publishBroadcast(p *parser.Packet, o *socketio.BroadcastOptions) (err error) {
	if o.Recorded != nil {
		channel, b, err := a.encodeBroadcast(p, o)
		if err != nil {
			return err
		}
		return a.history.publishRecorded(o.Recorded, "publish", channel, b)
	}
	m := newPublication()
	m.channel = a.appendChannel(m.channel, o)
	if m.payload, err = appendClassicBroadcast(m.payload, a.uid, p, o, adapterOrder); err != nil {
		return err
	}
	return a.publisher.publish(m)
}

// encodeBroadcast gives the message of a broadcast and its channel.
func (a *Classic) encodeBroadcast(p *parser.Packet, o *socketio.BroadcastOptions) (channel string, payload []byte, err error) {
	payload, err = appendClassicBroadcast(make([]byte, 0, 128+len(p.Data)), a.uid, p, o, adapterOrder)
	return string(a.appendChannel(nil, o)), payload, err
}

// appendChannel appends the channel of a broadcast.
func (a *Classic) appendChannel(dst []byte, o *socketio.BroadcastOptions) []byte {
	dst = append(dst, a.broadcastPrefix...)
	if len(o.Rooms) == 1 {
		dst = append(append(dst, o.Rooms[0]...), '#')
	}
	return dst
}

func (a *Classic) copyOf(m *clusterMessage) (channel string, payload []byte, err error) {
	return a.encodeBroadcast(m.packet, &m.options)
}

// BroadcastWithAck implements socketio.Adapter.
func (a *Classic) BroadcastWithAck(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) ([]socketio.Value, error) {
	id := shortID()
	return a.broadcastWithAck(ctx, p, o, id, func(o socketio.BroadcastOptions, sent func(error)) error {
		b, err := (&classicAckRequest{uid: a.uid, requestID: id, packet: p, options: o}).appendTo(nil)
		if err != nil {
			return err
		}
		return a.publisher.queueCommand(publishCommand("publish", a.requestChannel, b).telling(sent))
	})
}

// FetchSockets implements socketio.Adapter.
func (a *Classic) FetchSockets(ctx context.Context, o socketio.BroadcastOptions) ([]socketio.SocketDetails, error) {
	list, err := a.localAdapter.FetchSockets(ctx, o)
	if err != nil || o.Flags.Local {
		return list, err
	}
	r, id := newRequest(opFetchSockets), shortID()
	err = a.askOthers(ctx, r, id, o.Flags.Timeout, func() error {
		return a.publishJSON(a.requestChannel, classicRequest{UID: a.uid, RequestID: id, Type: classicFetch, Opts: selectionOf(&o)})
	})
	return a.mergeSockets(list, r.sockets), err
}

// AllRooms returns the names of the rooms of all nodes, sorted. With a
// *socketio.PartialError it returns those of the nodes that answered.
func (a *Classic) AllRooms(ctx context.Context) ([]string, error) {
	r, id := newRequest(opAllRooms), shortID()
	err := a.askOthers(ctx, r, id, 0, func() error {
		return a.publishJSON(a.requestChannel, classicRequest{UID: a.uid, RequestID: id, Type: classicAllRooms})
	})
	rooms := a.localAdapter.Rooms()
	for room := range r.rooms {
		rooms = append(rooms, room)
	}
	slices.Sort(rooms)
	return slices.Compact(rooms), err
}

// AddSockets implements socketio.Adapter. The sockets of this node join at once,
// the others when their nodes hear of it.
func (a *Classic) AddSockets(ctx context.Context, o socketio.BroadcastOptions, rooms []string) error {
	return a.moveSockets(a.localAdapter.AddSockets(ctx, o, rooms), classicJoin, o, rooms)
}

// DelSockets implements socketio.Adapter.
func (a *Classic) DelSockets(ctx context.Context, o socketio.BroadcastOptions, rooms []string) error {
	return a.moveSockets(a.localAdapter.DelSockets(ctx, o, rooms), classicLeave, o, rooms)
}

func (a *Classic) moveSockets(local error, t classicType, o socketio.BroadcastOptions, rooms []string) error {
	if o.Flags.Local {
		return local
	}
	list := notNil(rooms)
	return errors.Join(local, a.publishResult(opChange, a.publishJSON(a.requestChannel, classicRequest{UID: a.uid, Type: t, Opts: selectionOf(&o), Rooms: &list})))
}

// DisconnectSockets implements socketio.Adapter.
func (a *Classic) DisconnectSockets(ctx context.Context, o socketio.BroadcastOptions, closeConn bool) error {
	local := a.localAdapter.DisconnectSockets(ctx, o, closeConn)
	if o.Flags.Local {
		return local
	}
	return errors.Join(local, a.publishResult(opChange, a.publishJSON(a.requestChannel, classicRequest{UID: a.uid, Type: classicDisconnect, Opts: selectionOf(&o), Close: &closeConn})))
}

// RemoteDisconnect disconnects the socket wherever it is, and returns when its
// node has said so, as remoteDisconnect of socket.io-redis did: nodes of its
// versions 6 and up answer. The error is a *socketio.PartialError when no node
// answered in time: no node has the socket.
func (a *Classic) RemoteDisconnect(ctx context.Context, sid string, closeConn bool) error {
	if a.localAdapter.HasSocket(sid) {
		return a.localAdapter.DisconnectSockets(ctx, socketio.BroadcastOptions{Rooms: []string{sid}}, closeConn)
	}
	ctx, cancel := a.withDeadline(ctx, 0)
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()
	r, id := newRequest(opRemoteDisconnect), shortID()
	r.setExpected(1, nil)
	if !a.pendingRequests.add(id, r) {
		return ErrClosed
	}
	defer a.pendingRequests.remove(id)
	a.counters.requestSent(r)
	select {
	case <-a.answerChannels.whenReachable():
	case <-ctx.Done():
		return a.countLost(r, r.wait(ctx))
	}
	err := a.publishJSON(a.requestChannel, classicRequest{RequestID: id, Type: classicDisconnect, SID: sid, Close: &closeConn})
	if err != nil {
		return a.countLost(r, err)
	}
	return a.countLost(r, r.wait(ctx))
}

// ServerSideEmit implements socketio.Adapter. Binary arguments arrive as Node
// sends them: {"type":"Buffer","data":[…]}.
func (a *Classic) ServerSideEmit(ctx context.Context, args socketio.Value, withAck bool) ([]socketio.Value, error) {
	data := bufferJSON(args)
	if !withAck {
		return nil, a.publishJSON(a.requestChannel, classicRequest{UID: a.uid, Type: classicServerSideEmit, Data: data})
	}
	r, id := newRequest(opServerSideEmit), shortID()
	err := a.askOthers(ctx, r, id, 0, func() error {
		return a.publishJSON(a.requestChannel, classicRequest{UID: a.uid, RequestID: id, Type: classicServerSideEmit, Data: data})
	})
	return r.values, err
}
