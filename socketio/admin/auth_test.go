package admin_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/admin"
	"posthouse/socketio/sockettest"
)

func login(name, password string) map[string]string {
	return map[string]string{"username": name, "password": password}
}

// refused checks that the page opens its dialog.
func refused(t *testing.T, srv *sockettest.Server, auth any) {
	t.Helper()
	_, err := srv.TryConnect("/admin", auth, nil)
	var refusal *socketio.ConnectError
	if !errors.As(err, &refusal) || refusal.Message != "invalid credentials" || refusal.Data != nil {
		t.Errorf("%v: %v", auth, err)
	}
}

func TestAuth_Credentials_OpenASession(t *testing.T) {
	srv, _ := instrument(t, &admin.Options{PasswordHash: hash})
	refused(t, srv, nil)
	refused(t, srv, login("admin", "wrong"))
	refused(t, srv, login("root", "changeit"))
	refused(t, srv, map[string]any{"username": 7, "password": []int{}})
	refused(t, srv, login("admin", strings.Repeat("x", 73)))
	refused(t, srv, map[string]string{"sessionId": ""})
	c := srv.Connect("/admin", login("admin", "changeit"))
	var id string
	bind(t, c.Expect("session"), 0, &id)
	if len(id) < 32 {
		t.Errorf("session id %q", id)
	}
	again := srv.Connect("/admin", map[string]string{"sessionId": id})
	if m := again.Next(); m.Name == "session" {
		t.Error("a known session got another one")
	}
	refused(t, srv, map[string]string{"sessionId": id + "0"})
}

func TestAuth_Session_FollowsCONNECT(t *testing.T) {
	srv, _ := instrument(t, &admin.Options{PasswordHash: hash})
	conn, err := srv.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SendText(`0/admin,{"username":"admin","password":"changeit"}`)
	for i, want := range []string{`0/admin,{"sid":`, `2/admin,["session",`, `2/admin,["config",`, `2/admin,["all_sockets",`} {
		got := conn.Text()
		for strings.HasPrefix(got, `2/admin,["server_stats",`) || i == 2 && strings.HasPrefix(got, `2/admin,["room_joined"`) || i == 2 && strings.HasPrefix(got, `2/admin,["socket_connected"`) {
			got = conn.Text()
		}
		if !strings.HasPrefix(got, want) {
			t.Fatalf("packet %d is %s, want %s…", i, got, want)
		}
	}
}

func TestAuth_FiveFailures_CloseTheDoorForTheAddress(t *testing.T) {
	srv, a := instrument(t, &admin.Options{PasswordHash: hash})
	for range 5 {
		refused(t, srv, login("admin", "wrong"))
	}
	refused(t, srv, login("admin", "changeit"))
	if got := a.Stats().Refused; got != 6 {
		t.Errorf("refused %d", got)
	}
}

func TestAuth_Password_IsNotToldToOtherNodes(t *testing.T) {
	srv, _ := instrument(t, &admin.Options{PasswordHash: hash})
	srv.Connect("/admin", login("admin", "changeit"))
	sockets, err := srv.Of("/admin").FetchSockets(t.Context())
	if err != nil || len(sockets) != 1 {
		t.Fatal(sockets, err)
	}
	if auth := string(sockets[0].Handshake().Auth); auth != "{}" {
		t.Errorf("auth %s", auth)
	}
}

// brokenStore is a store whose server is away.
type brokenStore struct{}

func (brokenStore) Save(context.Context, string) error        { return errors.New("away") }
func (brokenStore) Has(context.Context, string) (bool, error) { return false, errors.New("away") }

func TestAuth_StoreFails_PasswordStillWorks(t *testing.T) {
	srv, _ := instrument(t, &admin.Options{PasswordHash: hash, Store: brokenStore{}})
	c := srv.Connect("/admin", login("admin", "changeit"))
	c.Expect("config")
	refused(t, srv, map[string]string{"sessionId": "b1f0b1f0"})
}
