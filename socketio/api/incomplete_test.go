package api_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/api"
)

// silentNode is an adapter whose other node, gw2, does not answer, or that fails.
type silentNode struct {
	*socketio.LocalAdapter
	err error
}

func (a silentNode) FetchSockets(ctx context.Context, o socketio.BroadcastOptions) ([]socketio.SocketDetails, error) {
	list, err := a.LocalAdapter.FetchSockets(ctx, o)
	return list, errors.Join(err, a.err)
}

// waiting is an adapter whose other node answers nothing until the end of the context.
type waiting struct{ *socketio.LocalAdapter }

func (a waiting) FetchSockets(ctx context.Context, _ socketio.BroadcastOptions) ([]socketio.SocketDetails, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (a waiting) AddSockets(ctx context.Context, _ socketio.BroadcastOptions, _ []string) error {
	<-ctx.Done()
	return ctx.Err()
}

func (a waiting) DelSockets(ctx context.Context, o socketio.BroadcastOptions, rooms []string) error {
	return a.AddSockets(ctx, o, rooms)
}

func (a waiting) DisconnectSockets(ctx context.Context, o socketio.BroadcastOptions, _ bool) error {
	return a.AddSockets(ctx, o, nil)
}

func TestHandler_Timeout_BoundsTheWaitForOtherNodes(t *testing.T) {
	for name, test := range map[string]struct{ given, want time.Duration }{"default": {0, 5 * time.Second}, "given": {time.Second, time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, h := servedBy(t, func(l *socketio.LocalAdapter) socketio.Adapter { return waiting{l} }, &api.Options{Timeout: test.given})
				for _, c := range []struct{ method, path, body string }{
					{"GET", "/api/sockets?namespace=/", ""}, {"GET", "/api/rooms?namespace=/", ""}, {"GET", "/api/sockets/%2F/x", ""},
					{"POST", "/api/join", `{"namespace":"/","to":["r"],"rooms":["x"]}`}, {"POST", "/api/leave", `{"namespace":"/","to":["r"],"rooms":["x"]}`},
					{"POST", "/api/disconnect", `{"namespace":"/","to":["r"]}`},
				} {
					began := time.Now()
					if a := call(t, h, c.method, c.path, full, c.body); a.Code != 503 || time.Since(began) != test.want {
						t.Errorf("%s: %d after %v", c.path, a.Code, time.Since(began))
					}
				}
			})
		})
	}
}

func TestHandler_SilentNode_IsNamed(t *testing.T) {
	for incomplete, away := range map[string]error{
		"gw2":     &socketio.PartialError{Op: "fetchSockets", Expected: 2, Received: 1, Missing: []string{"gw2"}},
		"1 of 2":  &socketio.PartialError{Op: "fetchSockets", Expected: 2, Received: 1},
		"unknown": errors.New("canary"),
	} {
		srv, h := servedBy(t, func(l *socketio.LocalAdapter) socketio.Adapter { return silentNode{l, away} }, &api.Options{})
		c := srv.Connect("/", nil)
		for path, status := range map[string]int{"sockets?namespace=/": 200, "rooms?namespace=/": 200, "sockets/%2F/" + c.ID: 200, "sockets/%2F/elsewhere": 503} {
			a := call(t, h, "GET", "/api/"+path, full, "")
			if a.Code != status || strings.HasSuffix(path, "=/") && !strings.Contains(a.Body.String(), `"incomplete":["`+incomplete+`"]`) {
				t.Errorf("%s: %d %s", path, a.Code, a.Body)
			}
		}
	}
}
