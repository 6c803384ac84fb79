package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/socketio"
	"posthouse/socketio/clientdist"
	"posthouse/socketio/engineio"
)

// maxLoginPayload is the largest message of a gateway client: everything it has
// to say is a few hundred bytes (docs/reliability.md §4 row 4).
const maxLoginPayload = 16 << 10

// payloadLimit is the longest message of a connection in bytes.
func payloadLimit(c *Config) int {
	if len(c.Namespaces) > 0 {
		return maxNamespacePayload
	}
	return maxLoginPayload
}

// defaultRooms is how many rooms a socket may be in where limits.rooms does not say
// (docs/realtime.md §3).
const defaultRooms = 256

// newSocketIO makes the Socket.IO server with the adapter the configuration names.
func newSocketIO(cfg *Config, rdb redis.UniversalClient, relay *adapter.Relay, admit *admission, tr *traces, log *slog.Logger) (*socketio.Server, error) {
	o := &socketio.Options{
		Engine: engineio.Options{
			Path:       cfg.SocketIOPath + "/",
			AllowEIO3:  true,
			MaxPayload: int64(payloadLimit(cfg)),
			AnyOrigin:  true, // admission has judged it, with what trusted proxies say
			Logger:     log,

			ConnLimiter: admit,
			OnFlush:     admit.metrics.observeFlush,

			OnSessionEnd: newEndLog(log).connectionEnded,
		},
		ConnectTimeout: 10 * time.Second, // docs/reliability.md §4 row 9
		Bundles:        clientdist.FS(),
		// Administrators of any node see what FetchSockets tells: see docs/admin.md §3.
		PrivateHandshake: []string{
			"auth.token", "auth.pid", "headers.authorization", "headers.cookie", "headers.proxy-authorization", "headers.sec-websocket-key",
		},
		ClientAddress: func(r *http.Request) string { return admit.clientIP(r).String() },
		ConnContext: func(ctx context.Context, r *http.Request) context.Context {
			return context.WithValue(ctx, connSlotKey{}, takeConnSlot(r))
		},
		ConnClosed: func(ctx context.Context) {
			s, _ := ctx.Value(connSlotKey{}).(*connSlot)
			s.giveBack()
		},
		// docs/reliability.md §4 row 17; /login has a rate of its own.
		Limits:   socketio.Limits{EventsPerSecond: 50, EventsBurst: 100},
		Observer: tr.observe(admit.metrics.observer()),
		Logger:   log,
	}
	if len(cfg.Namespaces) > 0 {
		o.RecoveryByNamespace = recoveryByNamespace(cfg.Namespaces)
		o.Limits.Rooms = roomLimit(cfg.Namespaces) // the rules of each namespace keep its own bound
	}
	if cfg.WebTransport == "on" {
		o.Engine.Transports = []string{"polling", "websocket", "webtransport"}
	}
	if relay != nil {
		o.Engine.GenerateID = relay.NewID
	}
	if rdb != nil {
		o.NewAdapter = newAdapter(rdb, cfg.Adapter, cfg.AdapterKey, log)
	}
	io := socketio.NewServer(o)
	// The start page measures its round trip with this.
	io.OnConnection(func(s *socketio.Socket) {
		s.On("rtt", func(e *socketio.Event) { _ = e.Ack() })
	})
	io.OnConnection(admit.countEarlyEvents)
	return io, nil
}

// countEarlyEvents counts the events of a socket that come too fast for its namespace.
func (a *admission) countEarlyEvents(s *socketio.Socket) {
	s.OnError(func(err error) {
		if errors.Is(err, socketio.ErrRate) {
			a.metrics.refusals.countRefusal("events")
		}
	})
}

// newAdapter makes the adapter of POSTHOUSE_ADAPTER. All prove themselves: the logins
// are read rarely while messages arrive (login_poll.go). The events of namespaces with
// recovery are also in a log, if the adapter itself is none.
func newAdapter(rdb redis.UniversalClient, kind, key string, log *slog.Logger) socketio.NewAdapter {
	if kind == "streams" {
		return adapter.RedisStreams(rdb, &adapter.StreamsOptions{StreamName: key, ChannelPrefix: key, ProofInterval: proofEvery, Logger: log})
	}
	published := func(eventLog *adapter.LogOptions) socketio.NewAdapter {
		if kind == "sharded" {
			return adapter.ShardedRedis(rdb, &adapter.ShardedOptions{ChannelPrefix: key, ProofInterval: proofEvery, Log: eventLog, Logger: log})
		}
		return adapter.Redis(rdb, &adapter.RedisOptions{Key: key, ProofInterval: proofEvery, Log: eventLog, Logger: log})
	}
	plain, logged := published(nil), published(&adapter.LogOptions{})
	return func(l *socketio.LocalAdapter) (socketio.Adapter, error) {
		if _, recovers := l.RecoveryEnabled(); recovers {
			return logged(l)
		}
		return plain(l)
	}
}
