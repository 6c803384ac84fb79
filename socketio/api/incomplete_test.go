package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/api"
	"posthouse/socketio/sockettest"
)

// silentNode is an adapter whose other node, gw2, does not answer.
type silentNode struct{ *socketio.LocalAdapter }

func (a silentNode) FetchSockets(ctx context.Context, o socketio.BroadcastOptions) ([]socketio.SocketDetails, error) {
	list, err := a.LocalAdapter.FetchSockets(ctx, o)
	if err != nil {
		return nil, err
	}
	return list, &socketio.PartialError{Op: "fetchSockets", Expected: 2, Received: 1, Missing: []string{"gw2"}}
}

func TestHandler_SilentNode_IsNamed(t *testing.T) {
	keys, err := api.ParseKeys(full)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	srv := sockettest.NewServer(t, &socketio.Options{Logger: quiet, NewAdapter: func(l *socketio.LocalAdapter) (socketio.Adapter, error) { return silentNode{l}, nil }})
	var h http.Handler
	if h, err = api.New(srv.Server, &api.Options{Keys: keys, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	c := srv.Connect("/", nil)
	for path, status := range map[string]int{"sockets?namespace=/": 200, "rooms?namespace=/": 200, "sockets/%2F/" + c.ID: 200, "sockets/%2F/elsewhere": 503} {
		a := call(t, h, "GET", "/api/"+path, full, "")
		if a.Code != status || strings.HasSuffix(path, "=/") && !strings.Contains(a.Body.String(), `"incomplete":["gw2"]`) {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
}
