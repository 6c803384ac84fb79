package api_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/api"
	"posthouse/socketio/sockettest"
)

// FuzzEmit sends any body to both ways of the API that take an emit, which read it with parsers
// of their own: they agree on what is good, each refusal is a problem with its status, and no
// body is a fault of the server.
func FuzzEmit(f *testing.F) {
	for _, s := range []string{
		`{"namespace":"/app","event":"x","to":["a"],"args":[1,"é",{"$binary":"AQI="}]}`, `{"namespace":"/app","event":"x","volatile":true}`,
		`{"namespace":"/app","event":"connect"}`, `{"namespace":"/nowhere","event":"x"}`, `{"event":"x"}`, `{"namespace":"/app","event":""}`,
		`{"namespace":"/app","event":"x","to":null}`, `{"namespace":"/app","event":"x","unknown":1}`, `{"namespace":"/app","event":"x","event":1}`,
		`{"namespace":"/app","event":"x","args":[{"$binary":"!"}]}`, `[]`, `null`, `7`, `{"namespace":"/app","event":"\ud800"}`, `{"namespace":"/app", "event":"x","args":[1e999]}`,
		"{\"namespace\":\"/app\",\"event\":\"x\",\"args\":[\"\xff\"]}", `{"namespace":"/app","event":1,"event":"x"}`, `{"namespace":"/app","event":"x"} {}`,
	} {
		f.Add([]byte(s))
	}
	keys, err := api.ParseKeys(full)
	if err != nil {
		f.Fatal(err)
	}
	silent := slog.New(slog.DiscardHandler)
	srv := sockettest.NewServer(f, &socketio.Options{Logger: silent})
	srv.Of("/app")
	h, err := api.New(srv.Server, &api.Options{Keys: keys, Logger: silent, RequestsPerSecond: -1})
	if err != nil {
		f.Fatal(err)
	}
	post := func(t *testing.T, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+full)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK, http.StatusNoContent:
		case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			var told struct{ Status int }
			if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil || told.Status != w.Code || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%s %s: %d %s", path, body, w.Code, w.Body)
			}
		default:
			t.Fatalf("%s %s: %d %s", path, body, w.Code, w.Body)
		}
		return w
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		alone := post(t, "/api/emit", string(body))
		if !json.Valid(body) {
			if alone.Code == http.StatusOK {
				t.Fatalf("%q is no JSON and was sent", body)
			}
			return
		}
		batch := post(t, "/api/batch", "["+string(body)+"]")
		if alone.Code == http.StatusBadRequest { // of a body that is not JSON nothing is done
			if batch.Code != alone.Code {
				t.Fatalf("%q: alone %d, in a batch %d %s", body, alone.Code, batch.Code, batch.Body)
			}
			return
		}
		var results []struct{ Status int }
		if batch.Code != http.StatusOK || json.Unmarshal(batch.Body.Bytes(), &results) != nil || len(results) != 1 {
			t.Fatalf("%q: the batch answers %d %s", body, batch.Code, batch.Body)
		}
		if good := alone.Code < 300; good != (results[0].Status == 0) || !good && results[0].Status != alone.Code {
			t.Fatalf("%q: alone %d %s, in a batch %s", body, alone.Code, alone.Body, batch.Body)
		}
	})
}
