package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"posthouse/socketio/history"
)

const keptMessages = 100 // per room; older ones are forgotten

// keepMessages gives every room a history: in Redis if the replicas have one, in memory
// otherwise. The messages outlive the replica that took them.
func (c *chat) keepMessages() {
	kept, err := history.New(&history.Options{
		Rooms:  func(room string) bool { return strings.HasPrefix(room, roomPrefix) },
		Events: keptMessages,
		Age:    7 * 24 * time.Hour,
	})
	if err != nil {
		panic(err) // the options are those above
	}
	c.kept = kept
	kept.Apply(c.io.Of("/"))
}

// messagesOf reads the messages of a page, the oldest first.
func messagesOf(page *history.Page) []Message {
	messages := make([]Message, 0, len(page.Events))
	for _, e := range page.Events {
		var m Message
		if len(e.Args) > 0 && json.Unmarshal(e.Args[0], &m) == nil {
			messages = append(messages, m)
		}
	}
	return messages
}

// find looks for a message that the same person sent before with the same id. While
// the history cannot be read, a message is rather sent twice than lost.
func (c *chat) find(ctx context.Context, m Message) (Message, bool) {
	page, err := c.kept.Read(ctx, c.io.Of("/"), roomPrefix+m.Room, keptMessages, "")
	if err != nil {
		return m, false
	}
	for _, was := range messagesOf(page) {
		if was.ID == m.ID && was.From.ID == m.From.ID {
			return was, true
		}
	}
	return m, false
}

// nextTime is now, or later: no two messages that this replica takes have one time.
func (c *chat) nextTime() int64 {
	for {
		last := c.lastAt.Load()
		at := max(time.Now().UnixMilli(), last+1)
		if c.lastAt.CompareAndSwap(last, at) {
			return at
		}
	}
}
