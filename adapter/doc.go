// Package adapter makes any number of processes one Socket.IO server: what one
// replica broadcasts reaches the sockets of all of them, through Redis or Valkey
// (a single server, Sentinel or Cluster, by way of go-redis's universal client).
//
// It is for servers made with package socketio, and speaks byte for byte as the
// Node packages do, so that Go and Node replicas share a cluster:
//
//	@socket.io/redis-adapter, createAdapter         Redis
//	@socket.io/redis-adapter, createShardedAdapter  ShardedRedis
//	@socket.io/redis-streams-adapter                RedisStreams
//	@socket.io/redis-emitter                        NewEmitter
//	@socket.io/redis-streams-emitter                NewStreamsEmitter
//
// NewShardedEmitter is the emitter for ShardedRedis.
//
// Adapters carry events between replicas; a Relay carries the requests of one
// session to the replica that holds it, so that balancers need no sticky sessions.
//
// # What is trusted
//
// Messages between nodes are Node's and carry no signature: a writer of Redis can
// broadcast to clients and move their sockets. Give the servers a Redis user of their
// own. A Relay asks more, because it sends requests: the entries that name owners are
// signed with RelayOptions.Secrets, which Redis does not know, and an owner proves
// that it is the replica before it gets a request (docs/reliability.md §4 row 41).
//
// # What it adds
//
// Local delivery never waits for Redis. Publishing keeps the order of each
// namespace, gathers what arrives while a write is under way, and is bounded:
// see ErrQueueFull. Commands that publish are never sent twice. Subscriptions
// come back by themselves, and each connection proves every ProbeInterval that
// what is published still arrives; one that went silent is made again.
//
// Go nodes tell each other that they live on a channel of their own
// (<key>-nodes#<namespace>#, which Node never subscribes to), because the
// pub/sub adapters of Node have no heartbeat and would not understand one. A
// request is not kept waiting for a Go node that said goodbye or fell silent, nor
// for any node that Redis no longer counts as a subscriber; any other node that does not
// answer in time makes it end with a *socketio.PartialError and what did arrive. While
// Redis is not reached, requests and changes of sockets return what this node has and
// ErrNotReached.
//
// With socketio.Options.Recovery clients come back to any node with their id, rooms and
// missed events, also after their node was killed: RedisStreams has what that takes,
// Redis and ShardedRedis with LogOptions. In doubt the client gets a new session
// (docs/realtime.md §8).
//
// # Goroutines
//
// The adapter of a namespace owns one publisher, one subscriber per Redis server
// it listens to, one that keeps the presence and one that answers requests of
// other nodes. RedisStreams and LogOptions share one reader per stream among the
// namespaces. Recovery adds up to three: one writes sessions, one marks, one vouches for
// what was heard.
// Close ends and waits for all of them. An Emitter has none; those of a Relay are
// its Run and Drain, which the caller owns, and a second one for each WebSocket that it
// relays, which the request's goroutine waits for.
package adapter
