package adapter

import (
	"strings"
	"sync"
	"time"

	"posthouse/socketio"
)

// LogOptions configure the log of Redis and ShardedRedis: a Redis stream that each
// broadcast is written to in one step with its publication. With it, and with
// Options.Recovery of the server, clients recover their session on any node; nodes
// without the log, Node's too, get the same messages as ever. Broadcasts of theirs are
// not in the log: a client that may have missed one gets a new session
// (docs/protocol.md §4.6). The zero value means the defaults.
type LogOptions struct {
	// StreamName is the key of the stream; "" means the prefix of the channels with "-log"
	// behind it. All nodes that share the log need the same. In a Redis Cluster, ShardedRedis
	// has one for each namespace: the name, and the channel of the namespace as a hash tag.
	StreamName string
	// MaxLen is about how many events the log keeps; 0 means 10 000. What is older cannot
	// be replayed.
	MaxLen int
	// BlockTime is how long one read of the log waits; 0 means 5 s.
	BlockTime time.Duration
	// SessionKeyPrefix is the prefix of the keys of kept sessions; "" means
	// "sio:session:".
	SessionKeyPrefix string
}

// loggedSuffix ends the names of nodes and emitters that write the log, so that readers
// of the log know which published broadcasts they get from there as well.
const loggedSuffix = "-log"

func isLogged(uid string) bool { return strings.HasSuffix(uid, loggedSuffix) }

// isEmitter reports whether uid names no node.
func isEmitter(uid string) bool { return strings.TrimSuffix(uid, loggedSuffix) == emitterUID }

// loggedName is the name of a node or emitter.
func loggedName(uid string, log *LogOptions) string {
	if log == nil {
		return uid
	}
	return uid + loggedSuffix
}

// streamsOptions are what the reader and the kept sessions need, in the words of the
// streams adapter.
func (o *LogOptions) streamsOptions(prefix string) StreamsOptions {
	s := StreamsOptions{StreamName: o.StreamName, MaxLen: o.MaxLen, BlockTime: o.BlockTime, SessionKeyPrefix: o.SessionKeyPrefix}
	if s.StreamName == "" {
		s.StreamName = prefix + "-log"
	}
	return s.withDefaults()
}

// loggedPublish is a script: an entry and the message that stands for it go out together
// or not at all.
const loggedPublish = `local id = redis.call('xadd', KEYS[1], unpack(ARGV, 4))
redis.call(ARGV[1], ARGV[2], ARGV[3])
return id`

// logPublisher makes the commands of logged broadcasts.
type logPublisher struct {
	streamKey   string
	maxLen      int64
	publishName string
	// apart says that the stream and the channels live on different servers, where no
	// script reaches both: the copy is published when the entry is in the log. beside is
	// the one channel that lives where the stream does.
	apart  bool
	beside string
	// copyOf gives what is published for an entry, and where.
	copyOf func(m *clusterMessage) (channel string, payload []byte, err error)
}

// publisher makes the logPublisher of an adapter or emitter whose channels have the prefix.
func (o *LogOptions) publisher(prefix, publishName string, copyOf func(m *clusterMessage) (string, []byte, error)) *logPublisher {
	s := o.streamsOptions(prefix)
	return &logPublisher{streamKey: s.StreamName, maxLen: int64(s.MaxLen), publishName: publishName, copyOf: copyOf}
}

// publisherBeside is publisher for sharded channels. In a cluster each namespace has a log of its
// own, on the server of its main channel: a script reaches both, and the histories.
func (o *LogOptions) publisherBeside(mainChannel, prefix string, nodes redisNodes, copyOf func(m *clusterMessage) (string, []byte, error)) *logPublisher {
	l := o.publisher(prefix, "spublish", copyOf)
	if nodes.clusterClient != nil {
		l.apart, l.beside = true, mainChannel
		l.streamKey = onServerOf(mainChannel, l.streamKey)
	}
	return l
}

// commands add the entry and publish its copy. published is the second command, when
// one does not do both.
func (l *logPublisher) commands(m *clusterMessage) (added redisCommand, published *redisCommand, err error) {
	entry, err := m.entryArgs(l.streamKey, l.maxLen)
	if err != nil {
		return added, nil, err
	}
	channel, payload, err := l.copyOf(m)
	if err != nil {
		return added, nil, err
	}
	if l.apart && channel != l.beside {
		c := publishCommand(l.publishName, channel, payload)
		return redisCommand{key: l.streamKey, args: entry, byteSize: 256 + m.sizeHint()}, &c, nil
	}
	args := append([]any{"eval", loggedPublish, 1, l.streamKey, l.publishName, channel, payload}, entry[2:]...)
	return redisCommand{key: l.streamKey, args: args, byteSize: 512 + len(payload) + m.sizeHint()}, nil, nil
}

