package adapter

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"posthouse/internal/randid"
	"posthouse/socketio"
)

// An event that histories keep is added to their streams and published by one script, so
// that the order of a stream is the order of its messages, and each message carries the
// ids that the event got. Other nodes find them behind what Node reads; Node's adapters
// leave them alone (docs/realtime.md §7).

const (
	// idWidth is the room for one id in a message: the script does not change its length.
	idWidth = 24
	// historyMarkAge is how long after its last event a room is known to have had some.
	historyMarkAge = 7 * 24 * time.Hour
	// maxWriterRooms bounds the rooms whose events are numbered under one name.
	maxWriterRooms = 10_000
)

// recordScript keeps an event and publishes it. KEYS: the streams of the rooms, and for the
// streams adapter its own. ARGV: events, age, life of the mark, entry, number of rooms, the
// marks of the event in each room; then publish or spublish, channel and the message before
// and after the ids, or xadd, MAXLEN and fields, or log, MAXLEN, all of the first and the
// fields: an entry and its copy. A room whose stream Redis refuses, when its
// memory is full for instance, keeps nothing; the event is published all the same.
const recordScript = `local n = tonumber(ARGV[5])
local ids, text = {}, {}
for i = 1, n do
  local key, mark = KEYS[i], KEYS[i] .. ':old'
  local again = redis.call('EXISTS', key) == 0 and redis.call('EXISTS', mark) == 1
  local id = redis.pcall('XADD', key, 'MAXLEN', ARGV[1], '*', 'e', ARGV[4], 'm', ARGV[5 + i], 'g', again and '1' or '')
  if type(id) == 'table' then
    ids[i] = ''
  else
    ids[i] = id
    redis.call('XTRIM', key, 'MINID', string.format('%.0f', tonumber(string.match(id, '^%d+')) - ARGV[2]))
    redis.call('PEXPIRE', key, ARGV[2])
    redis.call('SET', mark, '1', 'PX', ARGV[3])
  end
  text[i] = string.format('%-24s', ids[i])
end
local at = n + 6
local reply
if ARGV[at] == 'xadd' or ARGV[at] == 'log' then
  local copied = ARGV[at] == 'log'
  local add = {'XADD', KEYS[n + 1], 'MAXLEN', '~', ARGV[at + 1], '*'}
  for i = at + (copied and 6 or 2), #ARGV do add[#add + 1] = ARGV[i] end
  add[#add + 1] = 'history'
  add[#add + 1] = table.concat(text)
  reply = redis.call(unpack(add))
  if copied then
    redis.call(ARGV[at + 2], ARGV[at + 3], ARGV[at + 4] .. table.concat(text) .. ARGV[at + 5])
  end
else
  reply = redis.call(ARGV[at], ARGV[at + 1], ARGV[at + 2] .. table.concat(text) .. ARGV[at + 3])
end
return {reply, unpack(ids)}`

// idPlaceholder stands in a message for n ids.
func idPlaceholder(n int) string { return strings.Repeat("~", n*idWidth) }

// recordedText is what a message carries for an event that is kept: the placeholder that the
// script replaces. The ids belong to the first rooms of the message.
func recordedText(r *socketio.Recorded) string { return idPlaceholder(len(r.Rooms)) }

// parseRecorded reads the ids of a message to rooms.
func parseRecorded(text string, rooms []string) *socketio.Recorded {
	n := len(text) / idWidth
	if n == 0 || n > len(rooms) {
		return nil
	}
	r := &socketio.Recorded{Rooms: rooms[:n:n]}
	ids := make([]socketio.RecordID, n)
	for i := range ids {
		ids[i], _ = socketio.ParseRecordID(strings.TrimRight(text[i*idWidth:(i+1)*idWidth], " "))
	}
	r.Settle(ids)
	return r
}

// historyLog is the writing side of the histories of a namespace.
type historyLog struct {
	node *node
	// keyPrefix names the streams: all of a namespace are on the server on which its messages
	// are published, or their log is.
	keyPrefix string

	mu         sync.Mutex // guards what follows; the publisher's queue is entered under it
	writerName string
	rooms      map[string]*writerRoom
}

// writerRoom is what this node has written to one room. The numbers make it visible in a
// stream that an event is missing.
type writerRoom struct {
	number     uint64            // of the event queued last
	lastStored socketio.RecordID // of the newest that Redis took
	failed     uint64            // the number of the newest that it did not take
	stored     uint64            // the number of the newest that it took
}

