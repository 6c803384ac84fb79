package contract_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/contract"
	"posthouse/socketio/sockettest"
)

// valid is a Node that fits, with a change.
func valid(change func(m map[string]any)) map[string]any {
	m := map[string]any{
		"id": "1", "created": "2026-01-02T03:04:05.000Z", "name": "a", "kind": "file", "next": nil, "size": 1,
		"children": []any{}, "x-tags": []string{"x"}, "icon": []byte("abc"), "labels": map[string]int{"a": 1},
		"big": "9007199254740993", "extra": map[string]any{"any": []byte("thing")}, "point": map[string]int{"X": 1, "Y": -1},
	}
	if change != nil {
		change(m)
	}
	return m
}

func set(name string, v any) map[string]any {
	return valid(func(m map[string]any) { m[name] = v })
}

func without(name string) map[string]any {
	return valid(func(m map[string]any) { delete(m, name) })
}

func TestCheck_SaysWhichField(t *testing.T) {
	io := sockettest.NewServer(t, nil)
	ns := io.Of("/tree")
	handled := 0
	socketio.Handle(ns, "save", func(_ context.Context, n Node) (Saved, error) {
		handled++
		return Saved{ID: n.ID}, nil
	})
	socketio.Handle(ns, "find", func(context.Context, *Saved) (int, error) { return 1, nil })
	socketio.Handle(ns, "count", func(context.Context, struct{}) (int, error) { return 2, nil })
	socketio.Handle(ns, "list", func(_ context.Context, in [][]Saved) (int, error) { return len(in), nil })
	socketio.Handle(ns, "map", func(_ context.Context, in map[string]Saved) (int, error) { return len(in), nil })
	contract.Accepts[contract.Args2[string, []byte], int](ns, "put")
	ns.OnEvent("put", func(e *socketio.Event) { _ = e.Ack(3) })
	ns.OnEvent("undeclared", func(e *socketio.Event) { _ = e.Ack(4) })
	if err := contract.Check(ns, nil); err != nil {
		t.Fatal(err)
	}
	c := io.Connect("/tree", nil)
	for _, test := range []struct {
		name  string
		event string
		args  []any
		field string // with the problem; "" for an event that passes
	}{
		{"everything", "save", []any{valid(nil)}, ""},
		{"a child", "save", []any{set("children", []any{valid(nil)})}, ""},
		{"no optional fields", "save", []any{without("kind")}, ""},
		{"null for an optional field", "save", []any{set("kind", nil)}, ""},
		{"null for a nullable field", "save", []any{set("x-tags", nil)}, ""},
		{"an object for a nullable field", "save", []any{set("next", valid(nil))}, ""},
		{"one field is missing", "save", []any{without("name")}, "name: is missing"},
		{"a nullable field is missing", "save", []any{without("next")}, "next: is missing"},
		{"null for a field", "save", []any{set("name", nil)}, "name: expected string"},
		{"unknown", "save", []any{set("more", 1)}, "more: is unknown"},
		{"a number for a text", "save", []any{set("name", 1)}, "name: expected string"},
		{"an object for a text", "save", []any{set("name", valid(nil))}, "name: expected string"},
		{"a text for an object", "save", []any{"text"}, ": expected object"},
		{"too long", "save", []any{set("name", strings.Repeat("a", 21))}, "name: expected length <= 20"},
		{"as long as it may be, in characters", "save", []any{set("id", strings.Repeat("é", 36))}, ""},
		{"too short", "save", []any{set("id", "")}, "id: expected length >= 1"},
		{"a pattern", "save", []any{set("name", "A")}, "name: expected string to match pattern ^[a-z]+$"},
		{"an enum", "save", []any{set("kind", "link")}, "kind: expected value to be one of \"file, folder\""},
		{"a time", "save", []any{set("created", "now")}, "created: expected string to be RFC 3339 date-time"},
		{"below the minimum", "save", []any{set("size", -1)}, "size: expected number >= 0"},
		{"beyond its bits", "save", []any{set("size", 1<<31)}, "size: expected number <= 2.147483647e+09"},
		{"a fraction", "save", []any{set("size", 1.5)}, "size: expected integer"},
		{"an exclusive minimum", "save", []any{set("ratio", 0)}, "ratio: expected number > 0"},
		{"a number where the tag says string", "save", []any{set("big", 1)}, "big: expected string"},
		{"a whole number with a fraction", "save", []any{set("size", json.RawMessage("1.0"))}, "size: expected integer"},
		{"a text where the tag says string", "save", []any{set("big", "many")}, "big: expected string to match pattern ^-?(0|[1-9][0-9]*)$"},
		{"a parser's words", "save", []any{set("home", "%zz"+strings.Repeat("z", 9000))}, "home: expected string to be RFC 3986 uri"},
		{"deep", "save", []any{set("children", []any{valid(nil), set("children", []any{without("size")})})}, "children[1].children[0].size: is missing"},
		{"behind a pointer", "save", []any{set("parent", set("size", "1"))}, "parent.size: expected integer"},
		{"in a struct without a name", "save", []any{set("point", map[string]any{"X": 1, "Y": 128})}, "point.Y: expected number <= 127"},
		{"in a map", "save", []any{set("labels", map[string]any{"a": "b"})}, "labels.a: expected integer"},
		{"too many items", "save", []any{set("children", []any{valid(nil), valid(nil), valid(nil), valid(nil)})}, "children: expected at most 3 items"},
		{"too few items", "save", []any{set("x-tags", []any{})}, "x-tags: expected at least 1 items"},
		{"an item twice", "save", []any{set("x-tags", []any{"a", "a"})}, "x-tags: expected unique items"},
		{"binary too long", "save", []any{set("icon", []byte("abcde"))}, "icon: expected at most 4 bytes"},
		{"a text for binary", "save", []any{set("icon", "YWJj")}, "icon: expected binary"},
		{"binary for a text", "save", []any{set("name", []byte("abc"))}, "name: expected string, not binary"},
		{"binary for an object", "save", []any{[]byte("abc")}, ": expected object, not binary"},
		{"an object that looks binary", "save", []any{valid(func(m map[string]any) {
			delete(m, "extra")
			m["icon"] = json.RawMessage(`{"_placeholder":true,"num":0}`)
		})}, "icon: expected binary"},
		{"case of a name", "save", []any{valid(func(m map[string]any) { delete(m, "name"); m["NAME"] = "B" })}, "NAME: expected string to match pattern ^[a-z]+$"},
		{"a name with a quote", "save", []any{set(`a"b`, 1)}, `a"b: is unknown`},
		{"no argument", "save", nil, ": 0 arguments given, 1 wanted"},
		{"an argument more", "save", []any{valid(nil), 1}, ""},
		{"no optional argument", "find", nil, ""},
		{"null for it", "find", []any{nil}, ""},
		{"an optional argument", "find", []any{map[string]any{"id": "1", "count": nil}}, ""},
		{"a wrong one", "find", []any{map[string]any{"id": 1, "count": nil}}, "id: expected string"},
		{"a list of lists", "list", []any{[]any{[]any{}, []any{map[string]any{"id": "1", "count": "x"}}}}, "[1][0].count: expected integer"},
		{"a map at the top", "map", []any{map[string]any{"k": map[string]any{"id": "1"}}}, "k.count: is missing"},
		{"two arguments", "put", []any{"a", []byte{1}}, ""},
		{"the second of two", "put", []any{"a", 1}, "[1]: expected binary"},
		{"one of two", "put", []any{"a"}, ": 1 arguments given, 2 wanted"},
		{"an event without a declaration", "undeclared", []any{valid(nil)}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := handled
			var got struct {
				Error struct{ Code, Message, Field string }
			}
			answer := c.Call(test.event, test.args...).JSON(0)
			_ = json.Unmarshal([]byte(answer), &got) // an answer that is a number leaves it empty
			if test.field == "" {
				if got.Error.Code != "" {
					t.Errorf("refused: %+v", got.Error)
				}
				return
			}
			want, problem, _ := strings.Cut(test.field, ": ")
			if got.Error.Code != "bad_request" || got.Error.Field != want || strings.TrimPrefix(got.Error.Message, want+": ") != problem {
				t.Errorf("answer %s, want %q", answer, test.field)
			}
			if handled != before {
				t.Error("the handler was called")
			}
		})
	}
}

