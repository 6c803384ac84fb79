package access_test

import (
	"context"
	"errors"
	"fmt"

	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/auth"
	"posthouse/socketio/history"
)

func Example() {
	topics, err := access.Matching("topic:*")
	if err != nil {
		panic(err)
	}
	kept, err := history.New(&history.Options{Rooms: topics})
	if err != nil {
		panic(err)
	}
	rules, err := access.New(&access.Options{
		History: kept,
		Rooms:   []string{"user:{sub}", "everyone"},
		Join:    []string{"topic:*", "doc:{sub}:*"},
		Relay:   []string{"typing"},
		Claim:   auth.ClaimOf,
		Known:   []string{"auth"},
		Other:   access.RefuseUnknown,
	})
	if err != nil {
		panic(err)
	}
	io := socketio.NewServer(nil)
	defer io.Shutdown(context.Background())
	var app access.Namespace = io.Of("/app") // behind auth.Guard.Protect
	rules.Apply(app)
	fmt.Println(rules.Stats() == access.Stats{})
	// Output: true
}

// greeter tells with each join how many are in the room.
type greeter struct{ ns *socketio.Namespace }

func (g greeter) Join(_ context.Context, _ *socketio.Socket, r access.JoinRequest, join func() error) (map[string]any, error) {
	err := join()
	return map[string]any{"members": len(g.ns.LocalAdapter().Members(r.Room))}, err
}

func ExampleJoiner() {
	io := socketio.NewServer(nil)
	defer io.Shutdown(context.Background())
	var joiner access.Joiner = greeter{io.Of("/app")}
	var rules *access.Rules
	rules, err := access.New(&access.Options{Join: []string{"topic:*"}, Joiner: joiner})
	fmt.Println(rules != nil, err)
	// Output: true <nil>
}

// Rules can change while people are connected.
func ExampleRules_Update() {
	rules, err := access.New(&access.Options{Join: []string{"topic:*"}, Other: access.RefuseUnknown})
	if err != nil {
		panic(err)
	}
	fmt.Println(rules.Update(&access.Options{Join: []string{"topic:*", "news"}, Relay: []string{"typing"}}))
	fixed, err := access.New(nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(errors.Is(fixed.Update(nil), access.ErrUpdate))
	// Output:
	// <nil>
	// true
}
