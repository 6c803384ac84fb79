// Package embed mounts a Socket.IO server in web servers that exist already: one
// line in net/http, Echo, chi and gin, for people who come with one of them. Take the line
// from the file of your framework:
//
//	mux.Handle("/socket.io/", io)                  net/http   nethttp.go
//	e.Any("/socket.io/*", echo.WrapHandler(io))    Echo       echo4.go, echo5.go
//	r.Mount("/socket.io/", io)                     chi        chi.go
//	r.Any("/socket.io/*path", gin.WrapH(io))       gin        gin.go
//
// The program that mounts io also ends it: io.Shutdown before the web server's, which does
// not wait for WebSockets.
//
// It is a module of its own, so that these frameworks are no requirement of
// posthouse. Its functions start nothing and own no goroutine.
package embed
