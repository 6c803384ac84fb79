// Package adminui holds the built page of the Socket.IO Admin UI (npm
// @socket.io/admin-ui 0.5.1, without its source maps) and the icons that it uses (npm
// @mdi/font 5.9.55, style sheet and WOFF2), unmodified, and serves them from one origin.
// Their licences are dist/LICENSE and mdi/LICENSE. Its test compares the files with the
// packages: to take another version, install that in internal/interop/node, copy the
// files and let the test judge.
package adminui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed dist mdi
var files embed.FS

// Preset is what the page connects to unless its browser remembers something else.
type Preset struct {
	Path      string // of Socket.IO, such as /socket.io
	Namespace string
}

// policy allows what is of the same origin, and the style elements that the page's
// framework makes.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// foreign are the links of the page to other origins, and what takes their place: its
// text is in the system's font.
var foreign = []struct{ link, own string }{
	{`<link rel="stylesheet" href="https://fonts.googleapis.com/css?family=Roboto:100,300,400,500,700,900">`, ""},
	{`https://cdn.jsdelivr.net/npm/@mdi/font@latest/css/materialdesignicons.min.css`, "mdi/css/materialdesignicons.min.css"},
	{`<script src="js/chunk-vendors`, `<script src="preset.js"></script><script src="js/chunk-vendors`},
}

// asset is a file as it is served.
type asset struct {
	body, gzipped []byte // gzipped: nil where it saves nothing
	contentType   string
	tag           string // of the content
}

// Handler serves the page below prefix, which has a slash at its end.
func Handler(prefix string, p Preset) (http.Handler, error) {
	assets := map[string]asset{}
	for _, dir := range []string{"dist", "mdi"} {
		err := fs.WalkDir(files, dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			body, err := files.ReadFile(name)
			if err != nil {
				return err
			}
			if name == "dist/index.html" {
				if body, err = ownLinks(body); err != nil {
					return err
				}
			}
			assets[strings.TrimPrefix(name, "dist/")] = newAsset(name, body)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	script, err := p.script()
	if err != nil {
		return nil, err
	}
	assets["preset.js"] = newAsset("preset.js", script)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, prefix)
		if name == "" {
			name = "index.html"
		}
		a, ok := assets[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		a.serve(w, r)
	}), nil
}

// ownLinks points the page's links to this origin.
func ownLinks(page []byte) ([]byte, error) {
	for _, f := range foreign {
		if bytes.Count(page, []byte(f.link)) != 1 {
			return nil, fmt.Errorf("adminui: the page has not one link %q", f.link)
		}
		page = bytes.Replace(page, []byte(f.link), []byte(f.own), 1)
	}
	return page, nil
}

// script presets what the page reads from the browser's storage, where nothing is.
func (p Preset) script() ([]byte, error) {
	values, err := json.Marshal(map[string]string{"path": p.Path, "namespace": p.Namespace})
	return fmt.Appendf(nil, `(function () {
  "use strict";
  var preset = %s;
  preset.server_url = location.origin;
  try {
    for (var key in preset) if (!localStorage.getItem(key)) localStorage.setItem(key, preset[key]);
  } catch (e) {} // the storage is off: the page asks
})();
`, values), err
}

// types are fixed: those of the system may be missing.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".woff2": "font/woff2", "": "text/plain; charset=utf-8",
}

func newAsset(name string, body []byte) asset {
	sum := sha256.Sum256(body)
	a := asset{body: body, contentType: types[path.Ext(name)], tag: hex.EncodeToString(sum[:8])}
	if a.contentType == "" {
		a.contentType = mime.TypeByExtension(path.Ext(name))
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil || z.Close() != nil {
		return a
	}
	if b.Len() < len(body)*9/10 {
		a.gzipped = b.Bytes()
	}
	return a
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	body, tag := a.body, a.tag
	if a.gzipped != nil {
		h.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			body, tag = a.gzipped, tag+"-gz"
		}
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
