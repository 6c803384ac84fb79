package auth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// Sockets end by their own tokens, whatever the order of the times, of fresh tokens and
// of those who leave early or are ended by a revocation.
func TestGuard_Expiry_ManySocketsEachAtItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, guard := guarded(t, nil, nil, allKeys)
		type person struct {
			*sockettest.Client
			expires time.Time
			leaves  bool
		}
		var mu sync.Mutex
		ended := map[string]time.Time{}
		srv.Of("/app").OnDisconnect(func(s *socketio.Socket, _ socketio.Reason) {
			mu.Lock()
			defer mu.Unlock()
			ended[s.ID()] = time.Now()
		})
		people := make([]*person, 60)
		order := rand.New(rand.NewPCG(1, 2)).Perm(len(people))
		begin := time.Now()
		at := func(minute int) time.Time { return begin.Add(time.Duration(minute) * time.Minute) }
		tokenUntil := func(end time.Time, sub string) string { return lasting(time.Until(end), sub) }
		for i, place := range order {
			p := &person{expires: at(10 + place)}
			p.Client = srv.Connect("/app", obj{"token": tokenUntil(p.expires, fmt.Sprint("user", i))})
			people[i] = p
		}
		time.Sleep(time.Minute)
		for i, p := range people {
			switch i % 5 {
			case 0: // later
				p.expires = at(100 + i)
			case 1: // earlier
				p.expires = at(2 + i%3)
			case 2:
				p.leaves = true
				p.Disconnect()
				continue
			case 3:
				if i%2 == 0 {
					p.leaves = true
					noError(t, guard.Revoke(Revocation{Subject: fmt.Sprint("user", i)}))
				}
				continue
			default:
				continue
			}
			if got := p.Call("auth", obj{"token": tokenUntil(p.expires, fmt.Sprint("user", i))}).JSON(0); !strings.Contains(got, "expiresIn") {
				t.Fatalf("auth: %s", got)
			}
		}
		time.Sleep(4 * time.Hour)
		mu.Lock()
		defer mu.Unlock()
		for i, p := range people {
			want := p.expires.Add(expiryGrace)
			if p.leaves {
				want = at(1)
			} else {
				p.Expect("expired")
			}
			if !ended[p.ID].Equal(want) {
				t.Errorf("user%d ended %v after the beginning, want %v", i, ended[p.ID].Sub(begin), want.Sub(begin))
			}
		}
		if n := waiting(guard); n != 0 {
			t.Errorf("left on the agenda: %d", n)
		}
	})
}

// A fresh token that is taken back while it is judged renews nothing; the socket lives on
// by its old one.
func TestGuard_Auth_TokenRevokedWhileItIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, guard := guarded(t, nil, &GuardOptions{Revoked: func(context.Context, *Token) (bool, error) {
			time.Sleep(time.Second)
			return false, nil
		}}, allKeys)
		c := srv.Connect("/app", obj{"token": lasting(time.Minute, "ada")})
		revoked := make(chan error, 1)
		time.AfterFunc(500*time.Millisecond, func() { revoked <- guard.Revoke(Revocation{IDs: []string{"fresh"}}) })
		fresh := good(jwt.MapClaims{"jti": "fresh", "exp": time.Now().Add(time.Hour).Unix()})
		if got := c.Call("auth", obj{"token": fresh}).JSON(0); !strings.Contains(got, "forbidden") {
			t.Errorf("auth: %s", got)
		}
		noError(t, <-revoked)
		if srv.Of("/app").Socket(c.ID) == nil {
			t.Error("the socket was ended")
		}
		time.Sleep(time.Minute)
		c.Expect("expired")
	})
}

// linked is an adapter whose server-side emits reach the main namespace of another server.
type linked struct {
	*socketio.LocalAdapter
	other *linked
}

func (l *linked) ServerSideEmit(_ context.Context, args socketio.Value, _ bool) ([]socketio.Value, error) {
	l.other.DispatchServerSideEmit(args, nil)
	return nil, nil
}

func TestGuard_Revoke_EndsTheSocketsOfOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := [2]*linked{{}, {}}
		nodes[0].other, nodes[1].other = nodes[1], nodes[0]
		var guards [2]*Guard
		var clients [2]*sockettest.Client
		for i, node := range nodes {
			srv, guard := guarded(t, &socketio.Options{NewAdapter: func(l *socketio.LocalAdapter) (socketio.Adapter, error) {
				if l.Namespace() != "/" {
					return l, nil
				}
				node.LocalAdapter = l
				return node, nil
			}}, nil, allKeys)
			guards[i] = guard
			guard.Protect(srv.Of("/other")) // hears of a revocation once all the same
			clients[i] = srv.Connect("/app", obj{"token": good(nil)})
		}
		nodes[1].DispatchServerSideEmit(socketio.Value{JSON: []byte(`["` + revokeEvent + `",7]`)}, nil) // of a program with a mistake
		noError(t, guards[0].Revoke(Revocation{Subject: "bob"}))
		clients[1].Quiet()
		noError(t, guards[0].Revoke(Revocation{Subject: "ada"}))
		clients[0].Disconnected()
		clients[1].Disconnected()
	})
}

// Without the middlewares the token of a recovered socket's connection is not judged.
func TestGuard_Recovery_WithoutMiddlewares_EndsTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := guarded(t, &socketio.Options{Recovery: &socketio.Recovery{SkipMiddlewares: true}}, nil, allKeys)
		c := srv.Connect("/app", obj{"token": good(nil)})
		noError(t, srv.Of("/app").Socket(c.ID).Join("room"))
		c.Conn.Close()
		synctest.Wait()
		srv.Connect("/app", obj{"token": good(nil), "pid": c.PID}).Disconnected()
	})
}

// A revocation is for the tokens that were judged before it: of later ones GuardOptions.Revoked knows.
func TestGuard_Revoke_LaterConnectionsAreJudgedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, guard := guarded(t, nil, nil, allKeys)
		for range 2 * maxRecent {
			noError(t, guard.Revoke(Revocation{Subject: "ada"}))
		}
		if n := len(guard.agenda.recent.list); n > maxRecent {
			t.Errorf("%d revocations are kept", n)
		}
		time.Sleep(time.Second)
		c := srv.Connect("/app", obj{"token": good(nil)})
		c.Quiet()
		if srv.Of("/app").Socket(c.ID) == nil {
			t.Error("the socket was ended")
		}
	})
}
