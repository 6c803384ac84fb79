package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

type obj = map[string]any

// guarded is a server whose namespace /app asks for tokens.
func guarded(t *testing.T, o *socketio.Options, g *GuardOptions, keys KeySource) (*sockettest.Server, *Guard) {
	t.Helper()
	var opts socketio.Options
	if o != nil {
		opts = *o
	}
	opts.Logger = slog.New(slog.NewTextHandler(failing{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	opts.Engine.PingInterval = 24 * time.Hour
	if g == nil {
		g = &GuardOptions{}
	}
	g.Logger = quiet
	srv := sockettest.NewServer(t, &opts)
	guard := NewGuard(verifier(t, keys, 0), g)
	t.Cleanup(guard.Close)
	guard.Protect(srv.Of("/app"))
	return srv, guard
}

// failing fails the test with what is written: lines about panics in handlers.
type failing struct{ t *testing.T }

func (f failing) Write(text []byte) (int, error) {
	f.t.Errorf("%s", text)
	return len(text), nil
}

// waiting is the number of sockets on the agenda, when nothing is under way; without
// any the timer must not run.
func waiting(g *Guard) int {
	synctest.Wait()
	g.agenda.mu.Lock()
	defer g.agenda.mu.Unlock()
	if n := len(g.agenda.queue); n > 0 || g.agenda.wake.IsZero() {
		return n
	}
	return -1
}

func lasting(d time.Duration, sub string) string {
	return good(jwt.MapClaims{"exp": time.Now().Add(d).Unix(), "sub": sub})
}

func TestGuard_ConnectRefusals(t *testing.T) {
	srv, _ := guarded(t, nil, nil, allKeys)
	bearer := func(text string) *sockettest.DialOptions {
		return &sockettest.DialOptions{Header: http.Header{"Authorization": {text}}}
	}
	for _, test := range []struct {
		name string
		auth any
		dial *sockettest.DialOptions
		code string
	}{
		{"payload", obj{"token": good(nil)}, nil, ""},
		{"header", nil, bearer("Bearer " + good(nil)), ""},
		{"header, scheme in lower case", obj{}, bearer("bearer " + good(nil)), ""},
		{"payload before header", obj{"token": "x"}, bearer("Bearer " + good(nil)), "unauthorized"},
		{"null in the payload", obj{"token": nil}, bearer("Bearer " + good(nil)), ""},
		{"nothing", nil, nil, "unauthorized"},
		{"query", nil, &sockettest.DialOptions{Query: map[string][]string{"token": {good(nil)}}}, "unauthorized"},
		{"another scheme", nil, bearer("Basic " + good(nil)), "unauthorized"},
		{"a number", obj{"token": 7}, nil, "unauthorized"},
		{"a list", obj{"token": []string{good(nil)}}, nil, "unauthorized"},
		{"another audience", obj{"token": good(jwt.MapClaims{"aud": "x"})}, nil, "unauthorized"},
		{"expired", obj{"token": lasting(-time.Minute, "ada")}, nil, "expired"},
	} {
		_, err := srv.TryConnect("/app", test.auth, test.dial)
		var refusal *socketio.ConnectError
		switch {
		case test.code == "":
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
		case !errors.As(err, &refusal) || refusal.Message != "unauthorized" ||
			string(refusal.Data.(json.RawMessage)) != `{"code":"`+test.code+`"}`:
			t.Errorf("%s: %v %s", test.name, err, refusal.Data)
		}
	}
}

func TestGuard_Connect_UnavailableWhenKeysCannotBeReached(t *testing.T) {
	srv, _ := guarded(t, nil, nil, newJWKS(t, &issuer{err: errors.New("refused")}))
	_, err := srv.TryConnect("/app", obj{"token": good(nil)}, nil)
	var refusal *socketio.ConnectError
	if !errors.As(err, &refusal) || refusal.Message != "unavailable" || string(refusal.Data.(json.RawMessage)) != `{"code":"unavailable"}` {
		t.Errorf("%v", err)
	}
}

func TestGuard_Expiry_EventThenDisconnectAfter5Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, guard := guarded(t, nil, nil, allKeys)
		c := srv.Connect("/app", obj{"token": lasting(time.Minute, "ada")})
		later := srv.Connect("/app", obj{"token": lasting(time.Hour, "bob")})
		time.Sleep(59 * time.Second)
		c.Quiet()
		time.Sleep(time.Second)
		c.Expect("expired")
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if srv.Of("/app").Socket(c.ID) == nil {
			t.Error("disconnected before 5 s")
		}
		time.Sleep(time.Second)
		c.Disconnected()
		later.Quiet()
		later.Disconnect()
		synctest.Wait()
		if n := waiting(guard); n != 0 {
			t.Errorf("left behind: %d sockets", n)
		}
	})
}

