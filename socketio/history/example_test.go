package history_test

import (
	"context"
	"fmt"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/history"
)

func Example() {
	topics, err := access.Matching("topic:*")
	if err != nil {
		panic(err)
	}
	kept, err := history.New(&history.Options{Rooms: topics, Events: 100, Age: 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	io := socketio.NewServer(nil) // with an adapter of Redis all nodes share the events
	defer io.Shutdown(context.Background())
	var app history.Namespace = io.Of("/app")
	kept.Apply(app)

	room := io.Of("/app").To("topic:1")
	_ = room.Record().Emit("said", "hello")
	_ = room.RecordFrom("ada").Emit("said", "good morning")
	page, err := kept.Read(context.Background(), io.Of("/app"), "topic:1", 10, "")
	if err != nil {
		panic(err)
	}
	for _, e := range page.Events {
		var event history.Event = e
		from := "the back end"
		if event.From != nil {
			from = *event.From
		}
		fmt.Println(from, event.Event, string(event.Args[0]))
	}
	// Output:
	// the back end said "hello"
	// ada said "good morning"
}

// Without package access a handler joins with Join: the live events follow the answer.
func ExampleHistory_Join() {
	kept, err := history.New(&history.Options{Rooms: func(string) bool { return true }})
	if err != nil {
		panic(err)
	}
	io := socketio.NewServer(nil)
	defer io.Shutdown(context.Background())
	kept.Apply(io.Of("/"))
	io.OnEvent("enter", func(e *socketio.Event) {
		s := e.Socket()
		page, release, err := kept.Join(e.Context(), s, "hall", min(20, history.MaxEvents), func() error { return s.Join("hall") })
		if err != nil {
			e.AckError(kept.EventError(err))
			return
		}
		_ = release(func() {
			events, _ := page.ForClient()
			_ = e.Ack(events)
		})
	})
	fmt.Println(kept.Keeps("hall"))
	// Output: true
}

// mine keeps events elsewhere: an adapter that has it is a Backend.
type mine struct{ socketio.Adapter }

func (mine) HistoryStore() history.Store { return shelf{} }

type shelf struct{}

func (shelf) Last(context.Context, string) (socketio.RecordID, error) {
	return socketio.RecordID{}, nil
}
func (shelf) Read(_ context.Context, q history.Query) (*history.Slice, error) {
	return &history.Slice{Items: []history.Item{}, Lost: q.Limit > 0}, nil
}

func ExampleBackend() {
	var backend history.Backend = mine{}
	slice, err := backend.HistoryStore().Read(context.Background(), history.Query{Room: "hall", Limit: 1})
	fmt.Println(slice.Lost, err)
	// Output: true <nil>
}

func ExamplePage() {
	var page *history.Page
	_, err := func() (*history.Page, error) { return page, history.ErrRequest }()
	fmt.Println(err)
	// Output: history: limit must be 1 to 1000, and before the id of an event
}
