package webtransport_test

import (
	"context"
	"crypto/tls"
	"log"

	"posthouse/socketio/engineio"
	engineclient "posthouse/socketio/engineio/client"
	"posthouse/socketio/engineio/webtransport"
)

func ExampleServer() {
	engine := engineio.NewServer(&engineio.Options{
		Transports: []string{"polling", "websocket", "webtransport"},
	})
	cert, err := tls.LoadX509KeyPair("cert.pem", "key.pem")
	if err != nil {
		log.Fatal(err)
	}
	var e webtransport.Engine = engine // or io.Engine() of a Socket.IO server
	server := webtransport.NewServer(e, &webtransport.Options{
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
	})
	go server.ListenAndServe(":443") // ends with Shutdown

	// Serve the engine over HTTP on the same port number of TCP, and at the end:
	ctx := context.Background()
	engine.Shutdown(ctx)
	server.Shutdown(ctx)
}

func ExampleDial() {
	conn, err := engineclient.Dial(context.Background(), "https://localhost", &engineclient.Options{
		Transports:   []string{"webtransport"},
		WebTransport: webtransport.Dial(&webtransport.DialOptions{TLS: &tls.Config{ServerName: "localhost"}}),
	})
	if err != nil {
		log.Fatal(err)
	}
	conn.Close()
}
