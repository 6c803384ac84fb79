package contract_test

import (
	"strings"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/history"
	"posthouse/socketio/presence"
)

// A namespace that has rooms by rules, a history and presence has their events in its
// contract; one without has none of them.
func TestTypeScript_RoomsHistoryAndPresence(t *testing.T) {
	all := func(string) bool { return true }
	h, err := history.New(&history.Options{Rooms: all})
	if err != nil {
		t.Fatal(err)
	}
	p, err := presence.New(&presence.Options{Rooms: all, User: func(*socketio.Socket) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := access.New(&access.Options{Join: []string{"topic:*"}, History: h, Presence: p})
	if err != nil {
		t.Fatal(err)
	}
	ns := newNamespace()
	rules.Apply(ns)
	text := generate(t, ns)
	for _, want := range []string{
		"join: (arg: unknown, ack: (answer: JoinAnswer | ErrorAnswer) => void) => void;",
		"leave: (arg: string, ack: (answer: LeaveAnswer | ErrorAnswer) => void) => void;",
		"history: (arg: PageRequest, ack: (answer: Page | ErrorAnswer) => void) => void;",
		"presence: (arg: string, ack: (answer: List | ErrorAnswer) => void) => void;",
		"presence: (arg: Notice) => void;",
		"  joined: string[];",
		"  from: string | null;",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	plain, err := access.New(&access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bare := newNamespace()
	plain.Apply(bare)
	if types := bare.EventTypes(); len(types) > 0 {
		t.Errorf("without the features: %v", types)
	}
}
