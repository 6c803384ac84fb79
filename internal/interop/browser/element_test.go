package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// hostPage is a site's page with the element in it, several times; hostScript what
// it does with it.
const (
	hostPage = `<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="data:,">
<script type="module" src="%s/login/element.js"></script>
<script src="/host.js" defer></script>
<main><h1>Members</h1>
<posthouse-login id="one"></posthouse-login>
<section lang="zh-CN"><posthouse-login id="two" theme="dark"></posthouse-login></section>
<div id="shadow"></div>
</main>`
	hostScript = `window.events = [];
const inside = document.createElement("posthouse-login");
inside.id = "three";
document.getElementById("shadow").attachShadow({ mode: "open" }).append(inside);
for (const e of [document.getElementById("one"), document.getElementById("two"), inside])
  for (const type of ["token", "code", "state", "failure"])
    e.addEventListener(type, ({ detail }) => window.events.push({ id: e.id, type, ...detail }));`
)

// The element works in pages of another origin, under as strict a policy as there
// is, and in no page that is not listed.
func TestTheElementInAnotherPage(t *testing.T) {
	testenv.NodeDir(t, "axe-core", "jsqr")
	testenv.Need(t, "chromium")
	var gateway string
	host := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/host.js" {
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, hostScript)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/example" {
			example, err := os.ReadFile(filepath.Join(testenv.Root(), "examples", "login", "index.html"))
			if err != nil {
				t.Error(err)
			}
			fmt.Fprint(w, strings.ReplaceAll(string(example), "http://localhost:3000", gateway))
			return
		}
		// As in examples/login/README.md.
		socket := strings.Replace(gateway, "http", "ws", 1)
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self' "+gateway+"; connect-src "+gateway+" "+socket+
			"; img-src data: "+gateway+"; require-trusted-types-for 'script'; trusted-types 'none'")
		fmt.Fprintf(w, hostPage, gateway)
	}))
	stranger := httptest.NewServer(host.Config.Handler)
	defer stranger.Close()
	gateway, _ = testenv.Gateway(t, "POSTHOUSE_ORIGINS=http://"+host.Listener.Addr().String())
	host.Start()
	defer host.Close()
	out := testenv.Node(t, 3*time.Minute, filepath.Join("testdata", "element.mjs"), gateway, host.URL, stranger.URL, os.Getenv("POSTHOUSE_TEST_SCREENSHOTS"))
	if !strings.Contains(out, "ok") {
		t.Fatal(out)
	}
}
