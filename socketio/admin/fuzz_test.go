package admin

import (
	"encoding/json"
	"testing"

	"posthouse/socketio"
)

// FuzzDetail parts the data of a socket of any node: the page gets an object without the field
// that the nodes have for themselves, and what is left is left once more.
func FuzzDetail(f *testing.F) {
	for _, s := range []string{`{"user":"ana","_admin":{"clientId":"x","transport":"polling"}}`, `{"_admin":7}`, `{}`, `null`, `[1]`, `{"a":1e999}`, `{"_admin":{},"_admin":{"clientId":"y"}}`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rest, _ := splitDetail(b)
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(rest, &fields); err != nil || fields == nil {
			t.Fatalf("%s: %v", rest, err)
		}
		if _, there := fields[detailName]; there {
			t.Fatalf("the page gets the nodes' field: %s", rest)
		}
		again, d := splitDetail(rest)
		if string(again) != string(rest) || d != (detail{}) {
			t.Fatalf("%s became %s, %+v", rest, again, d)
		}
	})
}

// FuzzArguments shows the arguments of any event to the page: JSON of a bounded size, whatever
// a client sent.
func FuzzArguments(f *testing.F) {
	f.Add("chat", []byte(`["x",{"_placeholder":true,"num":0},1e400]`), []byte{1, 2})
	f.Add("\x00\"\xff", []byte(`[{"_placeholder":true,"num":7}]`), []byte{})
	f.Add("chat", []byte(`[[[[[[]]]]]]`), []byte("x"))
	f.Fuzz(func(t *testing.T, name string, list, attachment []byte) {
		var values []json.RawMessage
		if json.Unmarshal(list, &values) != nil {
			return // the decoder of packets has refused it
		}
		canonical, err := json.Marshal(values)
		if err != nil || len(canonical) < 2 || canonical[0] != '[' {
			return
		}
		args := socketio.ArgsOf(canonical, [][]byte{attachment})
		for _, hidden := range []bool{false, true} {
			text := eventArray(name, args, hidden)
			var shown []json.RawMessage
			if err := json.Unmarshal(text, &shown); err != nil || len(shown) == 0 {
				t.Fatalf("%s: %v", text, err)
			}
			if hidden && len(shown) != 1 {
				t.Fatalf("hidden arguments are shown: %s", text)
			}
			if len(text) > 16*maxArguments+6*len(name)+len(canonical) {
				t.Fatalf("%d bytes for %d", len(text), len(canonical))
			}
		}
	})
}
