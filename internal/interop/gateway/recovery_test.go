package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
)

// connects is a back end that notes what is posted to it about connections.
type connects struct {
	*httptest.Server
	mu  sync.Mutex // guards what follows
	got []string
}

func newConnects(t *testing.T) *connects {
	c := new(connects)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		c.got = append(c.got, string(text))
		c.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *connects) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.got...)
}

// A movedClient is a client of npm that is led to another replica.
type movedClient struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out testenv.Buffer
}

func newMovedClient(t *testing.T, first, second, token string) *movedClient {
	t.Helper()
	c := &movedClient{cmd: exec.Command("node", filepath.Join("testdata", "recover.cjs"), first, second, token)}
	c.cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(testenv.NodeDir(t), "node_modules"))
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.in.Close(); _ = c.cmd.Wait() })
	return c
}

func (c *movedClient) gets(t *testing.T, line string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("the client saw:\n%s", c.out.String())
		}
	}()
	testenv.Until(t, 20*time.Second, line, func() bool { return strings.Contains(c.out.String(), line+"\n") })
}

// keysOf are the keys of Redis that match a pattern.
func keysOf(t *testing.T, rdb *redis.Client, pattern string) []string {
	t.Helper()
	keys, err := rdb.Keys(t.Context(), pattern).Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// A client of npm whose replica is killed with SIGKILL continues its session on another
// and gets what it missed. Its token is judged again and its back end asked again; neither
// the token nor the private session id leaves the gateway, and nothing of /login is kept.
func TestNamespaces_Recovery_SurvivesAKilledReplica(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"redis", "sharded", "streams"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			recoveryOverReplicas(t, kind)
		})
	}
}

// jwtStart is the beginning of every JWT, {"alg": in base64; three letters of it come by chance.
const jwtStart = "eyJhbGci"

func recoveryOverReplicas(t *testing.T, kind string) {
	backEnd := newConnects(t)
	secret := filepath.Join(t.TempDir(), "hook.key")
	if err := os.WriteFile(secret, []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := namespaceFile(t, `    recovery: 1m
    presence: ["topic:*"]
    history: {rooms: ["topic:*"]}
    hook: {url: "`+backEnd.URL+`", secret-file: `+secret+`, events: [connect]}
`)
	addr, _ := testenv.Redis(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer rdb.Close()
	seen := monitor(t, addr)
	const key = "the-key-of-the-back-end"
	env := []string{"POSTHOUSE_CONFIG=" + file, "POSTHOUSE_REDIS_URL=redis://" + addr, "POSTHOUSE_ADAPTER=" + kind, "POSTHOUSE_API_KEY=" + key}
	second, secondReplica := testenv.Gateway(t, env...) // first: it can vouch for what it hears
	first, firstReplica := testenv.Gateway(t, env...)
	if kind != "streams" {
		testenv.Until(t, 10*time.Second, "both replicas to vouch for what they hear", func() bool {
			entries, err := rdb.XRange(t.Context(), "socket.io-log", "-", "+").Result()
			return err == nil && strings.Count(fmt.Sprint(entries), "begin") >= 2
		})
	}
	open(t, second).qrcode() // a page of /login that stays
	jwt, sub := signIn(t, first, "ada")
	stranger, _ := signIn(t, second, "eve")
	emit := func(to, arg string) {
		t.Helper()
		a := call(t, "POST", second+"/api/emit", `{"namespace":"/app","to":["`+to+`"],"event":"n","args":[`+arg+`]}`, "Authorization: Bearer "+key, "Content-Type: application/json")
		if a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	client := newMovedClient(t, first, second, jwt)
	client.gets(t, "connected recovered=false same=false")
	client.gets(t, "joined topic:1")
	emit("user:"+sub, "1")
	client.gets(t, "n 1")
	testenv.Until(t, 10*time.Second, "the session in Redis, with its room", func() bool {
		for _, key := range keysOf(t, rdb, "sio:session:live#/app#*#") {
			if kept, err := rdb.HVals(t.Context(), key).Result(); err == nil && strings.Contains(strings.Join(kept, ""), "topic:1") {
				return true
			}
		}
		return false
	})
	firstReplica.Kill()
	client.gets(t, "gone transport close")
	emit("user:"+sub, "2")
	emit("topic:1", "3")
	emit("topic:2", "99")
	if _, err := io.WriteString(client.in, jwt+"\n"); err != nil {
		t.Fatal(err)
	}
	client.gets(t, "connected recovered=true same=true")
	emit("topic:1", "4")
	client.gets(t, "n 4")
	if got := client.out.String(); !strings.Contains(got, "n 2\nn 3\nconnected recovered=true") || strings.Contains(got, "n 99") || strings.Count(got, "n 3\n") != 1 {
		t.Error(got)
	}
	presence := call(t, "GET", second+"/api/presence?namespace=/app&room=topic:1", "", "Authorization: Bearer "+key)
	if !strings.Contains(presence.body, `"user":"`+sub+`"`) {
		t.Errorf("presence after the recovery: %s", presence.body)
	}

	// The session of another user is not to be had with a token of one's own.
	if _, err := io.WriteString(client.in, stranger+"\n"); err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, 20*time.Second, "a new session", func() bool { return strings.Count(client.out.String(), "connected recovered=false same=false") == 2 })
	posts := backEnd.all()
	if len(posts) != 3 {
		t.Fatalf("%d posts", len(posts))
	}
	for i, post := range posts {
		var body struct {
			Type      string
			Recovered bool
			Rooms     []string
			Auth      map[string]any
		}
		if err := json.Unmarshal([]byte(post), &body); err != nil || body.Type != "connect" || body.Recovered != (i == 1) || len(body.Auth) > 0 || i == 1 && len(body.Rooms) != 3 {
			t.Errorf("post %d: %s", i, post)
		}
	}

	if keys := keysOf(t, rdb, "*/login*"); strings.Contains(strings.Join(keys, "\n"), "session") {
		t.Errorf("sessions of /login are in Redis: %q", keys)
	}
	commands := seen()
	if !strings.Contains(commands, "live#/app#") {
		t.Error("the monitor saw nothing")
	}
	for place, text := range map[string]string{
		"Redis": commands, "the first log": firstReplica.Output(), "the second log": secondReplica.Output(), "the hook": strings.Join(posts, "\n"),
	} {
		if strings.Contains(text, jwt) || strings.Contains(text, jwtStart) {
			t.Errorf("%s holds a token", place)
		}
	}
}
