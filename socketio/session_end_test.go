package socketio_test

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"posthouse/socketio"
)

// slowStore is a store of sessions that answers when the test says so.
type slowStore struct {
	*socketio.LocalAdapter

	mu   sync.Mutex // guards what follows
	told []func(refused bool)
}

func (*slowStore) PersistSession(context.Context, socketio.RecoverableSession) error { return nil }
func (*slowStore) RestoreSession(context.Context, string, string) (*socketio.RestoredSession, error) {
	return nil, nil
}
func (*slowStore) SessionPosition() string          { return "" }
func (*slowStore) SessionChanged([sha256.Size]byte) {}

func (s *slowStore) EndSession(_ [sha256.Size]byte, told func(refused bool)) {
	s.mu.Lock()
	s.told = append(s.told, told)
	s.mu.Unlock()
}

// answer answers the questions that are open, the last one first.
func (s *slowStore) answer(refused bool) (count int) {
	s.mu.Lock()
	told := s.told
	s.told = nil
	s.mu.Unlock()
	for _, fn := range slices.Backward(told) {
		fn(refused)
	}
	return len(told)
}

// The ends of all sockets of a connection reach the client before the connection closes, also
// one that waited already.
func TestDisconnect_WithConnection_WaitsForTheEndsOfAllSessions(t *testing.T) {
	for _, refused := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			stores := map[string]*slowStore{}
			srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{}, NewAdapter: func(l *socketio.LocalAdapter) (socketio.Adapter, error) {
				s := &slowStore{LocalAdapter: l}
				stores[l.Namespace()] = s
				return s, nil
			}})
			for _, name := range []string{"/a", "/b"} {
				srv.Of(name)
			}
			c := srv.Connect("/", nil)
			for _, name := range []string{"/a", "/b"} {
				c.Conn.SendText("0" + name + ",")
				c.Conn.Text()
			}
			one := func(name string) *socketio.Socket {
				for s := range srv.Of(name).Sockets() {
					return s
				}
				t.Fatalf("no socket in %s", name)
				return nil
			}
			one("/a").Disconnect(false)
			one("/b").Disconnect(true)
			synctest.Wait()
			if n := stores["/b"].answer(refused); n != 1 {
				t.Fatalf("%d ends in /b", n)
			}
			if n := stores["/a"].answer(refused); n != 1 {
				t.Fatalf("%d ends in /a", n)
			}
			synctest.Wait()
			if n := stores["/"].answer(refused); n != 1 {
				t.Fatalf("%d ends in /", n)
			}
			var got []string
			for range map[bool]int{true: 3, false: 6}[refused] {
				got = append(got, c.Conn.Text())
			}
			c.Conn.Closed()
			for _, name := range []string{"", "/a,", "/b,"} {
				end := slices.Index(got, "1"+name)
				spoiled := slices.Index(got, "2"+name+`["session_ended","-"]`)
				if end < 0 || (spoiled < 0) != refused || spoiled > end {
					t.Errorf("refused %t: the client got %q", refused, got)
				}
			}
		})
	}
}
