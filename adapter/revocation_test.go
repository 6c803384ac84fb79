package adapter_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/auth"
)

// secretTokens takes "<secret>:<subject>" for a token.
type secretTokens struct{ secret string }

func (v secretTokens) Verify(_ context.Context, token string) (*auth.Token, error) {
	subject, ok := strings.CutPrefix(token, v.secret+":")
	if !ok {
		return nil, auth.ErrUnauthorized
	}
	return &auth.Token{Subject: subject, Expires: time.Now().Add(time.Hour)}, nil
}

// text is all commands that were seen.
func (m *monitor) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprint(m.seen)
}

// A revocation on one node ends the sockets of another within two seconds, with every
// adapter. The token is in no answer to FetchSockets, no log and no command of Redis, with
// recovery too.
func TestGuard_Revoke_EndsTheSocketsOfAnotherNode(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		for _, recovery := range []*socketio.Recovery{nil, {}} {
			title := name
			if recovery != nil {
				title += ", recovery"
			}
			t.Run(title, func(t *testing.T) {
				t.Parallel()
				revokeOnAnotherNode(t, make, recovery)
			})
		}
	}
}

func revokeOnAnotherNode(t *testing.T, make func(redis.UniversalClient) socketio.NewAdapter, recovery *socketio.Recovery) {
	addr, _ := testenv.Redis(t)
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
	seen := newMonitor(t, rdb)
	const secret = "a-token-that-is-secret"
	logged := new(testenv.Buffer)
	log := slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var nodes []*goReplica
	var guards []*auth.Guard
	for range 2 {
		r := newGoReplica(t, make(rdb), &socketio.Options{Logger: log, Recovery: recovery})
		guard := auth.NewGuard(secretTokens{secret}, &auth.GuardOptions{Logger: log})
		t.Cleanup(guard.Close)
		guard.Protect(r.Of("/"))
		nodes, guards = append(nodes, r), append(guards, guard)
	}
	a, b := nodes[0], nodes[1]
	knowEachOther(t, a, b)
	ada := b.Connect("/", map[string]any{"token": secret + ":ada"})
	bob := b.Connect("/", map[string]any{"token": secret + ":bob"})
	if _, err := b.TryConnect("/", map[string]any{"token": "another-" + secret}, nil); err == nil {
		t.Error("a wrong token was let in")
	}
	list, err := a.Of("/").FetchSockets(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%d sockets, %v", len(list), err)
	}
	for _, s := range list {
		if h := s.Handshake(); strings.Contains(string(h.Auth), secret) || !strings.Contains(string(s.Data()), `"sub"`) {
			t.Errorf("handshake %s, data %s", h.Auth, s.Data())
		}
	}
	began := time.Now()
	if err := guards[0].Revoke(auth.Revocation{Subject: "ada"}); err != nil {
		t.Fatal(err)
	}
	ada.Disconnected()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the socket of the other node ended after %v", took)
	}
	bob.Quiet()
	if b.Socket(bob.ID) == nil {
		t.Error("another subject's socket ended")
	}
	if commands := seen.text(); !strings.Contains(strings.ToLower(commands), "publish") && !strings.Contains(strings.ToLower(commands), "xadd") {
		t.Error("the monitor saw nothing")
	} else if strings.Contains(commands, secret) {
		t.Error("Redis saw the token")
	}
	if strings.Contains(logged.String(), secret) {
		t.Errorf("the log holds the token: %s", logged)
	}
}
