package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"posthouse/socketio/api"
)

// Both routes read JSON alike: what one refuses, the other does, and with the same status.
func TestHandler_EmitAndBatch_ReadJSONAlike(t *testing.T) {
	srv, h := served(t, &api.Options{})
	c := srv.Connect("/app", nil)
	args := func(text string) string { return `{"namespace":"/app","event":"x","args":[` + text + `]}` }
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, test := range []struct {
		name, body string
		status     int
		location   string
		got        string // what the client gets, when the status is 200
	}{
		{"a number that no float64 holds", args(`1e999`), 422, "body", ""},
		{"such a number inside", args(`{"a":[-2e308]}`), 422, "body", ""},
		{"a large number", args(`1e308`), 200, "", `[1e308]`},
		{"such a number as text", args(`"1e999"`), 200, "", `["1e999"]`},
		{"NaN", args(`NaN`), 400, "body", ""},
		{"invalid UTF-8", args("\"\xff\""), 400, "body", ""},
		{"a lone surrogate, escaped", args(`"\ud800"`), 200, "", "[\"\ufffd\"]"},
		{"nested as deep as nodes take it", `{"to":["none"],` + args(nested(500))[1:], 200, "", ""},
		{"nested deeper", args(nested(501)), 400, "body", ""},
		{"text behind the value", args(`1`) + `{}`, 400, "body", ""},
		{"a comma too many", args(`1,`), 400, "body", ""},
		{"a byte order mark", "\ufeff" + args(`1`), 400, "body", ""},
		{"white space", "\n{ \"namespace\" : \"/app\" , \"event\" : \"x\" , \"args\" : [ 1 , { \"a\" : \" b \" } ] } ", 200, "", `[1,{"a":" b "}]`},
		{"the last of two fields counts", `{"namespace":"/none","namespace":"/app","event":"y","event":"x","args":[1],"args":[2]}`, 200, "", `[2]`},
		{"the last of two fields is wrong", `{"namespace":"/app","event":"x","event":1}`, 422, "body.event", ""},
		{"a field's name in another case", `{"namespace":"/app","Event":"x"}`, 200, "", "[]"},
		{"two keys alike in an argument", args(`{"a":1,"a":2}`), 200, "", `[{"a":1,"a":2}]`},
		{"no object", `7`, 422, "body", ""},
		{"nothing", ``, 400, "body", ""},
	} {
		alone := call(t, h, "POST", "/api/emit", full, test.body)
		if alone.Code != test.status || test.location != "" && (len(alone.problem.Errors) == 0 || alone.problem.Errors[0].Location != test.location) {
			t.Errorf("%s: emit answers %d %.300s", test.name, alone.Code, alone.Body)
		}
		if test.got != "" {
			if got := c.Expect("x").Args.String(); got != test.got {
				t.Errorf("%s: emit sent %.100s", test.name, got)
			}
		}
		if test.body == "" {
			continue // an empty list
		}
		batch := call(t, h, "POST", "/api/batch", full, "["+test.body+"]")
		if test.status == 400 {
			if batch.Code != 400 {
				t.Errorf("%s: batch answers %d %.300s", test.name, batch.Code, batch.Body)
			}
			continue
		}
		var results []struct {
			Status int
			Errors []struct{ Location string }
		}
		if err := json.Unmarshal(batch.Body.Bytes(), &results); err != nil || batch.Code != 200 || len(results) != 1 {
			t.Errorf("%s: batch answers %d %.300s: %v", test.name, batch.Code, batch.Body, err)
			continue
		}
		if status := results[0].Status; status != map[int]int{200: 0, 422: 422}[test.status] || test.location != "" && (len(results[0].Errors) == 0 || results[0].Errors[0].Location != test.location) {
			t.Errorf("%s: batch answers %.300s", test.name, batch.Body)
		}
		if test.got != "" {
			if got := c.Expect("x").Args.String(); got != test.got {
				t.Errorf("%s: batch sent %.100s", test.name, got)
			}
		}
	}
	c.Quiet()
}
