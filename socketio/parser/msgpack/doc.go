// Package msgpack reads and writes MessagePack, in the dialect of notepack.io
// 3.0.1, which Node's Redis adapters and emitters and socket.io-msgpack-parser
// speak. It is for the msgpack codec of package parser and for the Redis
// adapters, which build and take apart their envelopes by hand because the order
// of keys is part of the protocol.
//
// There are two levels: Append functions and a Reader for single tokens, and
// transcoders between MessagePack and the canonical form of a packet's data
// (JSON text with placeholders, and attachments), which build no Go values.
//
// Everything here is a pure function of its input: no I/O, no goroutine, no
// global state. A Reader belongs to one goroutine.
package msgpack
