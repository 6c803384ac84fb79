package history_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/interop/history"
	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

// nodeConfig makes a node of the cluster; it is in the environment of its process.
type nodeConfig struct {
	Name     string
	Adapter  string // "classic", "sharded" or "streams"
	Recovery bool   // with the log that it takes
	Redis    []string
	Cluster  bool
	Through  map[string]string // Redis servers are reached by these addresses
	Listen   string            // for clients
	Control  string            // for the test
}

const nodeVariable = "POSTHOUSE_HISTORY_NODE"

// do is what the test tells a node to do, done what came of it.
type do struct {
	Action history.Action
	Room   string
	Sender string
	Seq    int
	Limit  time.Duration
	To     string // a session
	Mark   string // a room that it joins as well
}

type done struct {
	Phase  history.Phase
	Reason string
	Names  []string
}

// runNode is the process of a node. It ends with the test that started it.
func runNode(text string) error {
	var c nodeConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	go func() {
		for range time.Tick(time.Second) {
			if os.Getppid() == 1 {
				os.Exit(1)
			}
		}
	}()
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: c.Redis, IsClusterMode: c.Cluster,
		DialTimeout: 2 * time.Second, ReadTimeout: 2 * time.Second, ClientName: adapter.ClientName(),
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if through := c.Through[addr]; through != "" {
				addr = through
			}
			return dialer.DialContext(ctx, network, addr)
		}})
	o := &socketio.Options{
		NewAdapter: newAdapter(c, rdb),
		Engine:     engineio.Options{PingInterval: pingInterval, PingTimeout: pingTimeout},
		Logger:     slog.New(slog.NewTextHandler(os.Stdout, nil)),
	}
	if c.Recovery {
		o.Recovery = &socketio.Recovery{}
	}
	io := socketio.NewServer(o)
	io.OnServerSideEmit("who", func(e *socketio.ServerSideEvent) { _ = e.Ack(c.Name) })
	io.OnConnection(func(s *socketio.Socket) { serveSocket(s) })
	go func() { _ = http.ListenAndServe(c.Control, controlHandler(c, io)) }()
	return http.ListenAndServe(c.Listen, io)
}

const (
	pingInterval = 2 * time.Second
	pingTimeout  = 3 * time.Second
	// A busy machine stops these processes for a second: a probe due sooner ends subscriptions, and
	// with sooner heartbeats nodes count as silent, without a fault that the history tells of.
	heartbeat = 2 * time.Second
	probe     = 3 * time.Second
)

func newAdapter(c nodeConfig, rdb redis.UniversalClient) socketio.NewAdapter {
	var log *adapter.LogOptions
	if c.Recovery {
		log = &adapter.LogOptions{BlockTime: time.Second}
	}
	switch c.Adapter {
	case "sharded":
		return adapter.ShardedRedis(rdb, &adapter.ShardedOptions{Log: log, HeartbeatInterval: heartbeat, ProbeInterval: probe})
	case "streams":
		return adapter.RedisStreams(rdb, &adapter.StreamsOptions{BlockTime: time.Second, HeartbeatInterval: heartbeat, ProbeInterval: probe})
	}
	return adapter.Redis(rdb, &adapter.RedisOptions{Log: log, HeartbeatInterval: heartbeat, ProbeInterval: probe})
}

// serveSocket answers what clients ask: their rooms, and numbers that show order and repeats.
func serveSocket(s *socketio.Socket) {
	var mu sync.Mutex
	seen := 0
	s.On("join", func(e *socketio.Event) {
		var room string
		if e.Bind(&room) == nil && s.Join(room) == nil {
			_ = e.Ack()
		}
	})
	s.On("leave", func(e *socketio.Event) {
		var room string
		if e.Bind(&room) == nil {
			s.Leave(room)
			_ = e.Ack()
		}
	})
	s.On("rooms", func(e *socketio.Event) { _ = e.Ack(s.Rooms()) })
	s.On("ask", func(e *socketio.Event) {
		var seq int
		if e.Bind(&seq) == nil {
			mu.Lock()
			before := seen
			seen = seq
			mu.Unlock()
			_ = e.Ack(seq, before)
		}
	})
}

func controlHandler(c nodeConfig, io *socketio.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var d do
		if r.Method != http.MethodPost {
			return // a probe
		}
		if err := json.NewDecoder(r.Body).Decode(&d); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		names, err := perform(r.Context(), io, d)
		answer := done{Phase: history.OK, Names: names}
		if err != nil {
			answer.Phase, answer.Reason = history.Info, err.Error()
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
}

func perform(ctx context.Context, io *socketio.Server, d do) (names []string, err error) {
	if d.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Limit)
		defer cancel()
	}
	switch d.Action {
	case history.Emit:
		return nil, io.To(d.Room).Emit("event", d.Sender, d.Room, d.Seq)
	case history.Call:
		answers, err := io.To(d.Room).EmitWithAck(ctx, "event", d.Sender, d.Room, d.Seq)
		return texts(answers), err
	case history.Side:
		answers, err := io.ServerSideEmitWithAck(ctx, "who")
		return texts(answers), err
	case history.Fetch:
		sockets, err := io.In(d.Room).FetchSockets(ctx)
		for _, s := range sockets {
			names = append(names, s.ID())
		}
		return names, err
	case history.Kick:
		return nil, io.In(d.Room).DisconnectSockets(ctx, false)
	case history.Join:
		return nil, io.In(d.To).SocketsJoin(ctx, d.Room, d.Mark)
	case history.Leave:
		err := io.In(d.To).SocketsLeave(ctx, d.Room)
		return nil, errors.Join(err, io.In(d.To).SocketsJoin(ctx, d.Mark))
	}
	return nil, errors.New("unknown: " + string(d.Action))
}

func texts(answers []socketio.Args) (list []string) {
	for _, a := range answers {
		var text string
		_ = a.Bind(&text)
		list = append(list, text)
	}
	return list
}
