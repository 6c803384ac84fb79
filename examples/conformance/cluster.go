package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/socketio"
)

// member is this process's place in a cluster of fixtures of one suite; nil stands
// for a fixture alone.
type member struct {
	suite        string
	redis        *redis.Client
	sessionRelay *adapter.Relay
	log          *slog.Logger
}

// joinCluster makes the fixture that listens on ln a member. Each suite has keys of its own.
func joinCluster(url, tag string, f fixture, ln net.Listener, log *slog.Logger) (*member, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("--redis: %w", err)
	}
	rdb := redis.NewClient(o)
	m := &member{suite: "conformance-" + f.name, redis: rdb, log: log}
	m.sessionRelay, err = adapter.NewRelay(rdb, &adapter.RelayOptions{
		Tag: tag, Advertise: ln.Addr().String(), Path: f.path, Key: m.suite, Logger: log,
	})
	if err != nil {
		return nil, errors.Join(err, rdb.Close())
	}
	return m, nil
}

// newID names this process in session ids.
func (m *member) newID() func(*http.Request) (string, error) {
	if m == nil {
		return nil
	}
	return m.sessionRelay.NewID
}

// newAdapter connects namespaces; sessions recover in any process.
func (m *member) newAdapter() socketio.NewAdapter {
	if m == nil {
		return nil
	}
	return adapter.RedisStreams(m.redis, &adapter.StreamsOptions{
		StreamName: m.suite, ChannelPrefix: m.suite, SessionKeyPrefix: m.suite + ":session:", Logger: m.log,
	})
}

func (m *member) relay(h http.Handler) http.Handler {
	if m == nil {
		return h
	}
	return m.sessionRelay.Middleware(h)
}

// run says that this process lives, until stop is called, which also gives back
// what it relays.
func (m *member) run() (stop func() error) {
	if m == nil {
		return func() error { return nil }
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = m.sessionRelay.Run(ctx) }) // its error is always nil
	return func() error {
		ending, end := context.WithTimeout(context.Background(), 2*time.Second)
		defer end()
		err := m.sessionRelay.Drain(ending, time.Second)
		cancel()
		running.Wait()
		return err
	}
}

func (m *member) close() error {
	if m == nil {
		return nil
	}
	return m.redis.Close()
}
