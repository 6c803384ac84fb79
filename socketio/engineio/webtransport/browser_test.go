package webtransport_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// browserTime is how long a page may take, the start of the browser included.
const browserTime = 60 * time.Second

// missing skips a test loudly, or fails it where everything must be there.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("POSTHOUSE_TEST_ALL") == "1" {
		t.Fatal("missing: ", what)
	}
	t.Skip("SKIPPED, missing: ", what)
}

// rawPage speaks the protocol by hand, so that it tests the server alone.
const rawPage = `<script type=module>
const report = (s) => fetch("/report", {method: "POST", body: s});
try {
  const hash = Uint8Array.from(atob("HASH"), c => c.charCodeAt(0));
  const wt = new WebTransport("https://" + location.host + "/engine.io/",
    {serverCertificateHashes: [{algorithm: "sha-256", value: hash}]});
  await wt.ready;
  const stream = await wt.createBidirectionalStream();
  const reader = stream.readable.getReader(), writer = stream.writable.getWriter();
  let have = new Uint8Array();
  const take = async (n) => {
    while (have.length < n) {
      const {value, done} = await reader.read();
      if (done) throw new Error("stream ended");
      const joined = new Uint8Array(have.length + value.length);
      joined.set(have); joined.set(value, have.length); have = joined;
    }
    const out = have.slice(0, n); have = have.slice(n); return out;
  };
  const next = async () => {
    const h = (await take(1))[0]; let n = h & 127;
    if (n == 126) { const b = await take(2); n = b[0] * 256 + b[1]; }
    const b = await take(n);
    return h > 127 ? "binary " + b.join() : new TextDecoder().decode(b);
  };
  const send = (s) => { const b = new TextEncoder().encode(s); return writer.write(Uint8Array.from([b.length, ...b])); };
  await send("0");
  const open = JSON.parse((await next()).slice(1));
  const log = [open.sid.length == 20 && open.upgrades.length == 0];
  await send("4grüße"); log.push(await next());
  await writer.write(Uint8Array.from([131, 1, 2, 255])); log.push(await next());
  await send("4close"); log.push(await next());
  await wt.closed.catch((e) => log.push("not graceful: " + e));
  await report(log.join("|"));
} catch (e) { report("failed: " + e); }
</script>`

// clientPage uses the real client: polling first, then the upgrade.
const clientPage = `<script src="/engine.io.js"></script><script>
const report = (s) => fetch("/report", {method: "POST", body: s});
const hash = Uint8Array.from(atob("HASH"), c => c.charCodeAt(0));
const log = [];
window.onerror = (m) => report("failed: " + m);
const socket = eio(location.origin, {transports: ["polling", "webtransport"],
  transportOptions: {webtransport: {serverCertificateHashes: [{algorithm: "sha-256", value: hash}]}}});
socket.binaryType = "arraybuffer";
socket.on("upgradeError", (e) => report("upgrade failed: " + e + " " + e.description));
socket.on("open", () => { log.push(socket.transport.name); for (let i = 0; i < 50; i++) socket.send("m" + i); });
socket.on("upgrade", (t) => { log.push(t.name); socket.send(Uint8Array.from([1, 2, 255])); socket.send("end"); });
let messages = 0, inOrder = true, ended = false;
const finish = () => { if (ended && messages == 50) { log.push(inOrder ? "in order" : "out of order"); socket.send("close"); } };
socket.on("message", (m) => {
  if (m instanceof ArrayBuffer) log.push("binary " + new Uint8Array(m).join());
  else if (m == "end") { ended = true; finish(); }
  else if (m == "bye") log.push(m);
  else { inOrder = inOrder && m == "m" + messages; messages++; finish(); }
});
socket.on("close", (reason) => { log.push(reason); report(log.join("|")); });
</script>`

// browse opens a page in a headless browser and returns what it reports.
func browse(t *testing.T, page string, script string) string {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "chromium")
	}
	reported := make(chan string, 1)
	r := newRigWithPages(t, engineio.Options{}, func(r *rig, engine http.Handler) http.Handler {
		hash := sha256.Sum256(r.cert.Certificate[0])
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			switch q.URL.Path {
			case "/":
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				io.WriteString(w, strings.Replace(page, "HASH", base64.StdEncoding.EncodeToString(hash[:]), 1))
			case "/engine.io.js":
				http.ServeFile(w, q, script)
			case "/report":
				body, _ := io.ReadAll(io.LimitReader(q.Body, 1<<12))
				select {
				case reported <- string(body):
				default:
				}
			default:
				engine.ServeHTTP(w, q)
			}
		})
	})
	ctx, cancel := context.WithTimeout(context.Background(), browserTime)
	defer cancel()
	// The user data is removed by hand: the browser's helpers may still write.
	dir, err := os.MkdirTemp("", "posthouse-browser")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
		"--user-data-dir="+dir, r.http.URL)
	// Its own process group, so that its helpers go with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	var got string
	select {
	case got = <-reported:
	case err := <-exited:
		t.Fatalf("the browser ended: %v", err)
	}
	cancel()
	<-exited
	return got
}

func TestBrowser(t *testing.T) {
	if got, want := browse(t, rawPage, ""), "true|4grüße|binary 1,2,255|4bye"; got != want {
		t.Errorf("the page reports %q, want %q", got, want)
	}
}

func TestBrowserWithEngineIOClient(t *testing.T) {
	script := filepath.Join("..", "..", "..", "internal", "interop", "node", "node_modules", "engine.io-client", "dist", "engine.io.min.js")
	if _, err := os.Stat(script); err != nil {
		missing(t, "engine.io-client (npm install in internal/interop/node)")
	}
	if got, want := browse(t, clientPage, script), "polling|webtransport|binary 1,2,255|in order|bye|transport close"; got != want {
		t.Errorf("the page reports %q, want %q", got, want)
	}
}
