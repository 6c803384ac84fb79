package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"posthouse/socketio/api"
)

func TestParseKeys_RefusesWithTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "there is none",
		"# only a comment\n":                 "there is none",
		"short\n":                            "line 1: a key has 16",
		"0123456789abcde":                    "line 1: a key has 16",
		full + "\n\n" + full:                 "line 3: the key is there already",
		full + " scopes=emit,write":          "line 1: write namespaces=",
		full + "\n" + reader + " scope=read": "line 2: write namespaces=",
		full + " namespaces=app":             "line 1: write namespaces=",
		full + " namespaces=":                "line 1: write namespaces=",
	} {
		_, err := api.ParseKeys(text)
		if !errors.Is(err, api.ErrKey) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "0123456789") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if keys, err := api.ParseKeys("0123456789abcdef"); err != nil || len(keys) != 1 {
		t.Errorf("16 characters: %v", err)
	}
	keys, err := api.ParseKeys(full + "\r\n" + reader + " namespaces=/a,/b scopes=read")
	if err != nil || len(keys) != 2 || strings.Contains(fmt.Sprintf("%v %+v %#v", keys, keys, keys), full) {
		t.Errorf("%v, %v", keys, err)
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(full + " namespaces=/app scopes=emit,read,manage\n")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := api.ParseKeys(text)
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%q: %d keys, %v", text, len(keys), err)
		}
	})
}
