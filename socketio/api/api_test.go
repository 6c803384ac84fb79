package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"posthouse/socketio"
	"posthouse/socketio/api"
	"posthouse/socketio/history"
	"posthouse/socketio/sockettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	full   = "full-key-0123456789"
	reader = "read-key-0123456789"
	app    = "app-key-01234567890"
)

var user = socketio.NewKey[string]("sub")

// served is a server with the namespaces /app and /team/7, and its API.
func served(t *testing.T, o *api.Options) (*sockettest.Server, http.Handler) {
	t.Helper()
	keys, err := api.ParseKeys(full + "\n" + reader + " scopes=read\n# a comment\n\n" + app + " namespaces=/app scopes=emit,manage\n")
	if err != nil {
		t.Fatal(err)
	}
	o.Keys, o.Logger = keys, slog.New(slog.DiscardHandler)
	srv := sockettest.NewServer(t, &socketio.Options{Logger: o.Logger})
	// A middleware, so that all of it is done when the client is connected.
	srv.Of("/app").Use(func(_ context.Context, s *socketio.Socket) error {
		var in struct{ User, Room string }
		_ = s.Auth(&in)
		if in.User != "" {
			user.Set(s, in.User)
		}
		if in.Room != "" {
			return s.Join(in.Room)
		}
		return nil
	})
	srv.Of("/team/7")
	h, err := api.New(srv.Server, o)
	if err != nil {
		t.Fatal(err)
	}
	return srv, h
}

// servedBy is a server with an adapter of the test's own, and its API.
func servedBy(t *testing.T, newAdapter func(*socketio.LocalAdapter) socketio.Adapter, o *api.Options) (*sockettest.Server, http.Handler) {
	t.Helper()
	keys, err := api.ParseKeys(full)
	if err != nil {
		t.Fatal(err)
	}
	o.Keys, o.Logger = keys, slog.New(slog.DiscardHandler)
	srv := sockettest.NewServer(t, &socketio.Options{Logger: o.Logger, NewAdapter: func(l *socketio.LocalAdapter) (socketio.Adapter, error) { return newAdapter(l), nil }})
	h, err := api.New(srv.Server, o)
	if err != nil {
		t.Fatal(err)
	}
	return srv, h
}

type obj = map[string]any

type answer struct {
	*httptest.ResponseRecorder
	problem struct {
		Title, Detail string
		Status        int
		Errors        []struct{ Location, Message string }
	}
}

func call(t *testing.T, h http.Handler, method, path, key, body string, header ...string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a := answer{ResponseRecorder: httptest.NewRecorder()}
	h.ServeHTTP(a.ResponseRecorder, r)
	if strings.HasPrefix(a.Header().Get("Content-Type"), "application/problem+json") {
		if err := json.Unmarshal(a.Body.Bytes(), &a.problem); err != nil || a.problem.Status != a.Code {
			t.Errorf("%s %s: problem %s, %v", method, path, a.Body, err)
		}
	} else if a.Code >= 400 && method != "HEAD" {
		t.Errorf("%s %s: %d is no problem+json: %s", method, path, a.Code, a.Body)
	} else if kind := a.Header().Get("Content-Type"); a.Code == 200 && kind != "application/json" && !strings.HasSuffix(path, "/") && !strings.HasSuffix(path, "openapi.json") {
		t.Errorf("%s %s: Content-Type %q", method, path, kind)
	}
	if strings.Contains(a.Body.String(), "key-0123456") {
		t.Errorf("%s %s: the answer holds a key: %s", method, path, a.Body)
	}
	return a
}

// refusingBody fails the test when it is read.
type refusingBody struct{ t *testing.T }

func (b refusingBody) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, io.EOF
}

