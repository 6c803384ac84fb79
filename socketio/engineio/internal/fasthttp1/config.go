package fasthttp1

import (
	"log/slog"
	"net/netip"
	"time"

	"posthouse/socketio/engineio/internal/netpoll"
	"posthouse/socketio/internal/workers"
)

// Config is what Serve needs beside the http.Server. All fields but Admit, Release
// and Arrived are required. The functions are called by several goroutines at a time
// and must not block.
type Config struct {
	// Loop watches the connections of all listeners that have requests in common.
	Loop *netpoll.Loop
	// Workers run the handlers.
	Workers *workers.Pool
	Log     *slog.Logger

	// WriteTimeout is how long a peer may take no byte of an answer.
	WriteTimeout time.Duration
	// KeepTime is how long a connection is kept between requests, should the
	// IdleTimeout of the http.Server be longer or missing. Connections from proxies
	// have IdleTimeout alone.
	KeepTime time.Duration
	// Stopping reports whether net/http is to serve all connections from now on.
	// The caller that makes it true wakes the handlers of Loop.
	Stopping func() bool

	// Admit is asked about every accepted connection: nil keeps it, anything else is
	// what the peer gets before the connection is closed.
	Admit func(remote netip.AddrPort) (refusal []byte)
	// Release is called once for every connection that was kept: when it is closed or
	// upgraded.
	Release func(remote netip.AddrPort)

	// Arrived is called by the loop's goroutine for each request that asks for no
	// upgrade, in the order in which the requests were found, with the path and the raw
	// query of its target; nil when that order means nothing. The result is the value of
	// ArrivalKey in the context of the request.
	Arrived    func(path, query string) Arrival
	ArrivalKey any
}

// Arrival is the place of a request among others.
type Arrival interface {
	// Begin tells that the request has been handled, or will not be. It may be called
	// several times.
	Begin()
}

// begin is a.Begin for an a that may be nil.
func begin(a Arrival) {
	if a != nil {
		a.Begin()
	}
}
