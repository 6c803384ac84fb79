package adapter_test

import (
	"testing"

	"posthouse/adapter"
	"posthouse/socketio"
)

func TestStreamsBetweenGoReplicas(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]*adapter.StreamsOptions{
		"one stream": nil,
		"sharded":    {UseShardedPubSub: true},
		"streams":    {StreamCount: 3, SafeStreamNames: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			a := newGoReplica(t, adapter.RedisStreams(rdb, o), nil)
			b := newGoReplica(t, adapter.RedisStreams(rdb, o), nil)
			operations(t, "streams", a, b)
		})
	}
}

func TestStreamsFromGoToNode(t *testing.T) {
	t.Parallel()
	for _, library := range []string{"redis", "ioredis"} {
		t.Run(library, func(t *testing.T) {
			t.Parallel()
			rdb, where := newRedis(t)
			node := newNodeReplica(t, nodeConfig{Kind: "streams", Where: where, Library: library})
			operations(t, "streams", newGoReplica(t, adapter.RedisStreams(rdb, nil), nil), node)
		})
	}
}

func TestStreamsFromNodeToGo(t *testing.T) {
	t.Parallel()
	for _, library := range []string{"redis", "ioredis"} {
		t.Run(library, func(t *testing.T) {
			t.Parallel()
			rdb, where := newRedis(t)
			node := newNodeReplica(t, nodeConfig{Kind: "streams", Where: where, Library: library})
			operations(t, "streams", node, newGoReplica(t, adapter.RedisStreams(rdb, nil), nil))
		})
	}
}

var _ socketio.SessionStore = (*adapter.Streams)(nil)
