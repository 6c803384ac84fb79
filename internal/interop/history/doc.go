// Package history judges what clients of a cluster saw. A history is an append-only list of
// entries: what was begun, what ended how, what arrived, each with its time. Check holds
// it against the rules of docs/reliability.md §5 and knows nothing of the servers: it
// imports the standard library only, and every rule speaks of what must be true for
// certain, from the times of the entries alone.
//
// The tests of the package make such histories: nodes in processes of their own over the
// classic, sharded and streams adapters, real Redis servers, clients that join, leave, lose
// their connection and come back, senders on each node, and a nemesis that kills nodes
// and cuts them off from Redis. A run is repeated with its seed:
//
//	go test ./internal/interop/history -run TestHistory -duration 10m -seed 7
package history
