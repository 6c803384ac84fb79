package hook_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/hook"
	"posthouse/socketio/sockettest"
)

type backendFunc func(*http.Request) (*http.Response, error)

func (f backendFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// FuzzAnswer lets a back end answer an event with any text: the client gets one
// acknowledgement, whatever the answer holds.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `[]`, `null`, `{"ack":[1,{"$binary":"AQI="}]}`, `{"ack":[{"$binary":"!"}]}`, `{"join":["a"],"leave":["a"],"data":{"x":1}}`,
		`{"emit":[{"event":"x","to":["a"],"args":[1]}]}`, `{"emit":[{"event":"connect"}]}`, `{"emit":[{"namespace":"/nowhere","event":"x"}]}`,
		`{"emit":[{"event":"x","unknown":1}]}`, `{"error":{"code":"no"}}`, `{"ack":[1e999]}`, `{"ack":1}`, `{"join":[""]}`, `{"emit":[7]}`, "{\"ack\":[\"\xff\"]}",
	} {
		f.Add(uint8(0), []byte(s))
		f.Add(uint8(1), []byte(s))
	}
	silent := slog.New(slog.DiscardHandler)
	secrets, err := hook.ParseSecrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		backend := func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: []int{200, 400, 403, 204}[kind%4], Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body))}, nil
		}
		client, err := hook.New(&hook.Options{URL: "http://backend/", Secrets: secrets, Events: []string{"ask"}, Logger: silent, Transport: backendFunc(backend)})
		if err != nil {
			t.Fatal(err)
		}
		srv := sockettest.NewServer(t, &socketio.Options{Logger: silent})
		client.Attach(srv.Of("/app"))
		c := srv.Connect("/app", nil)
		c.Call("ask") // fails without its one acknowledgement
		if err := client.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
