package presence_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/presence"
)

func Example() {
	topics, err := access.Matching("topic:*")
	if err != nil {
		panic(err)
	}
	here, err := presence.New(&presence.Options{Rooms: topics}) // with Store: one of package adapter, over all nodes
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); here.Run(ctx) }()
	defer func() { stop(); <-ended }()

	io := socketio.NewServer(nil)
	defer io.Shutdown(context.Background())
	var app presence.Namespace = io.Of("/app")
	here.Apply(app)
	fmt.Println(here.Watches("topic:1"), here.Watches("other"))
	// Output: true false
}

func ExamplePresence_Members() {
	here, err := presence.New(&presence.Options{Rooms: func(string) bool { return true }})
	if err != nil {
		panic(err)
	}
	io := socketio.NewServer(nil)
	defer io.Shutdown(context.Background())
	var list *presence.List
	list, err = here.Members(context.Background(), io.Of("/"), "hall")
	fmt.Println(list, errors.Is(err, presence.ErrUnknown)) // Run is not running
	// Output: <nil> true
}

// nowhere is a Store that forgets.
type nowhere struct{}

func (nowhere) Renew(context.Context) (bool, error)             { return false, nil }
func (nowhere) Write(context.Context, []presence.Change) error  { return nil }
func (nowhere) Changed(context.Context) ([]string, bool, error) { return nil, false, nil }
func (nowhere) Sweep(context.Context) error                     { return nil }
func (nowhere) Lease() time.Duration                            { return time.Minute }
func (nowhere) Read(context.Context, string) ([]presence.Member, error) {
	return []presence.Member{{User: "ada", Connections: 1}}, nil
}

func ExampleStore() {
	var store presence.Store = nowhere{}
	members, err := store.Read(context.Background(), "hall")
	fmt.Println(members[0].User, err)
	// Output: ada <nil>
}