func TestGuard_Auth_FreshTokenOfTheSameSubjectGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := guarded(t, nil, nil, allKeys)
		c := srv.Connect("/app", obj{"token": lasting(time.Minute, "ada")})
		time.Sleep(time.Minute)
		c.Expect("expired")
		time.Sleep(4 * time.Second)
		if got := c.Call("auth", obj{"token": lasting(2*time.Minute, "ada")}).JSON(0); got != `{"expiresIn":120}` {
			t.Errorf("auth: %s", got)
		}
		time.Sleep(119 * time.Second)
		c.Quiet()
		if s := srv.Of("/app").Socket(c.ID); s == nil {
			t.Fatal("disconnected with a fresh token")
		} else if token, _ := TokenOf(s); time.Until(token.Expires) != time.Second {
			t.Errorf("TokenOf is not the fresh one: %v", token.Expires)
		}
		time.Sleep(time.Second)
		c.Expect("expired")
		time.Sleep(5 * time.Second)
		c.Disconnected()

		// One that expires earlier than the old one counts as well.
		c = srv.Connect("/app", obj{"token": lasting(time.Hour, "ada")})
		c.Call("auth", obj{"token": lasting(time.Minute, "ada")})
		time.Sleep(time.Minute)
		c.Expect("expired")
	})
}

func TestGuard_Auth_AnythingElseIsForbiddenAndTheOldTimeRunsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := guarded(t, nil, nil, allKeys)
		c := srv.Connect("/app", obj{"token": lasting(time.Minute, "ada")})
		for name, args := range map[string][]any{
			"another subject": {obj{"token": lasting(time.Hour, "bob")}},
			"expired":         {obj{"token": lasting(-time.Minute, "ada")}},
			"no token":        {obj{}},
			"a number":        {obj{"token": 1}},
			"a string":        {lasting(time.Hour, "ada")},
			"nothing":         {},
			"null":            {nil},
			"a binary":        {[]byte{1}},
		} {
			if got := c.Call("auth", args...).JSON(0); !strings.Contains(got, `"code":"forbidden"`) {
				t.Errorf("%s: %s", name, got)
			}
		}
		time.Sleep(time.Minute)
		c.Expect("expired")
		if got := c.Call("auth", obj{"token": "x"}).JSON(0); !strings.Contains(got, `"code":"forbidden"`) {
			t.Errorf("after the event: %s", got)
		}
		time.Sleep(5 * time.Second)
		c.Disconnected()
	})
}

func TestGuard_Recovery_ChecksTheNewConnectionsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := guarded(t, &socketio.Options{Recovery: &socketio.Recovery{}}, nil, allKeys)
		app := srv.Of("/app")
		lost := func(sub string) *sockettest.Client {
			c := srv.Connect("/app", obj{"token": lasting(time.Hour, sub)})
			noError(t, app.Socket(c.ID).Join("room"))
			c.Conn.Close()
			synctest.Wait()
			return c
		}
		c := lost("ada")
		back := srv.Connect("/app", obj{"token": lasting(time.Minute, "ada"), "pid": c.PID})
		if back.ID != c.ID || !app.Socket(back.ID).InRoom("room") {
			t.Error("the same subject was not recovered")
		}
		time.Sleep(time.Minute) // the new token's time counts
		back.Expect("expired")

		c = lost("ada")
		back = srv.Connect("/app", obj{"token": lasting(time.Hour, "bob"), "pid": c.PID})
		if s := app.Socket(back.ID); back.ID == c.ID || s.Recovered() || s.InRoom("room") {
			t.Error("another subject got the session")
		} else if sub, _ := Subject.Of(s); sub != "bob" {
			t.Errorf("sub %s", sub)
		}

		c = lost("ada")
		if _, err := srv.TryConnect("/app", obj{"token": lasting(-time.Minute, "ada"), "pid": c.PID}, nil); err == nil {
			t.Error("recovered with an expired token")
		}
	})
}

func TestGuard_Revoke_EndsTheNamedSockets(t *testing.T) {
	for name, r := range map[string]Revocation{
		"jti": {IDs: []string{"x", "1"}}, "sub": {Subject: "ada"}, "iat": {IssuedBefore: time.Unix(2000, 0)},
		"all": {Issuer: testIssuer, IDs: []string{"1"}, Subject: "ada", IssuedBefore: time.Unix(2000, 0)},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv, guard := guarded(t, nil, nil, allKeys)
			c := srv.Connect("/app", obj{"token": good(jwt.MapClaims{"iat": 1000})})
			other := srv.Connect("/app", obj{"token": good(jwt.MapClaims{"jti": "2", "sub": "bob", "iat": 3000 - 1})})
			noError(t, guard.Revoke(r))
			c.Disconnected()
			other.Quiet()
			if srv.Of("/app").Len() != 1 {
				t.Errorf("%s: %d sockets left", name, srv.Of("/app").Len())
			}
		})
	}
	for name, r := range map[string]Revocation{
		"empty": {}, "issuer only": {Issuer: testIssuer}, "another issuer": {Issuer: "x", Subject: "ada"},
	} {
		if r.Matches(&Token{Subject: "ada", Issuer: testIssuer}) {
			t.Errorf("%s matches", name)
		}
	}
}

