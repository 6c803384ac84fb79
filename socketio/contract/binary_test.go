package contract_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/clientdist"
	"posthouse/socketio/parser"
)

// TestBinary_IsWhatClientsGet holds the comment of the type Binary against npm's clients
// in Node and in Chromium.
func TestBinary_IsWhatClientsGet(t *testing.T) {
	testenv.NodeDir(t, "playwright-core", "socket.io-msgpack-parser")
	testenv.Need(t, "chromium")
	t.Parallel()
	serve := func(o socketio.Options) string {
		o.Bundles = clientdist.FS()
		io := socketio.NewServer(&o)
		io.OnConnection(func(s *socketio.Socket) { _ = s.Emit("saved", Node{Icon: []byte{1, 2}}) }) // the client has just connected
		mux := http.NewServeMux()
		mux.Handle("/socket.io/", io)
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<!doctype html><title>Binary</title>"))
		})
		server := httptest.NewServer(mux)
		t.Cleanup(server.Close)
		t.Cleanup(func() { _ = io.Shutdown(t.Context()) })
		return server.URL
	}
	got := testenv.Node(t, 2*time.Minute, filepath.Join("testdata", "binary.mjs"),
		serve(socketio.Options{}), serve(socketio.Options{Codec: parser.MessagePack(nil)}))
	const want = `node polling default Uint8Array
node polling msgpack Uint8Array
node websocket default Uint8Array
node websocket msgpack Uint8Array
chromium polling default ArrayBuffer
chromium websocket default ArrayBuffer
chromium polling msgpack ArrayBuffer
chromium websocket msgpack ArrayBuffer
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
