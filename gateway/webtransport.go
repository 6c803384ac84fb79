package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/webtransport"
)

// normalizeWebTransport refuses WebTransport without what it needs.
func (c *Config) normalizeWebTransport() error {
	if c.WebTransport != "on" {
		return nil
	}
	switch {
	case !c.speaksTLS():
		return keyError("POSTHOUSE_WEBTRANSPORT", c.WebTransport, "set POSTHOUSE_TLS_CERT_FILE and POSTHOUSE_TLS_KEY_FILE, or POSTHOUSE_ACME_HOSTS: HTTP/3 has no plain form")
	case unixPath(c.Addr) != "":
		return keyError("POSTHOUSE_WEBTRANSPORT", c.WebTransport, "set POSTHOUSE_ADDR to host:port: HTTP/3 needs UDP")
	}
	return nil
}

// admittedEngine lets the admission of all transports judge WebTransport too.
type admittedEngine struct{ app *App }

var _ webtransport.Engine = admittedEngine{}

// External implements webtransport.Engine.
func (e admittedEngine) External(name string, open engineio.OpenFunc) http.Handler {
	// Whether a session opens or upgrades is known after the first packet only.
	opens := func(*http.Request) bool { return true }
	return e.app.admission.middleware(e.app.ioServer.Engine().External(name, open), opens)
}

// serveWebTransport serves WebTransport at the UDP port of the main address. drain ends it
// after the sessions have said goodbye.
func (a *App) serveWebTransport(tasks *sync.WaitGroup, failed chan<- error) (drain func(context.Context) error, err error) {
	if a.config.WebTransport != "on" {
		return func(context.Context) error { return nil }, nil
	}
	packets, err := net.ListenPacket("udp", a.listener.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("gateway: POSTHOUSE_WEBTRANSPORT: %w", err)
	}
	server := webtransport.NewServer(admittedEngine{a}, &webtransport.Options{TLS: a.certificate.config(), Logger: a.log})
	tasks.Go(func() {
		defer func() { _ = packets.Close() }() // Serve tells
		if err := server.Serve(packets); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("gateway: serve webtransport: %w", err)
		}
	})
	return server.Shutdown, nil
}
