package contract

import (
	"errors"
	"reflect"
	"regexp"
	"testing"

	"posthouse/internal/jsontext"
	"posthouse/socketio/parser"
)

// payload has no text that a type of its own reads, and no time: those can still refuse
// what their schema, which is a string, allows.
type payload struct {
	Text   string             `json:"text" maxLength:"9"`
	Small  int8               `json:"small,omitempty"`
	Flag   *bool              `json:"flag"`
	Quoted uint16             `json:"quoted,string,omitempty"`
	Ratio  float64            `json:"ratio,omitempty"`
	File   []byte             `json:"file,omitempty" maxLength:"3"`
	List   []payload          `json:"list,omitempty" maxItems:"2"`
	Map    map[string]payload `json:"map,omitempty"`
	Any    any                `json:"any,omitempty"`
	Inline struct {
		N int `json:"n" minimum:"1"`
	} `json:"inline,omitempty"`
}

// longNumber finds numbers that may be beyond the bits of a member, which 64 bits and texts do
// not say in their schemas.
var longNumber = regexp.MustCompile(`[0-9]{5}`)

// FuzzCheck looks for JSON that the check lets pass and Bind refuses, and for panics.
func FuzzCheck(f *testing.F) {
	s := newSchemas()
	schema, err := s.of(reflect.TypeFor[payload](), "payload")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		`{"text":"a","flag":null}`, `{"text":"a","flag":true,"small":-1,"quoted":"7","ratio":1e3,"list":[{"text":"","flag":null}]}`,
		`{"TEXT":"a","flag":false,"map":{"a":{"text":"b","flag":null}},"any":[{}],"inline":{"n":1}}`,
		`{"text":"a","flag":null,"file":{"_placeholder":true,"num":0}}`, `{"te\u0078t":"\ud83d\ude00","flag":null}`, `[]`, `null`,
		`{"text":"a","flag":null,"any":{"_placeholder":true,"num":1}}`, `{"text":{"_placeholder":true,"num":0},"flag":null}`,
	} {
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, allowUnknown bool) {
		if _, err := jsontext.Check(text, 32); err != nil {
			return
		}
		raw := jsontext.AppendCompact(nil, text)
		attachments := [][]byte{{1}, {1, 2, 3, 4}}
		w := walk{checker: &checker{schemas: s, allowUnknown: allowUnknown}, attachments: attachments}
		problem := w.value(schema, raw)
		if field := w.field(); len(field) > maxFieldName+len("…") {
			t.Errorf("a field of %d bytes", len(field))
		}
		var dst payload
		if err := parser.Bind(raw, attachments, &dst); err != nil && problem == "" && !longNumber.Match(raw) {
			t.Errorf("%s passes, and Bind says %v (%v)", raw, err, errors.Is(err, parser.ErrBinary))
		}
	})
}
