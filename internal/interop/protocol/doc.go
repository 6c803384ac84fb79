// Package protocol checks the servers of this module from outside, as the public
// protocol suites do: raw sockets, plain HTTP, the ws package and the official
// clients, driven by Node scripts in testdata. It is for the tests of this module
// only.
//
// Every check runs twice: against examples/conformance (and the fixtures of
// extras_test.go), and against testdata/twin.js, the same fixtures on the official
// Node server. Ours must pass, and what was seen must be equal, except where
// differences_test.go says which sentence of the specification wants it otherwise.
//
// It needs node and the packages of ../node (npm ci).
package protocol
