package gateway_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// listener is a real client that prints what it gets.
func listener(t *testing.T, url string) *testenv.Process {
	t.Helper()
	dir := testenv.NodeDir(t)
	p := testenv.Start(t, []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}, "node", filepath.Join("testdata", "listen.cjs"), url)
	testenv.Until(t, 20*time.Second, "the client to connect", func() bool { return strings.Contains(p.Output(), "connected\n") })
	return p
}

func gets(t *testing.T, p *testenv.Process, line string) {
	t.Helper()
	testenv.Until(t, 20*time.Second, line, func() bool { return strings.Contains(p.Output(), line+"\n") })
}

// A back end reaches the clients of every replica through any of them.
func TestAPI_ReachesClientsOfEveryReplica(t *testing.T) {
	t.Parallel()
	const key = "the-key-of-the-back-end"
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("posthouse.yaml", "namespaces:\n  /app:\n    auth: open\n    rooms: [everyone]\n    join: [\"topic:*\"]\n")
	keys := write("api.key", key+"\n")
	redis, _ := testenv.Redis(t)
	env := []string{"POSTHOUSE_CONFIG=" + file, "POSTHOUSE_REDIS_URL=redis://" + redis, "POSTHOUSE_API_KEY_FILE=" + keys}
	first, p := testenv.Gateway(t, env...)
	second, _ := testenv.Gateway(t, env...)
	client := listener(t, second+"/app")

	api := func(base, path, body string, header ...string) answer {
		t.Helper()
		return call(t, "POST", base+"/api/"+path, body, append(header, "Authorization: Bearer "+key, "Content-Type: application/json")...)
	}
	if a := api(first, "emit", `{"namespace":"/app","to":["everyone"],"event":"news","args":[1,{"a":"b"}]}`); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	gets(t, client, `news [1,{"a":"b"}]`)
	if a := api(first, "emit", `{"namespace":"/app","event":"ask","ack":{"timeout":5}}`); a.StatusCode != 200 || a.body != `{"acks":["thanks"],"expected":1,"received":1}`+"\n" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for _, base := range []string{first, second} { // the answer is kept for all replicas
		if a := api(base, "emit", `{"namespace":"/app","event":"once"}`, "Idempotency-Key: k1"); a.StatusCode != 200 || a.body != "{}\n" {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	if a := api(second, "emit", `{"namespace":"/app","event":"twice"}`, "Idempotency-Key: k1"); a.StatusCode != 422 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}

	// The command does the same, through the API and straight through Redis.
	for _, args := range [][]string{
		{"--api", first, "--key-file", keys},
		{"--redis", "redis://" + redis},
	} {
		args = append([]string{"emit"}, append(args, "--namespace", "/app", "--to", "everyone", "hello", `{"by":"`+args[0]+`"}`, "plain text")...)
		if out, err := exec.CommandContext(t.Context(), testenv.Binary(t, "."), args...).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	gets(t, client, `hello [{"by":"--api"},"plain text"]`)
	gets(t, client, `hello [{"by":"--redis"},"plain text"]`)
	if n := strings.Count(client.Output(), "once []\n"); n != 1 {
		t.Errorf("the event came %d times", n)
	}
	out, err := exec.CommandContext(t.Context(), testenv.Binary(t, "."), "emit", "--api", first, "--key-file", write("wrong.key", "a-wrong-key-of-length"), "x").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "401") {
		t.Errorf("a wrong key: %v %s", err, out)
	}
	a := api(first, "disconnect", `{"namespace":"/app","to":["everyone"]}`)
	if a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if strings.Contains(p.Output(), key) {
		t.Error("the log holds the key")
	}
}

// Without a key there is no API; with an address of its own it is on no other.
func TestAPI_IsOffWithoutAKeyAndApartWithAnAddress(t *testing.T) {
	t.Parallel()
	if a := call(t, "GET", free(t)+"/api/", ""); a.StatusCode != 404 {
		t.Errorf("without a key: %d", a.StatusCode)
	}
	main := free(t, "POSTHOUSE_API_KEY=the-key-of-the-back-end")
	for path, status := range map[string]int{"/api/": 200, "/api": 301, "/api/openapi.json": 200, "/api/rooms": 401, "/api/nowhere": 401} {
		if a := call(t, "GET", main+path, ""); a.StatusCode != status {
			t.Errorf("on the main address: %s: %d", path, a.StatusCode)
		}
	}
	addr := "127.0.0.1:" + strconv.Itoa(testenv.FreePort(t))
	base, _ := testenv.Gateway(t, "POSTHOUSE_API_KEY=the-key-of-the-back-end", "POSTHOUSE_API_ADDR="+addr)
	if a := call(t, "GET", base+"/api/", ""); a.StatusCode != 404 {
		t.Errorf("the main address: %d", a.StatusCode)
	}
	if a := call(t, "GET", "http://"+addr+"/api/", ""); a.StatusCode != 200 {
		t.Errorf("its own address: %d", a.StatusCode)
	}
	if a := call(t, "GET", "http://"+addr+"/login", ""); a.StatusCode == 200 {
		t.Errorf("a page at the address of the API: %d", a.StatusCode)
	}
}
