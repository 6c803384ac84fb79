// Package api lets back ends reach the clients of a server over HTTP (docs/realtime.md
// §5): they emit, wait for acknowledgements, join, leave, disconnect and list. It is for
// back ends that are not written in Go; the other direction is package hook.
//
//	keys, err := api.ParseKeys(os.Getenv("API_KEYS"))
//	handler, err := api.New(io, &api.Options{Keys: keys})
//	mux.Handle("/api/", handler)
//
// Requests reach the sockets of every node that the adapter connects, Node's included.
// Schemas, validation and the OpenAPI document come from the Go types, by
// github.com/danielgtaylor/huma with its adapter for net/http: this package is below the
// gateway and does not know Echo, on which the gateway mounts the handler.
//
// A Handler starts no goroutine. Bodies have at most 1 MiB, and refusals of a key cost
// nothing but the comparison of hashes.
package api
