package adapter_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
)

// goEmitter obeys commands as the emitter of peer.js does.
type goEmitter struct{ *adapter.Emitter }

func (e goEmitter) connect(t testing.TB, nsp string) client { panic("has no sockets") }

func (e goEmitter) do(c command) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	to := e.Of(c.NSP).To(c.To...).Except(c.Except...)
	if c.Volatile {
		to = to.Volatile()
	}
	args := revive(c.Args).([]any)
	switch c.Cmd {
	case "emit":
		return "null", to.Emit(ctx, args[0].(string), args[1:]...)
	case "socketsJoin":
		return "null", to.SocketsJoin(ctx, c.Rooms...)
	case "socketsLeave":
		return "null", to.SocketsLeave(ctx, c.Rooms...)
	case "disconnectSockets":
		return "null", to.DisconnectSockets(ctx, c.Close)
	case "serverSideEmit":
		return "null", to.ServerSideEmit(ctx, args[0].(string), args[1:]...)
	}
	return "", errors.ErrUnsupported
}

// emits performs every operation of an emitter, and looks at two replicas.
func emits(t *testing.T, emitter replica, replicas ...replica) {
	// (Node's streams adapter misses what is sent before its first read.)
	for _, b := range replicas {
		c := b.connect(t, "/")
		testenv.Until(t, 10*time.Second, "replica to listen", func() bool {
			must(t, emitter, command{Cmd: "socketsJoin", To: []string{c.id()}, Rooms: []string{"reached"}})
			return strings.Contains(must(t, b, command{Cmd: "fetchSockets", Local: true, To: []string{"reached"}}), c.id())
		})
	}
	for _, b := range replicas {
		c1, c2, chat := b.connect(t, "/"), b.connect(t, "/"), b.connect(t, "/chat")
		must(t, b, command{Cmd: "join", SID: c1.id(), Rooms: []string{"room1", "room2"}})
		must(t, b, command{Cmd: "join", SID: c2.id(), Rooms: []string{"room1"}})
		testenv.Until(t, 5*time.Second, "subscriptions", func() bool {
			must(t, emitter, command{Cmd: "emit", To: []string{"room2"}, Args: []any{"settle"}})
			must(t, emitter, command{Cmd: "emit", To: []string{c1.id()}, Args: []any{"settled"}})
			for {
				switch c1.next(t) {
				case "settle[]":
					c1.next(t)
					return true
				case "settled[]":
					return false
				}
			}
		})
		must(t, emitter, command{Cmd: "emit", To: []string{"room2", "room1"}, Except: []string{"room2"}, Volatile: true, Args: []any{"some"}})
		must(t, emitter, command{Cmd: "emit", Args: []any{"values", 1, bin(1, 2, 3), date(1700000000123), map[string]any{"a": nil}}})
		for _, c := range []client{c1, c2} {
			got := c.next(t)
			if c == c2 && got == "some[]" { // volatile
				got = c.next(t)
			}
			if got != `values[1,{"$bin":"010203"},"2023-11-14T22:13:20.123Z",{"a":null}]` {
				t.Errorf("got %s", got)
			}
		}
		must(t, emitter, command{Cmd: "emit", NSP: "/chat", Args: []any{"to chat"}})
		expectNext(t, chat, "to chat[]")
		must(t, emitter, command{Cmd: "socketsJoin", To: []string{"room2"}, Rooms: []string{"room9"}})
		testenv.Until(t, 5*time.Second, "join", func() bool {
			return strings.Contains(must(t, b, command{Cmd: "fetchSockets", Local: true, To: []string{"room9"}}), c1.id())
		})
		must(t, emitter, command{Cmd: "socketsLeave", Rooms: []string{"room9", "room8"}})
		testenv.Until(t, 5*time.Second, "leave", func() bool {
			return must(t, b, command{Cmd: "fetchSockets", Local: true, To: []string{"room9"}}) == "[]"
		})
		must(t, emitter, command{Cmd: "serverSideEmit", Args: []any{"hi", "world", 1}})
		for _, other := range replicas {
			if got := must(t, other, command{Cmd: "nextServerSide"}); got != `hi["world",1]` {
				t.Errorf("got %s", got)
			}
		}
		must(t, emitter, command{Cmd: "disconnectSockets", To: []string{"room1"}})
		must(t, emitter, command{Cmd: "disconnectSockets", Close: true})
		testenv.Until(t, 5*time.Second, "disconnect", func() bool {
			return must(t, b, command{Cmd: "fetchSockets", Local: true}) == "[]"
		})
	}
}

func TestEmitters(t *testing.T) {
	t.Parallel()
	t.Run("Go to Go and Node", func(t *testing.T) {
		t.Parallel()
		rdb, where := newRedis(t)
		emits(t, goEmitter{adapter.NewEmitter(rdb, nil)},
			newGoReplica(t, adapter.Redis(rdb, nil), nil), newNodeReplica(t, nodeConfig{Kind: "classic", Where: where}))
	})
	t.Run("Node to Go", func(t *testing.T) {
		t.Parallel()
		rdb, where := newRedis(t)
		emits(t, newNodeReplica(t, nodeConfig{Kind: "emitter", Where: where}), newGoReplica(t, adapter.Redis(rdb, nil), nil))
	})
	t.Run("sharded Go to Go and Node", func(t *testing.T) {
		t.Parallel()
		rdb, where := newRedis(t)
		emits(t, goEmitter{adapter.NewShardedEmitter(rdb, nil)},
			newGoReplica(t, adapter.ShardedRedis(rdb, nil), nil), newNodeReplica(t, nodeConfig{Kind: "sharded", Where: where}))
	})
	t.Run("streams Go to Go and Node", func(t *testing.T) {
		t.Parallel()
		rdb, where := newRedis(t)
		emits(t, goEmitter{adapter.NewStreamsEmitter(rdb, nil)},
			newGoReplica(t, adapter.RedisStreams(rdb, nil), nil), newNodeReplica(t, nodeConfig{Kind: "streams", Where: where}))
	})
}

func TestEmitterRefusesReservedNames(t *testing.T) {
	t.Parallel()
	e := adapter.NewEmitter(nil, nil)
	if err := e.Emit(t.Context(), "disconnect"); !errors.Is(err, socketio.ErrReserved) {
		t.Errorf("got %v", err)
	}
	if err := e.Emit(t.Context(), "hello"); err == nil {
		t.Error("no error without a client")
	}
}
