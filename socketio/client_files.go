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
)

// BundleNames are the client files that a server offers when Options.Bundles
// has them; they are the files of the folder client-dist of the npm package socket.io.
var BundleNames = []string{
	"socket.io.js", "socket.io.js.map",
	"socket.io.min.js", "socket.io.min.js.map",
	"socket.io.msgpack.min.js", "socket.io.msgpack.min.js.map",
	"socket.io.esm.min.js", "socket.io.esm.min.js.map",
}

// bundles serves the client files. Each is read and compressed at most once.
type bundles struct {
	files fs.FS
	kept  map[string]*bundle // one per name, filled on demand
}

type bundle struct {
	name  string
	once  sync.Once
	etag  string
	plain []byte
	gzip  []byte
	zlib  []byte
}

func newBundles(files fs.FS) *bundles {
	if files == nil {
		return nil
	}
	b := &bundles{files, map[string]*bundle{}}
	for _, name := range BundleNames {
		b.kept[name] = &bundle{name: name}
	}
	return b
}

// serve answers a request for a bundle; false means the name is none, or not there.
func (b *bundles) serve(w http.ResponseWriter, r *http.Request, name string) bool {
	f := b.kept[name]
	if f == nil || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		return false
	}
	f.once.Do(func() { f.load(b.files) })
	if f.plain == nil {
		return false
	}
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
	body := f.plain
	switch encoding := preferred(r.Header.Get("Accept-Encoding")); encoding {
	case "gzip":
		body = f.gzip
		h.Set("Content-Encoding", encoding)
	case "deflate":
		body = f.zlib
		h.Set("Content-Encoding", encoding)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the client may be gone
	}
	return true
}

func (f *bundle) load(files fs.FS) {
	data, err := fs.ReadFile(files, f.name)
	if err != nil {
		return
	}
	sum := sha256.Sum256(data)
	f.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	f.plain = data
	f.gzip = compressed(data, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	f.zlib = compressed(data, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
}

func compressed(data []byte, writer func(io.Writer) io.WriteCloser) []byte {
	var b bytes.Buffer
	w := writer(&b)
	_, _ = w.Write(data) // a Buffer does not fail
	_ = w.Close()
	return b.Bytes()
}

// preferred picks gzip or deflate from an Accept-Encoding header, the one with
// the higher quality, "" when neither is accepted.
func preferred(accept string) string {
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
