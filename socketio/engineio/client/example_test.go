package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/client"
)

// askOnce asks a server for an answer and returns it.
func askOnce(ctx context.Context, url, text string) (answer string, err error) {
	var c *client.Conn
	if c, err = client.Dial(ctx, url, &client.Options{Transports: []string{"websocket"}}); err != nil {
		return "", err
	}
	if err := c.SendNow(engineio.Message{Data: []byte(text)}); err != nil {
		return "", err
	}
	err = c.Serve(ctx, client.Handler{
		Message: func(m engineio.Message) error {
			answer = string(m.Data)
			c.Close()
			return nil
		},
	})
	var ended *client.CloseError
	if errors.As(err, &ended) && ended.Reason == engineio.ReasonForcedClose {
		err = nil // we closed it
	}
	return answer, err
}

func Example() {
	_, err := askOnce(context.Background(), "ftp://localhost/", "hello")
	var refused *client.StatusError // an HTTP server that speaks no Engine.IO
	fmt.Println(err != nil, errors.As(err, &refused))
	// Output: true false
}

func ExampleCheck() {
	fmt.Println(client.Check("http://localhost:3000", nil))
	// Output: <nil>
}

func ExampleOptions() {
	var dial client.DialStream = func(context.Context, string, http.Header, int64) (net.Conn, error) {
		return nil, errors.New("no WebTransport here")
	}
	o := client.Options{EIO: 3, WebTransport: dial}
	fmt.Println(o.EIO)
	// Output: 3
}
