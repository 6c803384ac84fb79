package history

import (
	"bytes"
	"encoding/json"
	"testing"

	"posthouse/socketio"
)

// FuzzEntry reads what a store holds, which any writer of Redis may have put there. What is
// accepted keeps its content when it is written and read again, and clients can get it
// unless a binary value is none.
func FuzzEntry(f *testing.F) {
	for _, s := range []string{`{"e":"chat","a":["x",1,{"$binary":"AQI="}],"f":"ana"}`, `{"e":"chat"}`, `{"e":"","a":[]}`, `{"e":"x","a":[{"$binary":"!"}]}`, `{"e":"x","a":null,"f":null}`, `[]`, `{"e":"x","a":[{"$literal":{"$binary":1}}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(Item{ID: socketio.RecordID{Millis: 1, Sequence: 2}, Entry: b})
		if err != nil {
			return
		}
		if e.Event == "" || e.Args == nil {
			t.Fatalf("accepted %+v", e)
		}
		first, err := json.Marshal(kept{Event: e.Event, Args: e.Args, From: e.From})
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeEntry(Item{Entry: first})
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		second, err := json.Marshal(kept{Event: again.Event, Args: again.Args, From: again.From})
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%s\n%s\n%v", first, second, err)
		}
		page := Page{Events: []Event{e}}
		if list, err := page.ForClient(); err == nil {
			if len(list) != 1 || len(list[0].(clientEvent).Args) != len(e.Args) {
				t.Fatalf("a client gets %v", list)
			}
		}
	})
}

// FuzzCursor reads the place in a history that a client names.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{"1795346453668-0", "0-0", "0-1", "5-", "x", "18446744073709551615-18446744073709551615", "-1-1", "1-1 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := socketio.ParseRecordID(s)
		if !ok {
			if id != (socketio.RecordID{}) {
				t.Fatalf("%q is refused as %v", s, id)
			}
			return
		}
		if again, ok := socketio.ParseRecordID(id.String()); !ok || again != id {
			t.Fatalf("%q: %v is read as %v", s, id, again)
		}
		if id == (socketio.RecordID{}) {
			return // nothing comes before
		}
		if before := preceding(id); before.Compare(id) >= 0 {
			t.Fatalf("%v comes before %v", before, id)
		}
	})
}
