package parser_test

import (
	"fmt"
	"reflect"
	"testing"

	"posthouse/socketio/parser"
)

type shared struct {
	Same   string `json:"same"`
	Hidden int    `json:"hidden"`
}

type Pointed struct {
	Far string `json:"far"`
}

func TestMembers_AreThoseOnTheWire(t *testing.T) {
	type outer struct {
		shared
		*Pointed
		Hidden  bool   `json:"hidden"` // of two names the outer one counts
		Number  int    `json:"number,string"`
		Empty   string `json:",omitempty"`
		Zero    int    `json:"zero,omitzero"`
		Skipped string `json:"-"`
		private int    //nolint:unused // it must not appear
	}
	var got []string
	for _, m := range parser.Members(reflect.TypeFor[outer]()) {
		got = append(got, fmt.Sprint(m.Name, " ", m.Field.Index, m.Field.Type, m.Optional, m.Quoted))
	}
	want := "[same [0 0] string false false far [1 0] string true false hidden [2] bool false false " +
		"number [3] int false true Empty [4] string true false zero [5] int true false]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
	if m := parser.Members(reflect.TypeFor[int]()); m != nil {
		t.Errorf("of an int: %v", m)
	}
}
