package hook_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/hook"
)

// recorder notes the events that histories are offered.
type recorder struct {
	mu     sync.Mutex // guards what follows
	events []string
}

func (r *recorder) Record(e socketio.Recording) (*socketio.Recorded, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e.Event)
	return nil, nil
}

// Emits in the answers of a back end are kept in histories, unless they say otherwise.
func TestClient_Event_EmitsOfTheAnswer_AreKept(t *testing.T) {
	b := &backend{answer: func(*http.Request, request) (*http.Response, error) {
		return respond(200, `{"join":["room"],"emit":[{"to":["room"],"event":"kept"},{"to":["room"],"event":"left out","history":false},{"to":["room"],"event":"kept too","history":true}]}`), nil
	}}
	srv, _ := attached(t, b, &hook.Options{Events: []string{"*"}})
	kept := &recorder{}
	srv.Of("/app").KeepRecords(kept)
	c := srv.Connect("/app", nil)
	c.Emit("enter")
	c.Expect("kept too")
	kept.mu.Lock()
	defer kept.mu.Unlock()
	if !slices.Equal(kept.events, []string{"kept", "kept too"}) {
		t.Errorf("kept: %q", kept.events)
	}
}
