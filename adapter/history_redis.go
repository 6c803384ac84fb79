package adapter

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio"
	"posthouse/socketio/history"
)

// The reading side of histories in Redis (docs/realtime.md §7).

// readScript reads one run of a room's stream, the newest first, and whether there were
// events that are not in it any more. KEYS: the stream. ARGV: the newest id, count, age.
const readScript = `local key = KEYS[1]
local now = redis.call('TIME')
local oldest = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[3])
local list = redis.call('XREVRANGE', key, ARGV[1], oldest, 'COUNT', ARGV[2])
local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)
local lost = 0
if #first == 0 then
  lost = redis.call('EXISTS', key .. ':old')
else
  if first[1][2][6] == '1' or tonumber(string.match(first[1][1], '^%d+')) < tonumber(oldest) then lost = 1 end
  local info, added, length = redis.call('XINFO', 'STREAM', key), 0, 0
  for i = 1, #info, 2 do
    if info[i] == 'entries-added' then added = info[i + 1] end
    if info[i] == 'length' then length = info[i + 1] end
  end
  if added > length then lost = 1 end
end
return {list, lost}`

// historyStore is the history.Store of a namespace.
type historyStore struct {
	log *historyLog
	// hears tells whether the messages of other nodes arrive.
	hears func() bool
}

var _ history.Store = (*historyStore)(nil)

// HistoryStore returns the histories of the namespace in Redis: see package history.
func (a *Classic) HistoryStore() history.Store {
	return &historyStore{a.history, a.answerChannels.canArrive}
}

// HistoryStore is as Classic.HistoryStore.
func (a *Sharded) HistoryStore() history.Store {
	return &historyStore{a.history, a.answerChannels.canArrive}
}

// HistoryStore is as Classic.HistoryStore.
func (a *Streams) HistoryStore() history.Store {
	return &historyStore{a.history, func() bool { return true }} // the reader goes on where it was
}

var (
	_ history.Backend = (*Classic)(nil)
	_ history.Backend = (*Sharded)(nil)
	_ history.Backend = (*Streams)(nil)
)

// Last implements history.Store. It waits behind what this node publishes: all that was
// sent before is at most the answer, all that is sent afterwards comes after it.
func (s *historyStore) Last(ctx context.Context, room string) (socketio.RecordID, error) {
	p := s.log.node.publisher
	if !s.hears() {
		return socketio.RecordID{}, notReached("history", nil)
	}
	type answer struct {
		reply any
		err   error
	}
	answered := make(chan answer, 1)
	key := s.log.key(room)
	err := p.queueCommand(redisCommand{key: key, args: []any{"xrevrange", key, "+", "-", "COUNT", 1}, byteSize: 64 + len(key),
		onReply: func(reply any, err error) { answered <- answer{reply, err} }})
	if err != nil {
		return socketio.RecordID{}, err
	}
	select {
	case a := <-answered:
		if a.err != nil || !s.hears() {
			return socketio.RecordID{}, notReached("history", a.err)
		}
		items, err := itemsOf(a.reply)
		if err != nil || len(items) == 0 {
			return socketio.RecordID{}, err
		}
		return items[0].ID, nil
	case <-ctx.Done():
		return socketio.RecordID{}, notReached("history", context.Cause(ctx))
	}
}

// Read implements history.Store.
func (s *historyStore) Read(ctx context.Context, q history.Query) (*history.Slice, error) {
	key := s.log.key(q.Room)
	server, err := s.log.node.redisNodes.ownerOf(ctx, key)
	if err != nil {
		return nil, notReached("history", err)
	}
	cmd := redis.NewCmd(ctx, "eval", readScript, 1, key, q.Until.String(), q.Limit+1, q.Age.Milliseconds())
	if err := server.Process(ctx, cmd); err != nil {
		return nil, notReached("history", err)
	}
	reply, _ := cmd.Val().([]any)
	if len(reply) != 2 {
		return nil, fmt.Errorf("adapter: history: %w", errMalformed)
	}
	items, err := itemsOf(reply[0])
	if err != nil {
		return nil, err
	}
	lost, _ := reply[1].(int64)
	more := len(items) > q.Limit
	if more {
		items = items[:q.Limit]
	}
	slice := &history.Slice{More: more, Lost: lost == 1, Items: make([]history.Item, len(items))}
	numbers := map[string]uint64{} // of the event of each writer that was seen last
	for i, item := range items {
		slice.Items[len(items)-1-i] = item.Item
		writer, number := item.mark()
		if later, seen := numbers[writer]; seen && later != number+1 {
			slice.Hole = true
		}
		numbers[writer] = number
	}
	for _, number := range numbers {
		if !more && number > 1 {
			slice.Lost = true // the writer's first events are gone
		}
	}
	s.compareWithOwn(q, slice)
	return slice, nil
}

// compareWithOwn looks for what this node has written and the stream does not have.
func (s *historyStore) compareWithOwn(q history.Query, slice *history.Slice) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	w := s.log.rooms[q.Room]
	if w == nil || w.lastStored.Compare(q.Until) > 0 {
		return
	}
	if w.failed > w.stored {
		slice.Hole = true // an event was sent after the newest one that Redis took
	}
	if w.stored == 0 || slice.More {
		return
	}
	for _, item := range slice.Items {
		if item.ID == w.lastStored {
			return
		}
	}
	slice.Lost = true
}

// storedItem is an entry of a stream.
type storedItem struct {
	history.Item
	markText string
}

// mark is who wrote the event, and its number.
func (i *storedItem) mark() (writer string, number uint64) {
	writer, text, _ := strings.Cut(i.markText, ":")
	number, _ = strconv.ParseUint(text, 10, 64)
	return writer, number
}

// itemsOf reads the reply to XREVRANGE.
func itemsOf(reply any) ([]storedItem, error) {
	list, ok := reply.([]any)
	if !ok {
		return nil, fmt.Errorf("adapter: history: %w", errMalformed)
	}
	items := make([]storedItem, 0, len(list))
	for _, entry := range list {
		pair, _ := entry.([]any)
		if len(pair) != 2 {
			return nil, fmt.Errorf("adapter: history: %w", errMalformed)
		}
		text, _ := pair[0].(string)
		id, ok := socketio.ParseRecordID(text)
		if !ok {
			return nil, fmt.Errorf("adapter: history: %w", errMalformed)
		}
		item := storedItem{Item: history.Item{ID: id}}
		fields, _ := pair[1].([]any)
		for i := 0; i+1 < len(fields); i += 2 {
			value, _ := fields[i+1].(string)
			switch fields[i] {
			case "e":
				item.Entry = []byte(value)
			case "m":
				item.markText = value
			}
		}
		items = append(items, item)
	}
	return items, nil
}
