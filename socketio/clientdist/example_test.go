package clientdist_test

import (
	"fmt"
	"io/fs"

	"posthouse/socketio"
	"posthouse/socketio/clientdist"
)

func ExampleFS() {
	// Pages then load /socket.io/socket.io.min.js and its siblings.
	_ = socketio.NewServer(&socketio.Options{Bundles: clientdist.FS()})

	names, err := fs.Glob(clientdist.FS(), "*.min.js")
	fmt.Println(names, err)
	// Output: [socket.io.esm.min.js socket.io.min.js socket.io.msgpack.min.js] <nil>
}
