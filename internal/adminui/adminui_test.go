package adminui_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"posthouse/internal/adminui"
	"posthouse/internal/testenv"
)

func get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := adminui.Handler("/admin/", adminui.Preset{Path: "/socket.io", Namespace: "/ops"})
	if err != nil {
		t.Fatal(err)
	}
	r, w := httptest.NewRequest(http.MethodGet, path, nil), httptest.NewRecorder()
	if len(header) == 2 {
		r.Header.Set(header[0], header[1])
	}
	h.ServeHTTP(w, r)
	return w
}

func TestHandler_Page_HasNoForeignLinks(t *testing.T) {
	w := get(t, "/admin/")
	page := w.Body.String()
	if w.Code != 200 || strings.Contains(page, "https://") || !strings.Contains(page, `href="mdi/css/materialdesignicons.min.css"`) {
		t.Fatalf("%d %s", w.Code, page)
	}
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "script-src 'self';") {
		t.Errorf("policy %q", policy)
	}
	for _, m := range regexp.MustCompile(`(?:href|src)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if w := get(t, "/admin/"+m[1]); w.Code != 200 || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d", m[1], w.Code)
		}
	}
	if script := get(t, "/admin/preset.js").Body.String(); !strings.Contains(script, `{"namespace":"/ops","path":"/socket.io"}`) {
		t.Errorf("preset %s", script)
	}
	if w := get(t, "/admin/nothing"); w.Code != 404 {
		t.Errorf("a missing file answers %d", w.Code)
	}
}

func TestHandler_Script_IsCompressedAndKept(t *testing.T) {
	w := get(t, "/admin/js/app.0d7d7845.js", "Accept-Encoding", "gzip")
	if w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > 40_000 {
		t.Errorf("%d bytes, %v", w.Body.Len(), w.Header())
	}
	plain := get(t, "/admin/js/app.0d7d7845.js")
	if plain.Header().Get("ETag") == w.Header().Get("ETag") {
		t.Error("both forms have one tag")
	}
	if w := get(t, "/admin/js/app.0d7d7845.js", "If-None-Match", plain.Header().Get("ETag")); w.Code != http.StatusNotModified {
		t.Errorf("the known file answers %d", w.Code)
	}
}

// The files must be the published ones, byte for byte.
func TestFiles_NpmPackages_AreTheSame(t *testing.T) {
	modules := filepath.Join(testenv.NodeDir(t, "@socket.io/admin-ui", "@mdi/font"), "node_modules")
	for dir, published := range map[string]string{"dist": "@socket.io/admin-ui/ui/dist", "mdi": "@mdi/font"} {
		err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			source := filepath.Join(modules, published, name)
			if dir == "dist" && name == "LICENSE" {
				source = filepath.Join(modules, "@socket.io/admin-ui/LICENSE")
			}
			want, err := os.ReadFile(source)
			if err != nil {
				return err
			}
			got, err := os.ReadFile(filepath.Join(dir, name))
			if !bytes.Equal(got, want) {
				t.Errorf("%s/%s differs from the published file", dir, name)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
