package adapter

import (
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// BenchmarkReceive measures what a published broadcast of another node costs the goroutine
// that takes it, without a log.
func BenchmarkReceive(b *testing.B) {
	rdb := benchRedis(b)
	b.Run("classic", func(b *testing.B) {
		srv := sockettest.NewServer(b, &socketio.Options{NewAdapter: Redis(rdb, nil)})
		a := srv.Of("/").Adapter().(*Classic)
		text, err := appendClassicBroadcast(nil, "oYcW10", benchPacket(), &socketio.BroadcastOptions{}, adapterOrder)
		if err != nil {
			b.Fatal(err)
		}
		payload := string(text)
		b.ReportAllocs()
		for b.Loop() {
			a.receive(a.broadcastPrefix, payload)
		}
	})
	b.Run("sharded", func(b *testing.B) {
		srv := sockettest.NewServer(b, &socketio.Options{NewAdapter: ShardedRedis(rdb, nil)})
		a := srv.Of("/").Adapter().(*Sharded)
		m := &clusterMessage{messageType: clusterBroadcast, senderUID: "0f3dabe6a557aaa7", namespace: "/", packet: benchPacket()}
		text, err := m.encodeSharded()
		if err != nil {
			b.Fatal(err)
		}
		payload := string(text)
		b.ReportAllocs()
		for b.Loop() {
			a.receive(a.mainChannel, payload)
		}
	})
}
