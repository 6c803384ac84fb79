package gateway

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"posthouse/internal/login"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/contract"
)

var update = flag.Bool("update", false, "write the contract of /login anew")

// TestLoginContract_IsThatOfThePackage compares the declared events with the files that
// the npm package hands to front ends.
func TestLoginContract_IsThatOfThePackage(t *testing.T) {
	ns := socketio.NewServer(nil).Of("/login")
	declareLoginEvents(ns)
	var events, document bytes.Buffer
	if err := contract.TypeScript(&events, ns); err != nil {
		t.Fatal(err)
	}
	info := contract.Info{Title: "The /login namespace of Posthouse", Version: "1"}
	if err := contract.AsyncAPI(&document, info, ns); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"events.d.ts": events.Bytes(), "asyncapi.json": document.Bytes()} {
		path := filepath.Join(testenv.Root(), "examples", "login", "npm", name)
		if *update {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, text) {
			t.Errorf("%s is not what go generate ./gateway writes (%v)", path, err)
		}
	}
}

// enumOf returns the values that the tag of a field allows.
func enumOf[T any](t *testing.T, field string) []string {
	t.Helper()
	f, ok := reflect.TypeFor[T]().FieldByName(field)
	if !ok {
		t.Fatalf("no field %s", field)
	}
	return slices.Sorted(strings.SplitSeq(f.Tag.Get("enum"), ","))
}

func TestLoginContract_NamesEveryStateAndCode(t *testing.T) {
	states := []string{string(stateMoved)}
	for _, s := range []login.State{login.Waiting, login.Claimed, login.Done, login.Expired, login.Replaced, login.Cancelled, login.Denied} {
		states = append(states, string(s))
	}
	slices.Sort(states)
	if got := enumOf[stateAnswer](t, "State"); !slices.Equal(got, states) {
		t.Errorf("states %v, want %v", got, states)
	}
	if got, want := enumOf[failure](t, "Code"), slices.Sorted(maps.Keys(sentences)); !slices.Equal(got, want) {
		t.Errorf("codes %v, want %v", got, want)
	}
}
