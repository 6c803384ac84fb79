package socketio_test

import (
	"context"
	"testing"
	"testing/synctest"

	"posthouse/socketio"
)

func TestRecovery_ErrNewSession_GivesNothingOfTheOldSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{}})
		owner := socketio.NewKey[string]("owner")
		srv.Use(func(_ context.Context, s *socketio.Socket) error {
			var auth struct{ User string }
			noError(t, s.Auth(&auth))
			if was, ok := owner.Of(s); ok && s.Recovered() && was != auth.User {
				return socketio.ErrNewSession
			}
			owner.Set(s, auth.User)
			return nil
		})
		connections := 0
		srv.OnConnection(func(*socketio.Socket) { connections++ })
		c := srv.Connect("/", map[string]string{"user": "ada"})
		noError(t, srv.Socket(c.ID).Join("room"))
		c.Conn.Close()
		synctest.Wait()
		noError(t, srv.To("room").Emit("missed"))
		other := srv.Connect("/", map[string]string{"user": "bob", "pid": c.PID})
		synctest.Wait()
		s := srv.Socket(other.ID)
		if name, _ := owner.Of(s); other.ID == c.ID || other.PID == c.PID || s.Recovered() || s.InRoom("room") || name != "bob" || srv.Len() != 1 || connections != 2 {
			t.Errorf("recovered %t, rooms %v, owner %s, %d sockets, %d connections", s.Recovered(), s.Rooms(), name, srv.Len(), connections)
		}
		other.Quiet()
		// The new session is a full one, and the old one is used up.
		noError(t, srv.Emit("x"))
		other.Expect("x")
		other.Conn.Close()
		synctest.Wait()
		if back := srv.Connect("/", map[string]string{"user": "bob", "pid": other.PID}); back.ID != other.ID {
			t.Error("the new session was not recovered")
		}
		if back := srv.Connect("/", map[string]string{"user": "ada", "pid": c.PID}); back.ID == c.ID {
			t.Error("the old session was recovered")
		}
	})
}

func TestNewPrivateKey_ValuesStayOnTheNode(t *testing.T) {
	srv := serve(t, nil)
	secret, plain := socketio.NewPrivateKey[func()]("secret"), socketio.NewKey[int]("plain")
	c := srv.Connect("/", nil)
	s := srv.Socket(c.ID)
	secret.Set(s, func() {})
	plain.Set(s, 1)
	if fn, ok := secret.Of(s); !ok || fn == nil {
		t.Error("no value on its own node")
	}
	sockets, err := srv.FetchSockets(bg)
	noError(t, err)
	want(t, string(sockets[0].Data()), `{"plain":1}`)
}
