package presence_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/presence"
	"posthouse/socketio/sockettest"
)

// countingStore stands in for Redis, keeps nothing and counts the requests.
type countingStore struct{ requests atomic.Int64 }

func (s *countingStore) count() error { s.requests.Add(1); return nil }

func (s *countingStore) Renew(context.Context) (bool, error)            { return false, s.count() }
func (s *countingStore) Write(context.Context, []presence.Change) error { return s.count() }
func (s *countingStore) Read(context.Context, string) ([]presence.Member, error) {
	return nil, s.count()
}
func (s *countingStore) Changed(context.Context) (rooms []string, all bool, _ error) {
	return nil, false, s.count()
}
func (s *countingStore) Lease() time.Duration        { return 15 * time.Second }
func (s *countingStore) Sweep(context.Context) error { return s.count() }

// Messages in a room with presence ask nothing of Redis.
func TestPresence_Messages_CostNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countingStore{}
		here, err := presence.New(&presence.Options{Rooms: func(string) bool { return true }, Store: store})
		if err != nil {
			t.Fatal(err)
		}
		rules, err := access.New(&access.Options{Join: []string{"topic:*"}, Relay: []string{"say"}, Presence: here, Other: access.RefuseUnknown})
		if err != nil {
			t.Fatal(err)
		}
		srv := sockettest.NewServer(t, nil)
		srv.Of("/").Use(func(_ context.Context, s *socketio.Socket) error { sub.Set(s, "ada"); return nil })
		rules.Apply(srv.Of("/"))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); here.Run(ctx) }()
		defer func() { cancel(); <-ended }()

		c, other := srv.Connect("/", nil), srv.Connect("/", nil)
		c.Call("join", "topic:1")
		other.Call("join", "topic:1")
		time.Sleep(10*time.Second + 500*time.Millisecond) // between two of its rounds
		synctest.Wait()
		before := store.requests.Load()
		for range 1000 { // between two of its rounds: no time passes in here
			c.Call("say", "topic:1", "hello")
			other.Expect("say")
			if err := srv.To("topic:1").Emit("news"); err != nil {
				t.Fatal(err)
			}
			other.Expect("news")
			c.Expect("news")
		}
		synctest.Wait()
		if n := store.requests.Load() - before; n != 0 {
			t.Errorf("%d requests for 2000 messages", n)
		}
	})
}
