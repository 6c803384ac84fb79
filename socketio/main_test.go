package socketio_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a quiet server.
func serve(t testing.TB, o *socketio.Options) *sockettest.Server {
	t.Helper()
	var opts socketio.Options
	if o != nil {
		opts = *o
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return sockettest.NewServer(t, &opts)
}

// dial opens a connection without joining anything.
func dial(t testing.TB, s *sockettest.Server, o *sockettest.DialOptions) *sockettest.Conn {
	t.Helper()
	c, err := s.Dial(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// joined opens a connection and joins a namespace by hand; the answer is consumed.
func joined(t testing.TB, s *sockettest.Server, o *sockettest.DialOptions, connect string) *sockettest.Conn {
	t.Helper()
	c := dial(t, s, o)
	if connect != "" {
		c.SendText(connect)
	}
	c.Text()
	return c
}

func want(t testing.TB, got, wanted string) {
	t.Helper()
	if got != wanted {
		t.Errorf("got  %s\nwant %s", got, wanted)
	}
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// receive waits for a value of a channel.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(sockettest.Wait):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// bubble runs a test with a fake clock.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

var bg = context.Background()

type ctx = context.Context
