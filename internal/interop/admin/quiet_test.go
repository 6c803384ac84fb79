package admin_test

import (
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/admin"
	"posthouse/socketio/sockettest"
)

// instrumented is a server on a Redis, with administrators.
func instrumented(t *testing.T, rdb *redis.Client) (*sockettest.Server, *admin.Admin) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	srv := sockettest.NewServer(t, &socketio.Options{NewAdapter: adapter.Redis(rdb, &adapter.RedisOptions{Logger: quiet}), Logger: quiet})
	srv.OnEvent("say", func(e *socketio.Event) {
		_ = e.Socket().Join("room1")
		_ = e.Socket().Emit("said", e.Args())
		_ = e.Ack()
	})
	a, err := admin.Instrument(srv.Server, &admin.Options{NoAuth: true, MaxSockets: -1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return srv, a
}

func TestManyChatteringSockets_NoAdministrator_OnlyStatisticsArePublished(t *testing.T) {
	addr, _ := testenv.Redis(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { rdb.Close() })
	wire := rdb.PSubscribe(t.Context(), "socket.io*/admin*")
	t.Cleanup(func() { wire.Close() })
	if _, err := wire.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv, first := instrumented(t, rdb)
	_, second := instrumented(t, rdb)
	sockets := 5000
	if testing.Short() || testenv.Race {
		sockets = 500
	}
	for range sockets {
		srv.Connect("/", nil).Call("say", "hello")
	}
	// A whole interval of statistics later, and not without any.
	stats, deadline := 0, time.Now().Add(time.Minute)
	var began time.Time
	for stats < 3 || time.Since(began) < 6*time.Second {
		m, err := wire.ReceiveTimeout(t.Context(), time.Until(deadline))
		if err != nil {
			t.Fatal(err)
		}
		message, ok := m.(*redis.Message)
		if !ok {
			continue
		}
		if began.IsZero() {
			began = time.Now()
		}
		question := regexp.MustCompile(`"type":[0-9]`).MatchString(message.Payload) // do administrators look there?
		switch {
		case strings.Contains(message.Payload, "server_stats"):
			stats++
		case strings.Contains(message.Channel, "request") && question, strings.Contains(message.Channel, "response"):
		case strings.Contains(message.Channel, "-nodes#"), strings.Contains(message.Channel, "-probe#"): // the adapter's own
		default:
			t.Fatalf("published on %s: %.200q", message.Channel, message.Payload)
		}
	}
	if sent := first.Stats().Sent + second.Stats().Sent; sent != 0 {
		t.Errorf("%d messages for no administrator", sent)
	}

	// One on the other node: now they are.
	other, _ := instrumented(t, rdb)
	c := other.Connect("/admin", nil)
	c.Expect("all_sockets")
	client := srv.Connect("/", nil)
	for {
		if m := c.Expect("socket_connected"); strings.Contains(m.Args.String(), client.ID) {
			break
		}
	}
}
