// Package ws is the WebSocket layer under the Engine.IO server: RFC 6455
// framing and handshake, and permessage-deflate of RFC 7692. It does no I/O of
// its own and starts no goroutine. The owner of a connection reads from it,
// hands each read to [Reader.Feed] and writes what the Append functions and
// [Frame] give; all of that belongs to one goroutine at a time, except Frame,
// which is shared.
//
// Why not gobwas/ws: its frames come through an io.Reader, so payloads are
// copied out of one more buffer and headers escape; beside BenchmarkFeed such a
// loop took three times as long per small frame and two allocations, where a
// Reader parses and unmasks the bytes where the read left them.
//
// A connection that rests between two messages costs the few words of its
// Reader and no buffer. Bytes are buffered only while a message is incomplete,
// never more than arrived plus one size step, in buffers that are shared
// through pools.
package ws