// newHistoryLog makes the histories of a namespace: key begins their names, and tag is a name
// on whose server they are.
func newHistoryLog(m *node, key, tag string) *historyLog {
	// No name of a namespace has a comma: rooms of two namespaces never share a stream.
	return &historyLog{node: m, keyPrefix: onServerOf(tag, key+"-history:") + m.namespaceName + ",", writerName: randid.Hex(6), rooms: map[string]*writerRoom{}}
}

func (l *historyLog) key(room string) string { return l.keyPrefix + room }

// orderRooms puts the rooms that keep an event first: its ids follow their order.
func orderRooms(o socketio.BroadcastOptions) socketio.BroadcastOptions {
	rooms := slices.Clone(o.Recorded.Rooms)
	for _, room := range o.Rooms {
		if !slices.Contains(rooms, room) {
			rooms = append(rooms, room)
		}
	}
	o.Rooms = rooms
	return o
}

// publishRecorded queues the script for an event whose message, with placeholders for the
// ids, goes to a channel.
func (l *historyLog) publishRecorded(r *socketio.Recorded, command, channel string, message []byte) error {
	head, tail, ok := cutRecorded(r, message)
	if !ok {
		return errMalformed
	}
	return l.record(r, "", []any{command, channel, head, tail}, len(message), nil)
}

// cutRecorded returns the parts of a message before and behind the placeholders for ids.
func cutRecorded(r *socketio.Recorded, message []byte) (head, tail []byte, ok bool) {
	mark := []byte(recordedText(r))
	at := bytes.LastIndex(message, mark) // behind everything that users write
	if at < 0 {
		return nil, nil, false
	}
	return message[:at], message[at+len(mark):], true
}

// roomLocked returns what this node has written to a room.
func (l *historyLog) roomLocked(room string) *writerRoom {
	w := l.rooms[room]
	if w == nil {
		w = &writerRoom{}
		l.rooms[room] = w
	}
	return w
}

// record queues the script. done, if not nil, gets the reply of its last command.
func (l *historyLog) record(r *socketio.Recorded, ownStream string, last []any, size int, done func(reply any, err error)) error {
	keys := len(r.Rooms)
	args := []any{"eval", recordScript, 0}
	for _, room := range r.Rooms {
		args = append(args, l.key(room))
	}
	if ownStream != "" {
		keys++
		args = append(args, ownStream)
	}
	args[2] = keys
	args = append(args, r.Events, r.Age.Milliseconds(), (r.Age + historyMarkAge).Milliseconds(), r.Entry, len(r.Rooms))
	numbers := make([]uint64, len(r.Rooms))
	rooms := make([]*writerRoom, len(r.Rooms))

	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rooms)+len(r.Rooms) > maxWriterRooms {
		clear(l.rooms)
		l.writerName = randid.Hex(6)
	}
	for i, room := range r.Rooms {
		w := l.roomLocked(room)
		w.number++
		rooms[i], numbers[i] = w, w.number
		args = append(args, l.writerName+":"+strconv.FormatUint(w.number, 10))
	}
	args = append(args, last...)
	c := redisCommand{key: l.key(r.Rooms[0]), args: args, byteSize: size + len(r.Entry) + len(recordScript) + 128*len(r.Rooms)}
	c.onReply = func(reply any, err error) {
		main := l.settle(r, rooms, numbers, reply, err)
		if done != nil {
			done(main, err)
		}
	}
	err := l.node.publisher.queueCommand(c)
	if err != nil {
		for i, w := range rooms {
			w.failed = numbers[i]
		}
	}
	return err
}

// settle takes the reply of the script and returns that of its last command.
func (l *historyLog) settle(r *socketio.Recorded, rooms []*writerRoom, numbers []uint64, reply any, err error) (main any) {
	list, _ := reply.([]any)
	ids := make([]socketio.RecordID, len(r.Rooms))
	l.mu.Lock()
	for i, w := range rooms {
		stored := false
		if err == nil && len(list) == len(r.Rooms)+1 {
			text, _ := list[i+1].(string)
			ids[i], stored = socketio.ParseRecordID(text)
		}
		if !stored {
			w.failed = max(w.failed, numbers[i])
		} else if ids[i].Compare(w.lastStored) > 0 {
			w.lastStored, w.stored = ids[i], numbers[i]
		}
	}
	l.mu.Unlock()
	r.Settle(ids)
	if len(list) > 0 {
		return list[0]
	}
	return nil
}
