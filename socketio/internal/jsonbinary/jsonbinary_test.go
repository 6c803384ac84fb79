package jsonbinary_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"posthouse/socketio/internal/jsonbinary"
)

type obj = map[string]any

func TestEncode_BinaryAndItsLookalikes(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{[]byte("hi"), `{"$binary":"aGk="}`},
		{[]byte{}, `{"$binary":""}`},
		{obj{"a": []any{1.0, []byte{0xff}}}, `{"a":[1,{"$binary":"/w=="}]}`},
		{obj{"$binary": "aGk="}, `{"$object":{"$binary":"aGk="}}`},
		{obj{"$object": obj{"$binary": []byte("hi")}}, `{"$object":{"$object":{"$object":{"$binary":{"$binary":"aGk="}}}}}`},
		{obj{"$binary": "x", "b": 1.0}, `{"$binary":"x","b":1}`},
		{"$binary", `"$binary"`},
	} {
		// Encode may change the tree, so the value is compared with a copy.
		before, err := json.Marshal(c.value)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(jsonbinary.Encode(c.value))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v, want %s", before, got, err, c.want)
		}
	}
}

func TestDecode_RefusesWhatIsNoValue(t *testing.T) {
	for _, text := range []string{`{"$binary":1}`, `{"$binary":"*"}`, `{"$object":1}`, `{"$object":{"$object":[]}} x`, `[1`, ``, `{"a":{"$binary":null}}`} {
		if v, err := jsonbinary.Decode(json.RawMessage(text)); !errors.Is(err, jsonbinary.ErrFormat) {
			t.Errorf("%s: %v, %v", text, v, err)
		}
	}
	if v, err := jsonbinary.Decode(json.RawMessage(`{"a":[1,2]}`)); err != nil || string(v.(json.RawMessage)) != `{"a":[1,2]}` {
		t.Errorf("plain text is not passed on: %v, %v", v, err)
	}
	if list, err := jsonbinary.DecodeList([]json.RawMessage{[]byte(`1`), []byte(`{"$binary":"aGk="}`)}); err != nil || string(list[1].([]byte)) != "hi" {
		t.Errorf("%v, %v", list, err)
	}
}

func TestDecodeCheckedList_RefusesWhatNoReaderUnderstands(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for text, good := range map[string]bool{
		`1e999`: false, `{"a":[-1e400]}`: false, `1e308`: true, `"1e999"`: true, "\"\xff\"": false, `"é"`: true, `"\ud800"`: true,
		`{"$binary":"aGk=","n":1e999}`: false, deep(500): true, deep(501): false, `1 2`: false, ``: false, `NaN`: false, `{"a":1,"a":2}`: true,
	} {
		if _, err := jsonbinary.DecodeCheckedList([]json.RawMessage{[]byte(text)}); (err == nil) != good || err != nil && !errors.Is(err, jsonbinary.ErrFormat) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	// A history gives again each value that it has kept.
	if _, err := jsonbinary.DecodeList([]json.RawMessage{[]byte(`1e999`), []byte(deep(501))}); err != nil {
		t.Error(err)
	}
}

// Encode's text for any tree is decoded to the same tree, whatever way its keys are
// spelt.
func FuzzDecode_IsTheInverseOfEncode(f *testing.F) {
	for _, seed := range []string{`{"$binary":"aGk="}`, `{"$object":{"$object":{}}}`, `[{"\u0024binary":"aGk="}]`, `{"a":"$b"}`, `1e400`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := jsonbinary.Decode(text)
		if err != nil {
			return
		}
		if raw, ok := v.(json.RawMessage); ok && json.Unmarshal(raw, &v) != nil {
			return // a number out of range
		}
		encoded, err := json.Marshal(jsonbinary.Encode(clone(v)))
		if err != nil {
			t.Fatal(err)
		}
		back, err := jsonbinary.Decode(encoded)
		if err != nil {
			t.Fatalf("%s: %v", encoded, err)
		}
		if raw, ok := back.(json.RawMessage); ok {
			if err := json.Unmarshal(raw, &back); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(floats(v), floats(back)) {
			t.Errorf("%#v became %s, then %#v", v, encoded, back)
		}
	})
}

func clone(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = clone(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = clone(v[k])
		}
		return out
	}
	return v
}

// floats makes numbers comparable: both ways of decoding may be used for one tree.
func floats(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = floats(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = floats(v[k])
		}
	}
	return v
}
