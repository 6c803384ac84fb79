package history

import (
	"encoding/json"
	"fmt"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/internal/jsonbinary"
)

// Event is one event of a room's past. Binary arguments are {"$binary": base64}
// (docs/realtime.md §4).
type Event struct {
	ID    string            `json:"id"`
	Event string            `json:"event"`
	Args  []json.RawMessage `json:"args"`
	Time  time.Time         `json:"time"`
	From  *string           `json:"from" nullable:"true" doc:"The sender's user; null for the back end."`
}

// Page is a run of events, the newest last.
type Page struct {
	Events []Event `json:"events"`
	More   bool    `json:"more" doc:"Older ones are kept: ask again with before."`
	// Gap says that there are fewer than asked for, or some missing between them, because
	// events are not kept any more.
	Gap bool `json:"gap,omitempty" doc:"Events are missing: they are no longer kept."`
}

// kept is an event as stores have it.
type kept struct {
	Event string            `json:"e"`
	Args  []json.RawMessage `json:"a"`
	From  *string           `json:"f,omitempty"`
}

// encodeEntry is the form in which stores keep an event. Binary values are copied, so that
// nothing of the caller is held.
func encodeEntry(r *socketio.Recording) ([]byte, error) {
	k := kept{Event: r.Event, Args: []json.RawMessage{}, From: r.User}
	for _, v := range r.Args.All() {
		if len(v.Attachments) == 0 && jsonbinary.Plain(v.JSON) {
			k.Args = append(k.Args, v.JSON)
			continue
		}
		var tree any
		if err := r.Args.Slice(len(k.Args)).Bind(&tree); err != nil {
			return nil, err
		}
		text, err := json.Marshal(jsonbinary.Encode(tree))
		if err != nil {
			return nil, err
		}
		k.Args = append(k.Args, text)
	}
	return json.Marshal(k)
}

func decodeEntry(item Item) (Event, error) {
	var k kept
	if err := json.Unmarshal(item.Entry, &k); err != nil || k.Event == "" {
		return Event{}, fmt.Errorf("history: entry %s cannot be read", item.ID)
	}
	if k.Args == nil {
		k.Args = []json.RawMessage{}
	}
	return Event{ID: item.ID.String(), Event: k.Event, Args: k.Args, From: k.From,
		Time: time.UnixMilli(int64(item.ID.Millis)).UTC()}, nil
}

// timeFormat is RFC 3339 in UTC, with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z"

// clientEvent is an Event as a Socket.IO client gets it: binary values are binary.
type clientEvent struct {
	ID    string  `json:"id"`
	Event string  `json:"event"`
	Args  []any   `json:"args"`
	Time  string  `json:"time"`
	From  *string `json:"from"`
}

// ForClient returns the events as acknowledgements carry them: with binary values.
func (p *Page) ForClient() ([]any, error) {
	list := make([]any, len(p.Events))
	for i, e := range p.Events {
		args, err := jsonbinary.DecodeList(e.Args)
		if err != nil {
			return nil, err
		}
		list[i] = clientEvent{e.ID, e.Event, args, e.Time.Format(timeFormat), e.From}
	}
	return list, nil
}
