// Contract is a wall of notes whose page is TypeScript: its events have the types that
// the Go handlers have.
//
//	go run ./examples/contract
//
// PORT is where it listens (3002).
package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"posthouse/examples/contract/board"
	"posthouse/socketio"
	"posthouse/socketio/clientdist"
	"posthouse/socketio/contract"
)

//go:generate go run ./generate

//go:embed page
var page embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cmp.Or(os.Getenv("PORT"), "3002")); err != nil {
		log.Fatal(err)
	}
}

// run serves the board until ctx ends.
func run(ctx context.Context, port string) error {
	io := socketio.NewServer(&socketio.Options{Bundles: clientdist.FS()})
	handler, err := newHandler(io)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	fmt.Printf("board: http://localhost:%d\n", listener.Addr().(*net.TCPAddr).Port)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }() // ends with Shutdown
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(err, io.Shutdown(end), server.Shutdown(end)) // sockets first: they are hijacked connections
}

func newHandler(io *socketio.Server) (http.Handler, error) {
	// An event that does not fit the contract reaches no handler.
	if err := contract.Check(board.Register(io), nil); err != nil {
		return nil, err
	}
	files, err := fs.Sub(page, "page")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.Handle("/", http.FileServerFS(files))
	return mux, nil
}
