// Command conformance is the server that the public protocol suites and the
// official clients' own suites are pointed at:
//
//	go run ./examples/conformance --suite eio4|eio3|sio5|sioclient|eioclient
//
// listens on PORT (loopback, default 3100) for one suite; without --suite it
// serves all five on consecutive ports, in that order. It uses nothing but the
// library's public API.
//
// With --redis redis://HOST:PORT --replica TAG it is one of several processes that
// are one server: requests of another one's sessions are relayed to it, namespaces
// are connected by the streams adapter, and sessions recover in any of them. So the
// suites can be run through a plain round robin.
package main
