// Package netpoll is the event loop: it watches the descriptors of many
// connections on few goroutines, so that an idle connection holds neither a
// goroutine nor what package net keeps of it.
//
// A [Loop] tells the [Handler] of a descriptor that it is ready, or that another
// goroutine asked for its attention with [Loop.Wake]. A [Group] spreads descriptors over as
// many loops as there are processors, and has one more whose handlers are called in
// one order. The package does no protocol: what is read and written is the
// handlers' concern.
//
// # Ownership
//
// A loop has one goroutine. It calls all handlers of the loop, one after the other,
// so a handler must not block: it would stall the other connections. The goroutine
// exists while the loop has descriptors; the owner of the group counts it.
//
// A descriptor belongs to its handler, with one restriction: it is closed only by
// the loop's goroutine, which means in a call of the handler, after [Loop.Remove]
// or [Loop.Detach]. Otherwise the number could already be another connection's when
// an event that was collected before is delivered. Other goroutines may read and
// write the descriptor as long as the handler keeps the loop from closing it.
//
// # Other systems
//
// Loops exist on Linux ([Supported]). Elsewhere, and with the build tag
// goroutinereaders, which is for tests, no descriptor can be added to one, and a
// goroutine has to read each connection.
package netpoll
