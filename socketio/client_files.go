package socketio

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"posthouse/socketio/internal/answer"
)

// BundleNames are the client files that a server offers when Options.Bundles
// has them; they are the files of the folder client-dist of the npm package socket.io.
var BundleNames = []string{
	"socket.io.js", "socket.io.js.map",
	"socket.io.min.js", "socket.io.min.js.map",
	"socket.io.msgpack.min.js", "socket.io.msgpack.min.js.map",
	"socket.io.esm.min.js", "socket.io.esm.min.js.map",
}

// clientFiles serves the client files. Each is read and compressed at most once.
type clientFiles struct {
	sourceFS    fs.FS
	loadedFiles map[string]*clientFile // one per name, filled on demand
	patience    time.Duration          // how long a peer may take nothing of an answer
}

type clientFile struct {
	fileName  string
	loadOnce  sync.Once
	etag      string
	plainData []byte
	gzipData  []byte
	zlibData  []byte
}

func newBundles(files fs.FS, patience time.Duration) *clientFiles {
	if files == nil {
		return nil
	}
	b := &clientFiles{files, map[string]*clientFile{}, patience}
	for _, name := range BundleNames {
		b.loadedFiles[name] = &clientFile{fileName: name}
	}
	return b
}

// serveFile answers a request for a client file; false means the name is none, or not there.
func (b *clientFiles) serveFile(w http.ResponseWriter, r *http.Request, name string) bool {
	f := b.loadedFiles[name]
	if f == nil || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		return false
	}
	f.loadOnce.Do(func() { f.loadFrom(b.sourceFS) })
	if f.plainData == nil {
		return false
	}
	answer.Begin(w, b.patience)
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=0")
	h.Set("ETag", f.etag)
	h.Set("Vary", "Accept-Encoding")
	for _, tag := range strings.Split(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(tag), "W/") == f.etag {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	h.Set("Content-Type", "application/javascript; charset=utf-8")
	if strings.HasSuffix(name, ".map") {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	body := f.plainData
	switch encoding := preferredEncoding(r.Header.Get("Accept-Encoding")); encoding {
	case "gzip":
		body = f.gzipData
		h.Set("Content-Encoding", encoding)
	case "deflate":
		body = f.zlibData
		h.Set("Content-Encoding", encoding)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_ = answer.Write(w, body, b.patience) // the client may be gone
	}
	return true
}

func (f *clientFile) loadFrom(files fs.FS) {
	data, err := fs.ReadFile(files, f.fileName)
	if err != nil {
		return
	}
	sum := sha256.Sum256(data)
	f.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	f.plainData = data
	f.gzipData = compressWith(data, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	f.zlibData = compressWith(data, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
}

func compressWith(data []byte, writer func(io.Writer) io.WriteCloser) []byte {
	var b bytes.Buffer
	w := writer(&b)
	_, _ = w.Write(data) // a Buffer does not fail
	_ = w.Close()
	return b.Bytes()
}

// preferredEncoding picks gzip or deflate from an Accept-Encoding header, the one with
// the higher quality, "" when neither is accepted.
func preferredEncoding(accept string) string {
	best, bestQ := "", 0.0
	for _, part := range strings.Split(accept, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			q, _ = strconv.ParseFloat(v, 64)
		}
		if name == "*" {
			name = "gzip"
		}
		if (name == "gzip" || name == "deflate") && q > bestQ {
			best, bestQ = name, q
		}
	}
	return best
}
