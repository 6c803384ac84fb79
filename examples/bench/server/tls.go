package main

import (
	"net"
	"net/http"

	"posthouse/socketio"
)

// serving is how the server takes its listener.
type serving struct {
	scheme string
	run    func(net.Listener, *http.Server) error
}

// tlsFromEnv chooses between HTTP and HTTPS.
func tlsFromEnv(io *socketio.Server, getenv func(string) string) serving {
	if getenv("BENCH_TLS") == "" {
		return serving{"http", io.Serve}
	}
	return serving{"https", func(ln net.Listener, hs *http.Server) error {
		return io.ServeTLS(ln, hs, getenv("BENCH_TLS_CERT"), getenv("BENCH_TLS_KEY"))
	}}
}
