package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"posthouse/internal/sleep"
	"posthouse/internal/testenv"
	"posthouse/socketio/client"
)

const (
	talkers     = 500
	talkersRoom = 10 // talkers that share one user, and so a room with a history
	talkPause   = 2 * time.Second
)

// eventLog is a back end that notes the events that it gets, and acknowledges them.
type eventLog struct {
	*httptest.Server
	mu    sync.Mutex // guards what follows
	times map[string]int
}

func newEventLog(t *testing.T) *eventLog {
	l := &eventLog{times: map[string]int{}}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Args []string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Args) != 1 {
			t.Errorf("the hook posts %v, %v", body, err)
			return
		}
		l.mu.Lock()
		l.times[body.Args[0]]++
		l.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"ack":[%q]}`, body.Args[0])
	}))
	t.Cleanup(l.Close)
	return l
}

// talk emits events with acknowledgements until ctx ends, every other one through the hook
// and by relay, and returns the ids of those that were acknowledged.
func talk(ctx context.Context, s *client.Socket, name, room string) (said, noted []string) {
	for i := 0; sleep.For(ctx, talkPause/2) == nil; i++ {
		id := fmt.Sprintf("%s-%d", name, i)
		ask, end := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		if i%2 == 0 {
			if got, err := client.Call[string](ask, s, "say", id); err == nil && got == id {
				said = append(said, id)
			}
		} else if got, err := client.Call[json.RawMessage](ask, s, "note", room, id); err == nil && string(got) == "{}" {
			noted = append(noted, id)
		}
		end()
	}
	return said, noted
}

// Three replicas behind nginx are restarted one after the other under clients with tokens
// of their own issuer. An event that was acknowledged is in the log of the back end, once,
// or in the history of its room.
func TestRollingRestart_Hooks_NoAcknowledgedEventIsLost(t *testing.T) {
	backEnd, dir := newEventLog(t), t.TempDir()
	for name, text := range map[string]string{
		"hook.key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
		"jwt.key":  "hs256:" + strings.Repeat("A", 43) + "=\n",
		"posthouse.yaml": `namespaces:
  /app:
    jwt: {issuer: me, audience: app, key-file: jwt.key}
    rooms: ["user:{sub}"]
    relay: [note]
    history: {rooms: ["user:*"], events: 1000}
    hook: {url: "` + backEnd.URL + `", secret-file: hook.key, events: [say]}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const key = "the-key-of-the-back-end"
	c := start(t, nil, nil, []string{
		"POSTHOUSE_CONFIG=" + filepath.Join(dir, "posthouse.yaml"), "POSTHOUSE_API_KEY=" + key,
		"POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32", "POSTHOUSE_DRAIN=2s", "POSTHOUSE_LIMIT_HANDSHAKES_PER_NODE=off",
	})
	balancer := c.balancer(t, "nginx.conf")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var talking, connecting sync.WaitGroup
	var mu sync.Mutex // guards what follows
	said, noted := []string(nil), map[string][]string{}
	sockets := make([]*client.Socket, talkers)
	for i := range talkers {
		sub := fmt.Sprint("u", i/talkersRoom)
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "me", "aud": "app", "sub": sub, "exp": time.Now().Add(time.Hour).Unix()}).SignedString(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		s, err := client.New(balancer+"/app", &client.Options{
			Transports: []string{"websocket"}, Auth: map[string]string{"token": token}, Logger: slog.New(slog.DiscardHandler), ReconnectDelayMax: 2 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Manager().Close() })
		sockets[i] = s
		connecting.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			if err := s.Connect(ctx); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
		talking.Go(func() {
			connecting.Wait()
			ofHook, ofRelay := talk(ctx, s, fmt.Sprint(i), "user:"+sub)
			mu.Lock()
			defer mu.Unlock()
			said = append(said, ofHook...)
			noted[sub] = append(noted[sub], ofRelay...)
		})
	}
	connecting.Wait()
	began := time.Now()
	for i := range c.Replicas {
		if err := c.Replicas[i].Stop(20 * time.Second); err != nil {
			t.Errorf("replica %d: %v\n%s", i, err, c.Replicas[i].Output())
		}
		c.StartReplica(t, i)
		testenv.Until(t, 30*time.Second, "every client is back", func() bool {
			for _, s := range sockets {
				if !s.Connected() {
					return false
				}
			}
			return true
		})
		t.Logf("replica %d is back, and so is every client: %v", i, time.Since(began))
	}
	stop()
	talking.Wait()
	defer func() {
		for _, p := range c.Replicas {
			p.Kill() // without the drain
		}
	}()

	backEnd.mu.Lock()
	defer backEnd.mu.Unlock()
	lost, twice, missing, notes := 0, 0, 0, 0
	for _, id := range said {
		if backEnd.times[id] == 0 {
			lost++
		}
	}
	for _, n := range backEnd.times {
		if n > 1 {
			twice++ // hook.retries is 0: at most once
		}
	}
	for sub, ids := range noted {
		kept := historyOf(t, c.Bases[0], key, "user:"+sub)
		for _, id := range ids {
			notes++
			if !kept[id] {
				missing++
			}
		}
	}
	t.Logf("%d events acknowledged by the back end, %d of %d posted; %d relayed", len(said), len(said), len(backEnd.times), notes)
	if lost+twice+missing > 0 || len(said) < talkers || notes < talkers {
		t.Errorf("%d acknowledged events lost, %d posted twice, %d relayed ones not in the history", lost, twice, missing)
	}
}

// historyOf are the second arguments of all events that a room keeps.
func historyOf(t *testing.T, base, key, room string) map[string]bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", base+"/api/history?namespace=/app&limit=1000&room="+url.QueryEscape(room), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var page struct {
		Events []struct{ Args []string }
		Gap    bool
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", room, resp.StatusCode, err)
	}
	kept := map[string]bool{}
	for _, e := range page.Events {
		kept[e.Args[1]] = true
	}
	return kept
}
