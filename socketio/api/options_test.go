package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/api"
	"posthouse/socketio/parser"
)

// noting is an adapter that notes the options of broadcasts and fails as it is told.
type noting struct {
	*socketio.LocalAdapter
	options socketio.BroadcastOptions
	data    string // of the packet
	fail    error
	panics  bool
}

func (a *noting) Broadcast(_ context.Context, p *parser.Packet, o socketio.BroadcastOptions) error {
	if a.panics {
		panic("in the adapter")
	}
	a.options, a.data = o, string(p.Data)
	return a.fail
}

func (a *noting) BroadcastWithAck(_ context.Context, _ *parser.Packet, o socketio.BroadcastOptions) ([]socketio.Value, error) {
	a.options = o
	return nil, a.fail
}

func servedNoting(t *testing.T) (*noting, http.Handler) {
	t.Helper()
	var a *noting
	srv, h := servedBy(t, func(l *socketio.LocalAdapter) socketio.Adapter {
		if l.Namespace() != "/app" {
			return l
		}
		a = &noting{LocalAdapter: l}
		return a
	}, &api.Options{})
	srv.Of("/app")
	return a, h
}

func TestHandler_Emit_OptionsReachTheAdapter(t *testing.T) {
	a, h := servedNoting(t)
	type flags = socketio.BroadcastFlags
	for fields, want := range map[string]socketio.BroadcastOptions{
		``:                                     {},
		`,"to":["a","b"],"except":["c"]`:       {Rooms: []string{"a", "b"}, Except: []string{"c"}},
		`,"to":["\u0061"],"except":["\u0063"]`: {Rooms: []string{"a"}, Except: []string{"c"}},
		`,"volatile":true`:                     {Flags: flags{Volatile: true}},
		`,"volatile":false`:                    {},
		`,"volatile":true,"local":false`:       {Flags: flags{Volatile: true}},
		`,"local":true`:                        {Flags: flags{Local: true}},
		`,"compress":false`:                    {Flags: flags{NoCompress: true}},
		`,"compress":true`:                     {},
		`,"volatile":true,"compress":false,"to":["a"]`: {Rooms: []string{"a"}, Flags: flags{Volatile: true, NoCompress: true}},
	} {
		body := `{"namespace":"/app","event":"x"` + fields + `}`
		for path, text := range map[string]string{"/api/emit": body, "/api/batch": "[" + body + "]"} {
			a.options = socketio.BroadcastOptions{Rooms: []string{"none"}}
			if got := call(t, h, "POST", path, full, text); got.Code != 200 {
				t.Errorf("%s: %d %s", text, got.Code, got.Body)
			}
			if got := a.options; fmt.Sprintf("%v %v %+v", got.Rooms, got.Except, got.Flags) != fmt.Sprintf("%v %v %+v", want.Rooms, want.Except, want.Flags) {
				t.Errorf("%s: the adapter got %+v", text, got)
			}
		}
	}
}

// Arguments travel as Node writes them, without white space.
func TestHandler_Emit_ArgumentsAreCompact(t *testing.T) {
	a, h := servedNoting(t)
	body := `{"namespace":"/app", "event":"x", "args": [ 1 , {"a" : [ "b c" ]} ]}`
	for path, text := range map[string]string{"/api/emit": body, "/api/batch": "[" + body + "]"} {
		if got := call(t, h, "POST", path, full, text); got.Code != 200 || a.data != `["x",1,{"a":["b c"]}]` {
			t.Errorf("%s: %d, the packet holds %s", path, got.Code, a.data)
		}
	}
}

// The caller is told that other nodes did not take an event; the reason is for the log.
func TestHandler_Emit_AdapterFails(t *testing.T) {
	a, h := servedNoting(t)
	a.fail = errors.New("canary")
	for _, fields := range []string{``, `,"local":true`, `,"ack":{"timeout":1}`} {
		got := call(t, h, "POST", "/api/emit", full, `{"namespace":"/app","event":"x"`+fields+`}`)
		if got.Code != 503 || got.problem.Detail != "not all nodes could be reached" {
			t.Errorf("%s: %d %s", fields, got.Code, got.Body)
		}
	}
	a.fail = context.DeadlineExceeded
	if got := call(t, h, "POST", "/api/emit", full, `{"namespace":"/app","event":"x","ack":{"timeout":1}}`); got.Code != 200 {
		t.Errorf("no acknowledgement in time: %d %s", got.Code, got.Body)
	}
}