// pubSubLog is the recoveryLog of an adapter that publishes its broadcasts.
type pubSubLog struct {
	*recoveryLog
	broadcasts *logPublisher
	history    *historyLog
	readers    *streamReaders
	leaveOnce  sync.Once

	readerOptions *StreamsOptions
}

// newPubSubLog makes the log of an adapter. When this server recovers sessions, the caller
// sets hearing, then joins the reader, which may be running already, and then starts the
// goroutines.
func newPubSubLog(c *clusterNode, o *LogOptions, prefix string, readers *streamReaders, publish *logPublisher) *pubSubLog {
	s := o.streamsOptions(prefix)
	a := &pubSubLog{recoveryLog: newRecoveryLog(c, publish.streamKey, publish.maxLen, s.SessionKeyPrefix), broadcasts: publish, readers: readers}
	a.appendEntry = a.appendAndPublish
	a.readerOptions = &s
	return a
}

// joinReader lets the entries of the log come.
func (a *pubSubLog) joinReader() {
	a.reader = a.readers.join(a.streamKey, a.namespaceName, a, func() *streamReader {
		return newStreamReader(a.redisNodes, a.streamKey, a.readerOptions, a.log)
	})
}

// leave ends the reader with its last namespace. It is called when the goroutines of the
// node have ended.
func (a *pubSubLog) leave() {
	if a != nil && a.reader != nil {
		a.leaveOnce.Do(func() { a.readers.leave(a.reader, a.namespaceName, a) })
	}
}

// appendAndPublish is appendEntry.
func (a *pubSubLog) appendAndPublish(m *clusterMessage, done func(id string, err error)) error {
	if m.options.Recorded != nil {
		return a.appendRecorded(m, done)
	}
	c, published, err := a.broadcasts.commands(m)
	if err != nil {
		return err
	}
	c.onReply = func(reply any, err error) {
		if published != nil && err == nil {
			_ = a.publisher.queueCommand(*published) // a refusal is counted there
		}
		if done != nil {
			id, _ := reply.(string)
			done(id, err)
		}
	}
	return a.publisher.queueCommand(c)
}

// appendRecorded is appendEntry for an event that histories keep: the streams of the rooms,
// the log and the channel get it in one step.
func (a *pubSubLog) appendRecorded(m *clusterMessage, done func(id string, err error)) error {
	entry, err := m.entryArgs(a.broadcasts.streamKey, a.broadcasts.maxLen)
	if err != nil {
		return err
	}
	channel, payload, err := a.broadcasts.copyOf(m)
	if err != nil {
		return err
	}
	head, tail, ok := cutRecorded(m.options.Recorded, payload)
	if !ok {
		return errMalformed
	}
	// The fields begin behind xadd, the stream, MAXLEN ~ n and the star.
	last := append([]any{"log", entry[4], a.broadcasts.publishName, channel, head, tail}, entry[6:]...)
	return a.history.record(m.options.Recorded, a.broadcasts.streamKey, last, 256+len(payload)+m.sizeHint(), func(reply any, err error) {
		if done != nil {
			id, _ := reply.(string)
			done(id, err)
		}
	})
}

// takePublished takes a broadcast that was published; deliver hands it to the sockets of
// this node.
func (a *pubSubLog) takePublished(uid string, o *socketio.BroadcastOptions, deliver func()) {
	switch {
	case a.keepFor <= 0:
		deliver()
	case isLogged(uid):
		// It comes by the log.
	default:
		a.hearing.hear(o, deliver)
	}
}

// receiveEntry implements streamListener.
func (a *pubSubLog) receiveEntry(id entryID, m *clusterMessage, err error) {
	switch {
	case err != nil || m == nil:
		a.countMalformed(a.streamKey, err)
	case m.messageType == clusterMark:
		a.readMark(m)
	case m.messageType != clusterBroadcast:
		a.unknownMessage()
	case m.senderUID == a.uid:
		a.counters.ownEntries.Add(1)
		if a.takeOwn(id, m) {
			a.broadcastEntry(id, m)
		}
	default:
		a.counters.received.Add(1)
		a.broadcastEntry(id, m)
	}
}
