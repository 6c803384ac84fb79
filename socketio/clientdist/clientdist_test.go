package clientdist_test

import (
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"posthouse/socketio/clientdist"
)

// The bundles must be the published ones, byte for byte.
func TestBundlesAreThePublishedOnes(t *testing.T) {
	published := filepath.Join("..", "..", "internal", "interop", "node", "node_modules", "socket.io", "client-dist")
	files, err := filepath.Glob(filepath.Join(published, "socket.io*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		if os.Getenv("POSTHOUSE_TEST_ALL") != "" {
			t.Fatal("the npm packages are not installed")
		}
		t.Skip("SKIP: needs the npm packages (make test installs them)")
	}
	if len(files) != 8 {
		t.Fatalf("the package has %d bundles, want 8", len(files))
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := fs.ReadFile(clientdist.FS(), filepath.Base(file))
		if err != nil {
			t.Fatal(err)
		}
		if sha256.Sum256(got) != sha256.Sum256(want) {
			t.Errorf("%s differs from the published bundle", filepath.Base(file))
		}
	}
}