func TestCheck_AllowUnknownFields(t *testing.T) {
	io := sockettest.NewServer(t, nil)
	socketio.Handle(io, "say", func(_ context.Context, in struct {
		Text string `json:"text" maxLength:"3"`
	}) (string, error) {
		return in.Text, nil
	})
	if err := contract.Check(io, &contract.CheckOptions{AllowUnknownFields: true}); err != nil {
		t.Fatal(err)
	}
	c := io.Connect("/", nil)
	if got := c.Call("say", map[string]any{"text": "hi", "later": 1}).String(); got != `["hi"]` {
		t.Errorf("answer %s", got)
	}
	// encoding/json would store this one in text.
	if got := c.Call("say", json.RawMessage(`{"text":"hi","TEXT":"long one"}`)).String(); !strings.Contains(got, `"field":"TEXT"`) {
		t.Errorf("answer %s", got)
	}
}

func TestCheck_TellsOnError(t *testing.T) {
	io := sockettest.NewServer(t, nil)
	contract.Accepts[int, contract.None](io, "n")
	if err := contract.Check(io, nil); err != nil {
		t.Fatal(err)
	}
	io.OnConnection(func(s *socketio.Socket) {
		s.OnError(func(err error) {
			if field, ok := errors.AsType[*contract.FieldError](err); ok {
				_ = s.Emit("seen", field.Event, field.Field, field.Problem, field.Error()) // the client is there
			}
		})
	})
	c := io.Connect("/", nil)
	c.Emit("n", "text")
	if got, want := c.Expect("seen").Args.String(), `["n","","expected integer","contract: event \"n\": expected integer"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A field that a client names may be as long as a message; the answer repeats little of it.
func TestCheck_LongNamesAreCut(t *testing.T) {
	io := sockettest.NewServer(t, nil)
	contract.Accepts[map[string]map[string]int, int](io, "m")
	if err := contract.Check(io, nil); err != nil {
		t.Fatal(err)
	}
	c := io.Connect("/", nil)
	answer := c.Call("m", map[string]any{strings.Repeat("é", 5000): map[string]any{"a": "b"}}).String()
	if len(answer) > 1000 || !strings.Contains(answer, "…") {
		t.Errorf("answer of %d bytes: %.100s", len(answer), answer)
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, checked := range []bool{false, true} {
		b.Run(map[bool]string{false: "off", true: "on"}[checked], func(b *testing.B) {
			io := sockettest.NewServer(b, nil)
			ns := io.Of("/tree")
			socketio.Handle(ns, "save", func(context.Context, Node) (int, error) { return 1, nil })
			if checked {
				if err := contract.Check(ns, nil); err != nil {
					b.Fatal(err)
				}
			}
			c := io.Connect("/tree", nil)
			node := valid(nil)
			b.ReportAllocs()
			for b.Loop() {
				c.Call("save", node)
			}
		})
	}
}