func TestGuard_Revoke_MeetsSocketsThatAreBeingLetIn(t *testing.T) {
	for _, many := range []int{1, maxRecent + 1} {
		synctest.Test(t, func(t *testing.T) {
			srv, guard := guarded(t, nil, nil, allKeys)
			entered, release := make(chan struct{}), make(chan struct{})
			srv.Of("/app").Use(func(context.Context, *socketio.Socket) error {
				close(entered)
				<-release
				return nil
			})
			go func() {
				<-entered
				time.Sleep(time.Second)
				if many > 1 { // so many that the one of ada is forgotten
					_ = guard.Revoke(Revocation{Subject: "ada"})
				}
				for range many - 1 {
					_ = guard.Revoke(Revocation{Subject: "somebody"})
				}
				if many == 1 {
					_ = guard.Revoke(Revocation{Subject: "ada"})
				}
				close(release)
			}()
			srv.Connect("/app", obj{"token": good(nil)}).Disconnected()
		})
	}
}

// Where every node finds out itself, EndSockets is all that tells of a revocation.
func TestGuard_EndSockets_MeetsSocketsThatAreBeingLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, guard := guarded(t, nil, nil, allKeys)
		srv.Of("/app").Use(func(context.Context, *socketio.Socket) error {
			time.Sleep(time.Second)
			if n := guard.EndSockets(func(t *Token) bool { return t.Subject == "ada" }); n != 0 {
				return fmt.Errorf("ended %d sockets that are not connected", n)
			}
			return nil
		})
		srv.Connect("/app", obj{"token": good(nil)}).Disconnected()
	})
}

func TestGuard_Revoked_IsAskedForConnectionsAndFreshTokens(t *testing.T) {
	var answer atomic.Pointer[error]
	taken := errors.New("taken")
	srv, _ := guarded(t, nil, &GuardOptions{Revoked: func(context.Context, *Token) (bool, error) {
		if err := answer.Load(); err != nil {
			if errors.Is(*err, taken) {
				return true, nil
			}
			return false, *err
		}
		return false, nil
	}}, allKeys)
	c := srv.Connect("/app", obj{"token": good(nil)})
	for code, err := range map[string]error{"unauthorized": taken, "unavailable": errors.New("away")} {
		answer.Store(&err)
		_, refused := srv.TryConnect("/app", obj{"token": good(nil)}, nil)
		if refused == nil || !strings.Contains(refused.Error(), code) {
			t.Errorf("connection: %v, want %s", refused, code)
		}
		want := map[string]string{"unauthorized": "forbidden", "unavailable": "unavailable"}[code]
		if got := c.Call("auth", obj{"token": good(nil)}).JSON(0); !strings.Contains(got, want) {
			t.Errorf("auth: %s, want %s", got, want)
		}
	}
}

func TestGuard_FetchSockets_ShowsTheSubjectOnly(t *testing.T) {
	srv, _ := guarded(t, nil, nil, allKeys)
	token := good(nil)
	_, err := srv.TryConnect("/app", obj{"token": token, "x": 1}, &sockettest.DialOptions{Header: http.Header{"Authorization": {"Bearer " + token}}})
	noError(t, err)
	sockets, err := srv.Of("/app").FetchSockets(t.Context())
	noError(t, err)
	h := sockets[0].Handshake()
	all := string(must(json.Marshal(h))) + string(sockets[0].Data())
	if strings.Contains(all, token) || string(sockets[0].Data()) != `{"sub":"ada"}` || string(h.Auth) != `{"x":1}` {
		t.Errorf("%s", all)
	}
	if sub, ok := Subject.In(sockets[0]); !ok || sub != "ada" {
		t.Errorf("sub %s", sub)
	}
}

func TestGuard_Protect_DynamicNamespacesAndRefusedSocketsLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, guard := guarded(t, nil, nil, allKeys)
		teams := srv.OfPattern("/team/{id}")
		guard.Protect(teams)
		teams.Use(func(_ context.Context, s *socketio.Socket) error {
			if s.Namespace().Param("id") == "closed" {
				return errors.New("closed")
			}
			return nil
		})
		if _, err := srv.TryConnect("/team/closed", obj{"token": good(nil)}, nil); err == nil {
			t.Error("let in")
		}
		if _, err := srv.TryConnect("/team/7", nil, nil); err == nil {
			t.Error("let in without a token")
		}
		c := srv.Connect("/team/7", obj{"token": good(nil)})
		if n := waiting(guard); n != 1 {
			t.Errorf("%d on the agenda", n)
		}
		c.Conn.Close()
		synctest.Wait()
		if n := waiting(guard); n != 0 {
			t.Errorf("%d left on the agenda", n)
		}
	})
}

func TestGuard_Close_EndsTheTimerAndRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, guard := guarded(t, nil, nil, allKeys)
		c := srv.Connect("/app", obj{"token": lasting(time.Minute, "ada")})
		guard.Close()
		time.Sleep(time.Hour)
		c.Quiet()
		if _, err := srv.TryConnect("/app", obj{"token": good(nil)}, nil); err == nil || !strings.Contains(err.Error(), "unavailable") {
			t.Errorf("after Close: %v", err)
		}
		c.Disconnect()
		synctest.Wait()
		if n := waiting(guard); n != 0 {
			t.Errorf("after Close: %d on the agenda", n)
		}
	})
}
