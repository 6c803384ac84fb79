package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posthouse/examples/contract/board"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/clientdist"
	"posthouse/socketio/contract"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.RemoveBinaries()
	os.Exit(code)
}

// TestGenerate_FilesAreCurrent runs what go generate runs and compares.
func TestGenerate_FilesAreCurrent(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "page"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if err := testenv.Start(t, nil, testenv.Binary(t, "./examples/contract/generate")).Wait(time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"events.ts", "asyncapi.json"} {
		got, err := os.ReadFile(filepath.Join("page", name))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := page.ReadFile("page/" + name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("page/%s is not what go generate ./examples/contract writes (%v)", name, err)
		}
	}
}

// copyPage copies the page to where tsc may write, with other events if there are any.
func copyPage(t *testing.T, events string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"page.ts", "events.ts", "tsconfig.json"} {
		text, err := page.ReadFile("page/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "events.ts" && events != "" {
			text = []byte(events)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPage_CompilesStrictlyToWhatIsServed(t *testing.T) {
	t.Parallel()
	dir := copyPage(t, "")
	if found := testenv.TypeScript(t, dir, "-p", "."); found != "" {
		t.Fatal(found)
	}
	got, err := os.ReadFile(filepath.Join(dir, "page.js"))
	if err != nil {
		t.Fatal(err)
	}
	if want, err := page.ReadFile("page/page.js"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("page/page.js is not what tsc makes of page.ts (%v)", err)
	}
}

// TestPage_FailsWhenAHandlerChanges compiles the page against contracts that are not the
// board's.
func TestPage_FailsWhenAHandlerChanges(t *testing.T) {
	t.Parallel()
	var events bytes.Buffer
	if err := contract.TypeScript(&events, board.Register(socketio.NewServer(nil))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, changed, wrong string }{
		{"a field is renamed", "text: string;", "words: string;", "'text'"},
		{"another argument", "remove: (arg: string,", "remove: (arg: number,", "'number'"},
		{"another event", "added:", "pinned:", `"added"`},
	} {
		changed := strings.ReplaceAll(events.String(), c.old, c.changed)
		if found := testenv.TypeScript(t, copyPage(t, changed), "-p", ".", "--noEmit"); !strings.Contains(found, c.wrong) {
			t.Errorf("%s: tsc found %q", c.name, found)
		}
	}
}

func TestPage_TwoPeopleAtOneBoard(t *testing.T) {
	testenv.NodeDir(t, "playwright-core")
	testenv.Need(t, "chromium")
	io := socketio.NewServer(&socketio.Options{Bundles: clientdist.FS()})
	handler, err := newHandler(io)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	defer io.Shutdown(t.Context())
	if got := testenv.Node(t, 2*time.Minute, filepath.Join("testdata", "browser.mjs"), server.URL); got != "ok\n" {
		t.Error(got)
	}
}
