package browser_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// login is the folder of the npm package.
func login(parts ...string) string {
	return filepath.Join(append([]string{testenv.Root(), "examples", "login"}, parts...)...)
}

// pack makes the file that npm would publish and installs it below dir beside the
// packages of the tests; it returns the names in it.
func pack(t *testing.T, dir string) (names []string) {
	t.Helper()
	testenv.Need(t, "npm")
	node := testenv.NodeDir(t, "typescript", "@types/react", "react", "react-dom", "vue")
	cmd := exec.CommandContext(t.Context(), "npm", "pack", "--silent", "--pack-destination", dir)
	cmd.Dir = login("npm")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("npm pack: %v", err)
	}
	modules := filepath.Join(dir, "node_modules")
	if err := os.MkdirAll(filepath.Join(modules, "posthouse-login"), 0o700); err != nil {
		t.Fatal(err)
	}
	installed, err := os.ReadDir(filepath.Join(node, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range installed {
		if err := os.Symlink(filepath.Join(node, "node_modules", entry.Name()), filepath.Join(modules, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(filepath.Join(dir, strings.TrimSpace(string(out))))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(header.Name, "package/")
		names = append(names, name)
		text, err := io.ReadAll(archive)
		if err == nil {
			err = os.WriteFile(filepath.Join(modules, "posthouse-login", filepath.Base(name)), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestPackage_TypesFrontEnds packs the package and compiles front ends against what is
// in it: plain, React and Vue. Their lines with @ts-expect-error must be errors.
func TestPackage_TypesFrontEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := pack(t, dir)
	want := []string{"LICENSE", "README.md", "asyncapi.json", "events.d.ts", "index.d.ts", "index.js", "package.json", "react.d.ts", "react.js", "vue.d.ts", "vue.js"}
	if !slices.Equal(names, want) {
		t.Errorf("packed %v, want %v", names, want)
	}
	for _, name := range []string{"plain.ts", "react.tsx", "vue.ts"} {
		text, err := os.ReadFile(login("testdata", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	compile := func() string {
		return testenv.TypeScript(t, dir, "--noEmit", "--jsx", "react-jsx", "plain.ts", "react.tsx", "vue.ts")
	}
	if found := compile(); found != "" {
		t.Error(found)
	}
	// A gateway with another contract must be seen in each of them.
	path := filepath.Join(dir, "node_modules", "posthouse-login", "events.d.ts")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer("token: (arg: string,", "token: (arg: number,", "  code: string;\n", "", "  message: string;\n", "").Replace(string(text))
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	found := compile()
	for _, name := range []string{"plain.ts", "react.tsx", "vue.ts"} {
		if !strings.Contains(found, name) {
			t.Errorf("%s does not notice that the contract has changed:\n%s", name, found)
		}
	}
}

// commonJS is a module of React's files, which are made for bundlers, for a browser.
func commonJS(t *testing.T, modules string) string {
	t.Helper()
	var out strings.Builder
	out.WriteString("const cache = {}, sources = {\n")
	for name, file := range map[string]string{
		"react": "react/cjs/react.production.js", "scheduler": "scheduler/cjs/scheduler.production.js",
		"react-dom": "react-dom/cjs/react-dom.production.js", "react-dom/client": "react-dom/cjs/react-dom-client.production.js",
	} {
		text, err := os.ReadFile(filepath.Join(modules, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%q: (module, exports, require) => {\n%s\n},\n", name, text)
	}
	out.WriteString(`};
const require = (name) => {
  if (!cache[name]) sources[name]((cache[name] = { exports: {} }), cache[name].exports, require);
  return cache[name].exports;
};
export const { createElement, useEffect, useRef } = require("react");
export const { createRoot } = require("react-dom/client");
`)
	return out.String()
}

const wrappersPage = `<!doctype html><html lang="en"><title>Wrappers</title><link rel="icon" href="data:,">
<script type="importmap">{"imports": {"react": "/react-all.js", "react-dom/client": "/react-all.js", "vue": "/node_modules/vue/dist/vue.runtime.esm-browser.prod.js",
"posthouse-login": "/node_modules/posthouse-login/index.js"}}</script>
<div id="react"></div><div id="vue"></div>
<script type="module">
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { createApp, h } from "vue";
import { PosthouseLogin as ReactLogin } from "/node_modules/posthouse-login/react.js";
import { PosthouseLogin as VueLogin } from "/node_modules/posthouse-login/vue.js";
window.events = [];
const gateway = %q;
const on = (who) => Object.fromEntries(["Token", "Code", "State", "Failure"].map((type) => ["on" + type, (detail) => window.events.push({ who, type, detail })]));
window.root = createRoot(document.getElementById("react"));
window.root.render(createElement(ReactLogin, { gateway, lang: "en", theme: "dark", className: "box", ...on("react") }));
window.app = createApp({ render: () => h(VueLogin, { gateway, lang: "en", theme: "dark", class: "box", ...on("vue") }) });
window.app.mount("#vue");
</script>`

// TestPackage_WrappersInABrowser mounts the components of React and Vue on the element of
// a real gateway.
func TestPackage_WrappersInABrowser(t *testing.T) {
	testenv.NodeDir(t, "playwright-core")
	testenv.Need(t, "chromium")
	dir := t.TempDir()
	pack(t, dir)
	react := commonJS(t, filepath.Join(dir, "node_modules"))
	var gateway string
	files := http.FileServer(http.Dir(dir))
	host := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, wrappersPage, gateway)
		case "/react-all.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, react)
		default:
			files.ServeHTTP(w, r)
		}
	}))
	gateway, _ = testenv.Gateway(t, "POSTHOUSE_ORIGINS=http://"+host.Listener.Addr().String())
	host.Start()
	defer host.Close()
	if out := testenv.Node(t, 3*time.Minute, filepath.Join("testdata", "wrappers.mjs"), host.URL); out != "ok\n" {
		t.Fatal(out)
	}
}