func TestHandler_Keys_AreJudgedBeforeTheBody(t *testing.T) {
	_, h := served(t, &api.Options{})
	for _, test := range []struct {
		header, path string
		status       int
	}{
		{"", "/api/emit", 401},
		{"Bearer ", "/api/emit", 401},
		{"Bearer wrong-key-0123456789", "/api/emit", 401},
		{"Basic " + full, "/api/emit", 401},
		{"Bearer " + full + "x", "/api/emit", 401},
		{"Bearer " + reader, "/api/emit", 403},
		{"Bearer " + reader, "/api/disconnect", 403},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", test.path, refusingBody{t})
		r.Header.Set("Authorization", test.header)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.status || w.Header().Get("Content-Type") != "application/problem+json" || (w.Header().Get("WWW-Authenticate") != "") != (test.status == 401) {
			t.Errorf("%q %s: %d %v", test.header, test.path, w.Code, w.Header())
		}
	}
	if a := call(t, h, "GET", "/api/sockets?namespace=/app", app, ""); a.Code != 403 {
		t.Errorf("a key without the scope read: %d", a.Code)
	}
	if a := call(t, h, "POST", "/api/emit", app, `{"namespace":"/team/7","event":"x"}`); a.Code != 403 || a.problem.Errors[0].Location != "body.namespace" {
		t.Errorf("a namespace beyond the key: %d %s", a.Code, a.Body)
	}
	if a := call(t, h, "POST", "/api/emit", app, `{"namespace":"/app","event":"x"}`, "Authorization", "bearer "+app); a.Code != 200 || a.Body.String() != "{}\n" {
		t.Errorf("%d %s", a.Code, a.Body)
	}
}

func TestHandler_Emit_ReachesItsClients(t *testing.T) {
	srv, h := served(t, &api.Options{})
	a, b, c := srv.Connect("/app", obj{"room": "r"}), srv.Connect("/app", obj{"room": "r"}), srv.Connect("/app", obj{"room": "other"})
	send := func(body string) {
		t.Helper()
		if got := call(t, h, "POST", "/api/emit", full, body); got.Code != 200 || got.Body.String() != "{}\n" {
			t.Errorf("%s: %d %s", body, got.Code, got.Body)
		}
	}
	send(`{"namespace":"/app","event":"all","args":[1,"two",{"three":[null]}],"compress":false,"local":true}`)
	for _, client := range []*sockettest.Client{a, b, c} {
		if got := client.Expect("all").Args.String(); got != `[1,"two",{"three":[null]}]` {
			t.Errorf("args %s", got)
		}
	}
	send(`{"namespace":"/app","to":["r"],"except":["` + b.ID + `"],"event":"some"}`)
	a.Expect("some")
	send(`{"namespace":"/app","to":["none"],"event":"may get lost","volatile":true}`)
	send(`{"namespace":"/app","to":["` + c.ID + `"],"event":"bin","args":[{"$binary":"AQI="},{"$object":{"$binary":"x"}}]}`)
	m := c.Expect("bin")
	if len(m.Args.Attachments) != 1 || string(m.Args.Attachments[0]) != "\x01\x02" || m.Args.JSON(1) != `{"$binary":"x"}` {
		t.Errorf("%s %q", m.Args, m.Args.Attachments)
	}
	a.Quiet()
	b.Quiet()
}

func TestHandler_Emit_WithAcknowledgements(t *testing.T) {
	srv, h := served(t, &api.Options{})
	clients := []*sockettest.Client{srv.Connect("/app", nil), srv.Connect("/app", nil)}
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() { c.Expect("ask").Ack([]byte{byte(i + 1)}, "more") })
	}
	got := call(t, h, "POST", "/api/emit", full, `{"namespace":"/app","event":"ask","ack":{"timeout":10}}`)
	all.Wait()
	text := strings.TrimSpace(got.Body.String())
	if got.Code != 200 || text != `{"acks":[{"$binary":"AQ=="},{"$binary":"Ag=="}],"expected":2,"received":2}` && text != `{"acks":[{"$binary":"Ag=="},{"$binary":"AQ=="}],"expected":2,"received":2}` {
		t.Errorf("%d %s", got.Code, text)
	}
	all.Go(func() { clients[0].Expect("slow").Ack("here") })
	got = call(t, h, "POST", "/api/emit", full, `{"namespace":"/app","event":"slow","ack":{"timeout":0.3}}`)
	all.Wait()
	if text := strings.TrimSpace(got.Body.String()); got.Code != 200 || text != `{"acks":["here"],"expected":2,"received":1}` {
		t.Errorf("incomplete: %d %s", got.Code, text)
	}
	got = call(t, h, "POST", "/api/emit", full, `{"namespace":"/app","to":["empty"],"event":"ask","ack":{"timeout":1}}`)
	if text := strings.TrimSpace(got.Body.String()); text != `{"acks":[],"expected":0,"received":0}` {
		t.Errorf("nobody asked: %s", text)
	}
}

