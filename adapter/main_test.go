package adapter_test

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"posthouse/socketio"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv("ADAPTER_TEST_REPLICA"); kind != "" {
		fmt.Fprintln(os.Stderr, runReplica(kind, os.Getenv("ADAPTER_TEST_REDIS"), os.Getenv("ADAPTER_TEST_LISTEN")))
		os.Exit(1)
	}
	// Most tests wait for Redis, for leases and for other processes.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// A pool of go-redis that lost its server sleeps a second before it sees that it
	// was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// runReplica is a server in a process of its own, for tests that kill it.
func runReplica(kind, redisAddr, listen string) error {
	rdb := redis.NewClient(&redis.Options{Addr: redisAddr})
	o := withRecovery()
	o.NewAdapter = recoveringAdapters[kind](rdb)
	io := socketio.NewServer(o)
	io.OnConnection(func(s *socketio.Socket) {
		s.On("join", func(e *socketio.Event) {
			var room string
			if e.Bind(&room) == nil {
				_ = s.Join(room)
				_ = e.Ack()
			}
		})
	})
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	return http.Serve(ln, io)
}
