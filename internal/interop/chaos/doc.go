// Command chaos runs the fault and abuse matrices of docs/reliability.md §3 and §4 against
// the built gateway: replicas behind the shipped balancers, real Redis, real clients, the
// local WeChat, and a proxy on each edge that can break it. docs/chaos.md tells how.
//
//	go run ./internal/interop/chaos            all rows
//	go run ./internal/interop/chaos F13 29     these rows
//	go run ./internal/interop/chaos F13 -n 1000 -seed 7
//	go run ./internal/interop/chaos -list
//
// A row is a value: its name, what it does, its bar, and the rule of the project that it
// guards. The rows of a group are in one file, faults_*.go and abuse_*.go. What became of
// each login is judged by a ledger that shares no code with the gateway.
package main
