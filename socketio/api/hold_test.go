package api_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/api"
	"posthouse/socketio/parser"
)

// holding is an adapter that notes what is published while it is held, and when.
type holding struct {
	*socketio.LocalAdapter
	held int
	log  []string
}

func (a *holding) HoldPublishing() (release func()) {
	a.held++
	return func() { a.held--; a.log = append(a.log, "release") }
}

func (a *holding) note(what string) {
	if a.held > 0 {
		what += " held"
	}
	a.log = append(a.log, what)
}

func (a *holding) Broadcast(context.Context, *parser.Packet, socketio.BroadcastOptions) error {
	a.note("emit")
	return nil
}

func (a *holding) BroadcastWithAck(context.Context, *parser.Packet, socketio.BroadcastOptions) ([]socketio.Value, error) {
	a.note("ask")
	return nil, nil
}

func TestAPI_Batch_IsPublishedTogether(t *testing.T) {
	t.Parallel()
	adapters := map[string]*holding{}
	srv, h := servedBy(t, func(l *socketio.LocalAdapter) socketio.Adapter {
		adapters[l.Namespace()] = &holding{LocalAdapter: l}
		return adapters[l.Namespace()]
	}, &api.Options{})
	srv.Of("/a")
	srv.Of("/b")
	for _, c := range []struct{ name, path, body, a, b string }{
		{"one namespace", "/api/batch", `[{"namespace":"/a","event":"x"},{"namespace":"/a","event":"y"}]`, "[emit held emit held release]", "[]"},
		{"two", "/api/batch", `[{"namespace":"/a","event":"x"},{"namespace":"/b","event":"y"},{"namespace":"/a","event":"z"}]`,
			"[emit held release emit held release]", "[emit held release]"},
		{"an entry that waits", "/api/batch", `[{"namespace":"/a","event":"x"},{"namespace":"/a","event":"y","ack":{"timeout":1}},{"namespace":"/a","event":"z"}]`,
			"[emit held release ask emit held release]", "[]"},
		{"an entry that is wrong", "/api/batch", `[{"namespace":"/a","event":"x"},{"namespace":"/a"}]`, "[emit held release]", "[]"},
		{"a single emit", "/api/emit", `{"namespace":"/a","event":"x"}`, "[emit held release]", "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			adapters["/a"].log, adapters["/b"].log = nil, nil
			if got := call(t, h, http.MethodPost, c.path, full, c.body); got.Code != http.StatusOK {
				t.Fatal(got.Code, got.Body)
			}
			for name, want := range map[string]string{"/a": c.a, "/b": c.b} {
				if got := fmt.Sprint(adapters[name].log); got != want {
					t.Errorf("%s: %s, want %s", name, got, want)
				}
			}
		})
	}
}
