// Package clientdist holds the browser bundles of the official socket.io-client
// 4.8.4, unmodified, for servers that hand the client out themselves (Node's
// serveClient). They are MIT licensed by their authors; see dist/LICENSE.
//
// The files live in a package of their own so that a server which does not serve
// the client does not carry them: import it and give FS to the server's options.
package clientdist

import (
	"embed"
	"io/fs"
)

//go:embed dist
var dist embed.FS

// FS returns the eight bundle files (socket.io.js, socket.io.min.js,
// socket.io.esm.min.js, socket.io.msgpack.min.js and their source maps) at its
// root. It is read-only and safe for concurrent use.
func FS() fs.FS {
	root, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	return root
}
