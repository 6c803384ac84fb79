// Package sioclients drives the real Socket.IO clients of npm, from 2.0 to 4.8,
// against a Go server: every transport, both packet formats, and what users rely on
// (events, acknowledgements, binary, namespaces, auth, errors, reconnection,
// recovery, retries). It is for the tests of this module only.
//
//	go test ./internal/interop/sioclients -v
//
// prints the matrix that the README shows; with POSTHOUSE_MATRIX=file it is written there.
// It needs node and the packages of ../node (npm ci).
package sioclients