func TestHandler_Refusals_NameTheField(t *testing.T) {
	srv, h := served(t, &api.Options{})
	kept, err := history.New(&history.Options{Rooms: func(room string) bool { return strings.HasPrefix(room, "kept") }})
	if err != nil {
		t.Fatal(err)
	}
	kept.Apply(srv.Of("/app"))
	var many []string // histories for one event
	for i := range 101 {
		many = append(many, fmt.Sprintf(`"kept%d"`, i))
	}
	c := srv.Connect("/app", nil)
	for _, test := range []struct {
		path, body string
		status     int
		location   string
	}{
		{"emit", `{"namespace":"/app"}`, 422, "body"},
		{"emit", `{"namespace":"/app","event":""}`, 422, "body.event"},
		{"emit", `{"namespace":"/app","event":"x","evnt":1}`, 422, "body.evnt"},
		{"emit", `{"namespace":"/app","event":"x","to":"r"}`, 422, "body.to"},
		{"emit", `{"namespace":"/app","event":"x","args":{"a":1}}`, 422, "body.args"},
		{"emit", `{"namespace":"/app","event":"x","args":[{"$binary":1}]}`, 422, "body.args"},
		{"emit", `{"namespace":"/app","event":"x","ack":{"timeout":0}}`, 422, "body.ack.timeout"},
		{"emit", `{"namespace":"/app","event":"x","ack":{"timeout":61}}`, 422, "body.ack.timeout"},
		{"emit", `{"namespace":"/app","event":"x","history":true}`, 422, "body.history"},
		{"emit", `{"namespace":"/app","event":"x","to":[` + strings.Join(many, ",") + `]}`, 422, "body.to"},
		{"emit", `{"namespace":"/app","event":"x","to":[` + strings.Join(many, ",") + `],"history":false}`, 200, ""},
		{"emit", `{"namespace":"/app","event":"disconnect"}`, 422, "body.event"},
		{"emit", `{"namespace":"/none","event":"x"}`, 404, "body.namespace"},
		{"emit", `{"namespace":"/none","event":"x","local":true}`, 404, "body.namespace"},
		{"emit", `{"namespace":"/app","to":["kept1"],"event":"x","history":true}`, 200, ""},
		{"emit", `{"namespace":"/app","to":["x","kept1"],"event":"x","history":true}`, 200, ""},
		{"emit", `{"namespace":"/app","to":["x"],"event":"x","history":true}`, 422, "body.history"},
		{"emit", `{"namespace":"/app","to":["kept1"],"event":"x","history":true,"volatile":true}`, 422, "body.history"},
		{"emit", `{"namespace":"/app","to":["kept1"],"event":"x","history":true,"local":true}`, 422, "body.history"},
		{"emit", `{"namespace":"/app","to":["kept1"],"event":"x","history":true,"ack":{"timeout":1}}`, 422, "body.history"},
		{"emit", `{"namespace":"/team/7","to":["kept1"],"event":"x","history":true}`, 422, "body.history"},
		{"emit", `{"namespace":"/app","event":`, 400, "body"},
		{"join", `{"namespace":"/app","to":["r"]}`, 422, "body"},
		{"join", `{"namespace":"/app","to":[],"rooms":["r"]}`, 422, "body.to"},
		{"disconnect", `{"namespace":"/app"}`, 422, "body"},
		{"emit", `{"namespace":"/app","event":"` + strings.Repeat("x", 1<<20) + `"}`, 413, ""},
	} {
		a := call(t, h, "POST", "/api/"+test.path, full, test.body)
		if a.Code != test.status || test.location != "" && (len(a.problem.Errors) == 0 || a.problem.Errors[0].Location != test.location) {
			t.Errorf("%s %.80s: %d %.300s", test.path, test.body, a.Code, a.Body)
		}
	}
	for _, path := range []string{"/api/sockets", "/api/sockets?namespace=/app&limit=0", "/api/sockets?namespace=/app&rom=x"} {
		if a := call(t, h, "GET", path, full, ""); a.Code != 422 {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
	if n := len(srv.Namespaces()); n != 4 { // "/", the probe of sockettest, /app and /team/7
		t.Errorf("%d namespaces: a request has made one", n)
	}
	c.Quiet()
}

func TestHandler_Batch_OneBadEntryDoesNotStopTheOthers(t *testing.T) {
	srv, h := served(t, &api.Options{})
	c := srv.Connect("/app", nil)
	a := call(t, h, "POST", "/api/batch", full, `[{"namespace":"/app","event":"a"},{"namespace":"/app","evnt":"b"},{"namespace":"/none","event":"c"},7,{"namespace":"/app","event":"d"}]`)
	var results []struct {
		Status int
		Errors []struct{ Location string }
	}
	if err := json.Unmarshal(a.Body.Bytes(), &results); err != nil || a.Code != 200 || len(results) != 5 {
		t.Fatalf("%d %s: %v", a.Code, a.Body, err)
	}
	for i, status := range []int{0, 422, 404, 422, 0} {
		if results[i].Status != status {
			t.Errorf("entry %d: %+v", i, results[i])
		}
	}
	c.Expect("a")
	c.Expect("d")
	if a := call(t, h, "POST", "/api/batch", full, "null"); a.Code != 422 {
		t.Errorf("null: %d %s", a.Code, a.Body)
	}
	for _, method := range []string{"PUT", "GET"} {
		if a := call(t, h, method, "/api/nowhere", full, ""); a.Code != 404 || a.problem.Status != 404 {
			t.Errorf("%s of no route: %d %s", method, a.Code, a.Body)
		}
	}
	if a := call(t, h, "POST", "/api/batch", full, `["`+strings.Repeat("x", 1<<20)+`"]`); a.Code != 413 {
		t.Errorf("more than 1 MiB: %d", a.Code)
	}
	most := "[" + strings.Repeat(`{"namespace":"/app","to":["none"],"event":"x"},`, 999) + `{"namespace":"/app","to":["none"],"event":"x"}]`
	if a := call(t, h, "POST", "/api/batch", full, most); a.Code != 200 || strings.Count(a.Body.String(), "{}") != 1000 {
		t.Errorf("1000 entries: %d %.200s", a.Code, a.Body)
	}
	many := "[" + strings.Repeat(`{"namespace":"/app","event":"x"},`, 1000) + `{"namespace":"/app","event":"x"}]`
	if a := call(t, h, "POST", "/api/batch", full, many); a.Code != 422 {
		t.Errorf("1001 entries: %d %.200s", a.Code, a.Body)
	}
}

func TestHandler_JoinLeaveDisconnect(t *testing.T) {
	srv, h := served(t, &api.Options{})
	c := srv.Connect("/app", obj{"room": "r"})
	do := func(path, body string) {
		t.Helper()
		if a := call(t, h, "POST", "/api/"+path, app, body); a.Code != 200 || a.Body.String() != "{}\n" {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
	do("join", `{"namespace":"/app","to":["r"],"rooms":["x","y"]}`)
	do("leave", `{"namespace":"/app","to":["`+c.ID+`"],"rooms":["x"]}`)
	if s := srv.Of("/app").Socket(c.ID); s.InRoom("x") || !s.InRoom("y") {
		t.Errorf("rooms %v", s.Rooms())
	}
	do("disconnect", `{"namespace":"/app","to":["y"]}`)
	c.Disconnected()
	whole := srv.Connect("/app", obj{"room": "whole"})
	do("disconnect", `{"namespace":"/app","to":["whole"],"close":true}`)
	whole.Disconnected()
	whole.Conn.Closed()
}

func TestHandler_Sockets_AreListedInPages(t *testing.T) {
	srv, h := served(t, &api.Options{})
	ids := map[string]bool{}
	for i := range 5 {
		ids[srv.Connect("/app", obj{"room": fmt.Sprint("r", i%2), "user": fmt.Sprint("u", i)}).ID] = true
	}
	type list struct {
		Sockets []struct {
			ID, User, Address, Transport string
			Rooms                        []string
			Since                        time.Time
		}
		Rooms  []string
		Cursor string
	}
	get := func(path string) (l list) {
		t.Helper()
		a := call(t, h, "GET", path, reader, "")
		if err := json.Unmarshal(a.Body.Bytes(), &l); err != nil || a.Code != 200 {
			t.Fatalf("%s: %d %s", path, a.Code, a.Body)
		}
		return l
	}
	cursor, pages := "", 0
	for {
		l := get("/api/sockets?namespace=/app&limit=2&cursor=" + cursor)
		pages++
		for _, s := range l.Sockets {
			if !ids[s.ID] || s.Transport == "" || s.Since.IsZero() || len(s.Rooms) != 1 || s.User == "" {
				t.Errorf("%+v", s)
			}
			delete(ids, s.ID)
		}
		if cursor = l.Cursor; cursor == "" {
			break
		}
	}
	if len(ids) > 0 || pages != 3 {
		t.Errorf("%d are missing after %d pages", len(ids), pages)
	}
	if l := get("/api/sockets?namespace=/app&room=r1"); len(l.Sockets) != 2 {
		t.Errorf("%+v", l)
	}
	l := get("/api/sockets?namespace=/app&user=u3")
	if len(l.Sockets) != 1 || l.Sockets[0].User != "u3" {
		t.Fatalf("%+v", l)
	}
	a := call(t, h, "GET", "/api/sockets/app/"+l.Sockets[0].ID, reader, "")
	if a.Code != 200 || !strings.Contains(a.Body.String(), `"user":"u3"`) {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if !regexp.MustCompile(`"since":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`).Match(a.Body.Bytes()) {
		t.Errorf("the time has not the form of the hooks': %s", a.Body)
	}
	team := srv.Connect("/team/7", nil)
	if a := call(t, h, "GET", "/api/sockets/team%2F7/"+team.ID, reader, ""); a.Code != 200 {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	main := srv.Connect("/", nil)
	if a := call(t, h, "GET", "/api/sockets/%2F/"+main.ID, reader, ""); a.Code != 200 {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if a := call(t, h, "GET", "/api/sockets/app/none", reader, ""); a.Code != 404 {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if l := get("/api/rooms?namespace=/app"); fmt.Sprint(l.Rooms) != "[r0 r1]" || l.Cursor != "" {
		t.Errorf("%+v", l)
	}
	if l := get("/api/rooms?namespace=/app&limit=1"); fmt.Sprint(l.Rooms) != "[r0]" || get("/api/rooms?namespace=/app&cursor=" + l.Cursor).Rooms[0] != "r1" {
		t.Errorf("%+v", l)
	}
}

func TestNew_NeedsKeys(t *testing.T) {
	for name, o := range map[string]*api.Options{"nil": nil, "empty": {}} {
		if _, err := api.New(nil, o); err == nil || !strings.Contains(err.Error(), "Keys") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHandler_Scopes(t *testing.T) {
	keys, err := api.ParseKeys("emit-key-0123456789 scopes=emit\nread-key-0123456789 scopes=read\nmanage-key-0123456789 scopes=manage\n")
	if err != nil {
		t.Fatal(err)
	}
	srv, _ := served(t, &api.Options{})
	h, err := api.New(srv.Server, &api.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	const emit, rooms = `{"namespace":"/app","event":"x"}`, `{"namespace":"/app","to":["r"],"rooms":["x"]}`
	for _, route := range []struct{ method, path, body, scope string }{
		{"POST", "/api/emit", emit, "emit"}, {"POST", "/api/batch", "[" + emit + "]", "emit"},
		{"POST", "/api/join", rooms, "manage"}, {"POST", "/api/leave", rooms, "manage"},
		{"POST", "/api/disconnect", `{"namespace":"/app","to":["r"]}`, "manage"},
		{"GET", "/api/sockets?namespace=/app", "", "read"}, {"HEAD", "/api/sockets?namespace=/app", "", "read"},
		{"GET", "/api/rooms?namespace=/app", "", "read"},
	} {
		for _, scope := range []string{"emit", "read", "manage"} {
			want := 403
			if scope == route.scope {
				want = 200
			}
			if a := call(t, h, route.method, route.path, scope+"-key-0123456789", route.body); a.Code != want {
				t.Errorf("%s %s with a key for %s: %d %s", route.method, route.path, scope, a.Code, a.Body)
			}
		}
	}
	for _, path := range []string{"/api/", "/api/openapi.json"} {
		if a := call(t, h, "POST", path, "", ""); a.Code != 401 {
			t.Errorf("POST %s without a key: %d", path, a.Code)
		}
	}
}

func TestHandler_Emit_ContentType(t *testing.T) {
	_, h := served(t, &api.Options{})
	for kind, want := range map[string]int{
		"application/json": 200, "Application/JSON; charset=utf-8": 200, "": 200,
		"text/plain": 415, "application/x-www-form-urlencoded": 415, "application/json;;": 415,
	} {
		for path, body := range map[string]string{"/api/emit": `{"namespace":"/app","event":"x"}`, "/api/batch": `[]`} {
			if a := call(t, h, "POST", path, full, body, "Content-Type", kind); a.Code != want {
				t.Errorf("%s, %q: %d %s", path, kind, a.Code, a.Body)
			}
		}
	}
}

// endingBody ends with an error after its text.
type endingBody struct {
	io.Reader
	err error
}

func (b endingBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func TestHandler_Emit_BodiesOfUnknownLengthAndBrokenOnes(t *testing.T) {
	srv, h := served(t, &api.Options{})
	c := srv.Connect("/app", nil)
	const body = `{"namespace":"/app","event":"x"}`
	for name, test := range map[string]struct {
		body   io.Reader
		length int64
		status int
	}{
		"chunked":           {strings.NewReader(body), -1, 200},
		"chunked, broken":   {endingBody{strings.NewReader(body), io.ErrUnexpectedEOF}, -1, 400},
		"shorter":           {endingBody{strings.NewReader(body), io.ErrUnexpectedEOF}, int64(len(body)) + 5, 400},
		"chunked, 1 MiB":    {strings.NewReader(body + strings.Repeat(" ", 1<<20-len(body))), -1, 200},
		"1 MiB":             {strings.NewReader(body + strings.Repeat(" ", 1<<20-len(body))), 1 << 20, 200},
		"chunked, longer":   {strings.NewReader(body + strings.Repeat(" ", 1<<20)), -1, 413},
		"longer":            {strings.NewReader(body + strings.Repeat(" ", 1<<20)), 1<<20 + int64(len(body)), 413},
		"said to be larger": {strings.NewReader(body), 1 << 40, 400},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/emit", test.body)
		r.ContentLength = test.length
		if test.length > 1<<30 {
			r.Body = io.NopCloser(endingBody{test.body, io.ErrUnexpectedEOF})
		}
		r.Header.Set("Authorization", "Bearer "+full)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if test.status == 200 {
			c.Expect("x")
		}
	}
	c.Quiet()
}

func TestHandler_Rate_DefaultsToAThousand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := served(t, &api.Options{})
		_, unbounded := served(t, &api.Options{RequestsPerSecond: -1})
		for i := range 1001 {
			want := 200
			if i == 1000 {
				want = 429
			}
			if a := call(t, h, "POST", "/api/batch", full, "[]"); a.Code != want {
				t.Fatalf("request %d: %d", i, a.Code)
			}
			if a := call(t, unbounded, "POST", "/api/batch", full, "[]"); a.Code != 200 {
				t.Fatalf("request %d without a bound: %d", i, a.Code)
			}
		}
	})
}

func TestHandler_Rate_BoundsEachKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := served(t, &api.Options{RequestsPerSecond: 2})
		for i, status := range []int{200, 200, 429} {
			a := call(t, h, "GET", "/api/rooms?namespace=/app", full, "")
			if a.Code != status || (a.Header().Get("Retry-After") == "1") != (status == 429) {
				t.Errorf("request %d: %d", i, a.Code)
			}
		}
		if a := call(t, h, "GET", "/api/rooms?namespace=/app", reader, ""); a.Code != 200 {
			t.Errorf("another key: %d", a.Code)
		}
		time.Sleep(time.Second)
		if a := call(t, h, "GET", "/api/rooms?namespace=/app", full, ""); a.Code != 200 {
			t.Errorf("a second later: %d", a.Code)
		}
	})
}

func TestHandler_Descriptions_NeedNoKey(t *testing.T) {
	_, h := served(t, &api.Options{})
	a := call(t, h, "GET", "/api/openapi.json", "", "")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			RequestBody *struct{ Content map[string]any }
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal(a.Body.Bytes(), &doc); err != nil || doc.OpenAPI != "3.1.0" || len(doc.Paths) != 10 {
		t.Errorf("%d %.300s", a.Code, a.Body)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if (method == "post") != (op.RequestBody != nil && len(op.RequestBody.Content) > 0) || op.Responses["200"] == nil {
				t.Errorf("%s %s: body %v, answers %v", method, path, op.RequestBody, op.Responses)
			}
		}
	}
	for _, name := range []string{"EmitRequest", "AckRequest", "EmitResult", "ErrorModel"} {
		if !strings.Contains(a.Body.String(), `"#/components/schemas/`+name+`"`) {
			t.Errorf("no route is described by %s", name)
		}
	}
	page := call(t, h, "GET", "/api/", "", "")
	for path := range doc.Paths {
		if !strings.Contains(page.Body.String(), path+"<") {
			t.Errorf("the page does not name %s", path)
		}
	}
	if kind, sniff := page.Header().Get("Content-Type"), page.Header().Get("X-Content-Type-Options"); kind != "text/html; charset=utf-8" || sniff != "nosniff" {
		t.Errorf("Content-Type %q, X-Content-Type-Options %q", kind, sniff)
	}
	if csp := page.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || page.Code != 200 {
		t.Errorf("%d %q", page.Code, csp)
	}
	if a := call(t, h, "GET", "/api/nowhere", "", ""); a.Code != 401 {
		t.Errorf("%d", a.Code)
	}
}
