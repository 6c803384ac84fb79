package admin_test

import (
	"testing"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/admin"
	"posthouse/socketio/sockettest"
)

func TestCommands_FilterIsASocketID_ActOnIt(t *testing.T) {
	srv, a := instrument(t, nil)
	c, _ := page(t, srv)
	client, other := srv.Connect("/", nil), srv.Connect("/", nil)

	c.Emit("emit", "/", client.ID, "hello", "world", []int{1})
	if got := client.Expect("hello").Args.String(); got != `["world",[1]]` {
		t.Errorf("hello %s", got)
	}
	c.Emit("emit", "/", nil, "all")
	client.Expect("all")
	other.Expect("all")
	c.Emit("join", "/", "room1", client.ID)
	about(c, "room_joined", `"room1"`, client.ID)
	c.Emit("leave", "/", "room1", client.ID)
	about(c, "room_left", `"room1"`, client.ID)
	c.Emit("join", "/", "room2")
	about(c, "room_joined", `"room2"`)
	about(c, "room_joined", `"room2"`)
	c.Emit("leave", "/", "room2")
	about(c, "room_left", `"room2"`)
	about(c, "room_left", `"room2"`)
	c.Emit("_disconnect", "/", false, client.ID)
	client.Disconnected()
	c.Emit("_disconnect", "/", true)
	other.Disconnected()
	testenv.Until(t, sockettest.Wait, "all commands", func() bool { return a.Stats().Commands == 8 })
}

func TestCommands_IllTyped_AreIgnored(t *testing.T) {
	srv, a := instrument(t, &admin.Options{NoAuth: true, PrivateNamespaces: []string{"/login"}})
	srv.Of("/login")
	c, _ := page(t, srv)
	client := srv.Connect("/", nil)
	for _, args := range [][]any{
		{"emit"}, {"emit", "/"}, {"emit", "/", 7, "x"}, {"emit", "/", nil, "connect"}, {"emit", "/nowhere", nil, "x"},
		{"emit", "/login", nil, "token"}, {"join", "/login", "room"}, {"join", "/"}, {"join", []int{}, "room"},
		{"leave", "/", 1}, {"_disconnect", "/", "yes"}, {"_disconnect"},
	} {
		c.Emit(args[0].(string), args[1:]...)
	}
	c.Emit("emit", "/", client.ID, "last")
	if m := client.Next(); m.Name != "last" {
		t.Errorf("the client got %s", m.Name)
	}
	if got := a.Stats().Commands; got > 1 {
		t.Errorf("%d commands were carried out", got)
	}
	for _, n := range srv.Namespaces() {
		if n.Name() == "/nowhere" {
			t.Error("a command made a namespace")
		}
	}
}

func TestCommands_ReadOnly_DoNothing(t *testing.T) {
	srv, _ := instrument(t, &admin.Options{NoAuth: true, ReadOnly: true})
	srv.Of("/admin").OnEvent("done", func(e *socketio.Event) { _ = e.Ack() })
	c, _ := page(t, srv)
	client := srv.Connect("/", nil)
	c.Emit("_disconnect", "/", false, client.ID)
	c.Emit("emit", "/", nil, "x")
	c.Call("done") // the commands were there before
	client.Quiet()
}
