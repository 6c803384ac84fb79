package adapter_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/auth"
	"posthouse/socketio/sockettest"
)

// subjects takes the subject for the token; "stolen" is no good any more.
type subjects struct{}

func (subjects) Verify(_ context.Context, token string) (*auth.Token, error) {
	if token == "" || token == "stolen" {
		return nil, auth.ErrUnauthorized
	}
	return &auth.Token{Subject: token, Expires: time.Now().Add(time.Hour)}, nil
}

// A session that is recovered on another node is judged by the token of the new
// connection (docs/realtime.md §8).
func TestRecovery_OnAnotherReplica_ChecksTheTokenAgain(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			a, b := newMortalReplica(t, rdb, make), newGoReplica(t, make(rdb), withRecovery())
			for _, r := range []*goReplica{a.goReplica, b} {
				guard := auth.NewGuard(subjects{}, nil)
				t.Cleanup(guard.Close)
				guard.Protect(r.Of("/"))
			}
			knowEachOther(t, a.goReplica, b)
			offers(t, b, b.Connect("/", map[string]any{"token": "eve"}))
			session := func() (*sockettest.Client, map[string]any) {
				c := a.Connect("/", map[string]any{"token": "ada"})
				must(t, a, command{Cmd: "join", SID: c.ID, Rooms: []string{"room1"}})
				isCurrent(t, rdb, c, 2, `{"sub":"ada"}`)
				return c, map[string]any{"pid": c.PID, "offset": offers(t, a.goReplica, c)}
			}
			same, sameAuth := session()
			other, otherAuth := session()
			_, refusedAuth := session()
			a.kill()
			must(t, b, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"missed"}})

			sameAuth["token"], otherAuth["token"], refusedAuth["token"] = "ada", "bob", "stolen"
			back := b.Connect("/", sameAuth)
			if back.ID != same.ID {
				t.Error("not recovered with the same subject")
			}
			back.Expect("missed")
			stranger := b.Connect("/", otherAuth)
			if s := b.Socket(stranger.ID); stranger.ID == other.ID || s.Recovered() || s.InRoom("room1") {
				t.Error("another subject got the session")
			}
			stranger.Quiet()
			digest := sha256.Sum256([]byte(other.PID))
			ended := "sio:session:ended#/#" + base64.RawURLEncoding.EncodeToString(digest[:sha256.Size/2])
			testenv.Until(t, 5*time.Second, "the end of the session that was not given", func() bool { return rdb.Exists(t.Context(), ended).Val() == 1 })
			var refusal *socketio.ConnectError
			if _, err := b.TryConnect("/", refusedAuth, nil); !errors.As(err, &refusal) || refusal.Message != "unauthorized" {
				t.Errorf("a token that is no good: %v", err)
			}
		})
	}
}
