package hook_test

import (
	"context"
	"errors"
	"fmt"

	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/hook"
)

func Example() {
	secrets, err := hook.ParseSecrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") // from a file
	if err != nil {
		panic(err)
	}
	client, err := hook.New(&hook.Options{URL: "http://127.0.0.1:8080/socketio", Secrets: secrets, Replica: "gw1"})
	if err != nil {
		panic(err)
	}
	io := socketio.NewServer(nil)
	var app hook.Namespace = io.Of("/app")
	client.Attach(app)

	// A notice that no socket causes is posted too, signed and until the back end has it.
	if false {
		_ = client.Notify("msg_1", map[string]string{"type": "invoice.paid"})
	}

	ctx := context.Background() // with a deadline in a program
	_ = io.Shutdown(ctx)
	fmt.Println(client.Shutdown(ctx), client.Stats() == hook.Stats{})
	// Output: <nil> true
}

// Rules answer some events; the back end gets the others.
func ExampleClient_HandleEvent() {
	var secrets []hook.Secret
	client, err := hook.New(&hook.Options{URL: "http://127.0.0.1:8080/socketio", Secrets: secrets})
	fmt.Println(client, err)
	if err == nil {
		io := socketio.NewServer(nil)
		app := io.Of("/app")
		rules, _ := access.New(&access.Options{Join: []string{"topic:*"}, Other: client.HandleEvent})
		rules.Apply(app)
		client.AttachConnections(app)
	}
	// Output: <nil> hook: Secrets: at least one is needed
}

func ExampleParseSecrets() {
	_, err := hook.ParseSecrets("whsec_c2hvcnQ=")
	fmt.Println(errors.Is(err, hook.ErrSecret), err)
	// Output: true hook: unsuitable secret: line 1: write whsec_ and the base64 of 24 to 64 bytes
}

func ExampleData() {
	io := socketio.NewServer(nil)
	defer io.Shutdown(context.Background())
	io.Of("/app").OnConnection(func(s *socketio.Socket) {
		data, ok := hook.Data.Of(s) // what an answer of the back end set
		fmt.Println(string(data), ok)
	})
	// Output:
}

// A back end that moves, or whose secret changes, needs no restart.
func ExampleClient_Update() {
	secrets, err := hook.ParseSecrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		panic(err)
	}
	client, err := hook.New(&hook.Options{URL: "http://127.0.0.1:8080/socketio", Secrets: secrets})
	if err != nil {
		panic(err)
	}
	fmt.Println(client.Update(&hook.Options{URL: "http://127.0.0.1:8081/socketio", Secrets: secrets}))
	fmt.Println(client.Update(&hook.Options{URL: "ftp://127.0.0.1/socketio", Secrets: secrets}))
	// Output:
	// <nil>
	// hook: URL "ftp://127.0.0.1/socketio": write a whole http or https URL
}
