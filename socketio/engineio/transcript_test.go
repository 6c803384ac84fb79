package engineio_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/internal/ws"
)

// TestTranscripts replays testdata/scenarios.json and compares every answer with
// what the engine.io package gave (testdata/record.js recorded it).
func TestTranscripts(t *testing.T) {
	var scenarios []scenario
	var transcripts []struct {
		Name string
		Out  []json.RawMessage
	}
	load(t, "testdata/scenarios.json", &scenarios)
	load(t, "testdata/transcripts.json", &transcripts)
	for i, sc := range scenarios {
		t.Run(sc.Name, func(t *testing.T) {
			if transcripts[i].Name != sc.Name {
				t.Fatal("the transcripts are not of these scenarios: record them again")
			}
			o, setup := sc.options(t)
			inWorld(t, o, setup, func(w *world) { newReplay(w, sc.Name, transcripts[i].Out).run(sc.Steps) })
		})
		t.Run(sc.Name+", served", func(t *testing.T) {
			t.Parallel() // waits in real time
			o, setup := sc.options(t)
			inServedWorld(t, o, setup, func(w *world) { newReplay(w, sc.Name, transcripts[i].Out).run(sc.Steps) })
		})
	}
}

func load(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

type scenario struct {
	Name   string
	App    string
	Server struct {
		PingInterval, PingTimeout, UpgradeTimeout int
		MaxHTTPBufferSize                         int64
		AllowEIO3                                 bool
		AllowUpgrades                             *bool
		Transports                                []string
		InitialPacket                             string
		Deny                                      *string
		Cookie                                    bool
		HTTPCompression                           *bool
		CORS                                      *struct {
			Origin                                  any
			Credentials                             bool
			Methods, AllowedHeaders, ExposedHeaders []string
			MaxAge                                  int
			OptionsSuccessStatus                    int
		}
	}
	Steps []step
}

type step struct {
	Get, Post, To, WS                                   *string
	Req, Async, Await, Drop, As, Send, Recv, Close, App string
	Headers                                             map[string]string
	Body, BodyB64, Data                                 string
	Text, Binary                                        *string
	Pad, Partial, Wait, Code                            int
	Chunked, Reason                                     bool
}

func (sc *scenario) options(t *testing.T) (engineio.Options, func(*peer)) {
	c := &sc.Server
	o := engineio.Options{
		PingInterval:     time.Duration(c.PingInterval) * time.Millisecond,
		PingTimeout:      time.Duration(c.PingTimeout) * time.Millisecond,
		UpgradeTimeout:   time.Duration(c.UpgradeTimeout) * time.Millisecond,
		MaxPayload:       c.MaxHTTPBufferSize,
		AllowEIO3:        c.AllowEIO3,
		Transports:       c.Transports,
		DisallowUpgrades: c.AllowUpgrades != nil && !*c.AllowUpgrades,
		JSONP:            strings.Contains(sc.Name, "jsonp"),
	}
	if c.InitialPacket != "" {
		o.InitialPacket = &engineio.Message{Data: []byte(c.InitialPacket)}
	}
	if c.Deny != nil {
		o.AllowRequest = func(*http.Request) error { return errors.New(*c.Deny) }
	}
	if c.Cookie {
		o.Cookie = &http.Cookie{}
	}
	if c.HTTPCompression != nil {
		o.HTTPCompression = &engineio.HTTPCompression{Disabled: !*c.HTTPCompression}
	}
	if c.CORS != nil {
		o.CORS = &engineio.CORS{
			Credentials: c.CORS.Credentials, Methods: c.CORS.Methods, AllowedHeaders: c.CORS.AllowedHeaders,
			ExposedHeaders: c.CORS.ExposedHeaders, MaxAge: time.Duration(c.CORS.MaxAge) * time.Second,
			OptionsSuccessStatus: c.CORS.OptionsSuccessStatus,
		}
		switch v := c.CORS.Origin.(type) {
		case string:
			o.CORS.Origin = v
		case bool:
			o.CORS.ReflectOrigin = v
		case []any:
			for _, s := range v {
				o.CORS.Origins = append(o.CORS.Origins, s.(string))
			}
		}
	}
	return o, func(p *peer) {
		echo(p)
		switch sc.App {
		case "greet":
			p.s.Send(text("one"))
			p.s.Send(text("two"))
		case "big":
			p.s.Send(text(strings.Repeat("a", 2000)))
		case "bigplain":
			p.s.Send(engineio.NewFrame(engineio.Message{Data: []byte(strings.Repeat("a", 2000))}, false))
		case "jsonp":
			p.s.Send(text("\u2028 \"q\" \\ \n é"))
		}
	}
}

func text(s string) *engineio.Frame {
	return engineio.NewFrame(engineio.Message{Data: []byte(s)}, true)
}

// replay runs the steps of one scenario.
type replay struct {
	*world
	want    []json.RawMessage
	n       int
	sid     string
	calls   map[string]*call
	sockets map[string]*socket
}

// deviations are the answers that differ from the recorded ones on purpose, by the
// name of the scenario and the number of the answer.
var deviations = map[string]map[int]string{
	// The poll has its noop before the upgrade packet comes (docs/protocol.md §1.7 step 3).
	"v4 upgrade packet with a poll waiting": {
		4: `{"status":200,"headers":{"content-type":"text/plain; charset=UTF-8","content-length":"1","cache-control":"no-store"},"body":"6"}`,
	},
}

func newReplay(w *world, name string, want []json.RawMessage) *replay {
	want = slices.Clone(want)
	for n, answer := range deviations[name] {
		want[n-1] = json.RawMessage(answer)
	}
	return &replay{world: w, want: want}
}

func (rp *replay) run(steps []step) {
	rp.calls, rp.sockets = map[string]*call{}, map[string]*socket{}
	for _, s := range steps {
		rp.step(s)
	}
	if rp.n != len(rp.want) {
		rp.t.Errorf("%d answers, want %d", rp.n, len(rp.want))
	}
}

func (rp *replay) fill(s string) string { return strings.ReplaceAll(s, "$sid", rp.sid) }

func (rp *replay) step(s step) {
	switch {
	case s.Get != nil || s.Post != nil || s.To != nil:
		c := rp.request(s)
		if s.Async != "" {
			rp.calls[s.Async] = c
			return
		}
		rp.compare(c.wait().transcript(rp.t))
	case s.Await != "":
		rp.compare(rp.calls[s.Await].wait().transcript(rp.t))
	case s.Drop != "":
		if c := rp.calls[s.Drop]; c != nil {
			c.conn.Close()
		} else {
			rp.sockets[s.Drop].conn.Close()
		}
	case s.Wait > 0:
		time.Sleep(time.Duration(s.Wait) * time.Millisecond)
	case s.WS != nil:
		sock := rp.websocket(rp.fill(*s.WS), s.Headers)
		rp.sockets[s.As] = sock
		if sock.refuse != nil {
			rp.compare(sock.refuse.transcript(rp.t))
		} else {
			rp.compare(map[string]any{"status": 101, "headers": picked(sock.header)})
		}
	case s.Send != "":
		rp.sendStep(s)
	case s.Recv != "":
		rp.compare(rp.sockets[s.Recv].recv().transcript())
	case s.Close != "":
		rp.sockets[s.Close].write(ws.Close, []byte{byte(s.Code >> 8), byte(s.Code)})
	case s.Reason:
		time.Sleep(10 * time.Millisecond)
		reason, _ := rp.last().end()
		rp.compare(map[string]any{"reason": string(reason)})
	case s.App == "send":
		rp.last().s.Send(text(s.Data))
	case s.App == "close":
		rp.last().s.Close()
	case s.App == "discard":
		rp.last().s.Discard()
	default:
		rp.t.Fatalf("step %+v", s)
	}
}

func (rp *replay) sendStep(s step) {
	if s.Binary != nil {
		b, _ := base64.StdEncoding.DecodeString(*s.Binary)
		rp.sockets[s.Send].write(ws.Binary, b)
		return
	}
	rp.sockets[s.Send].send(*s.Text + strings.Repeat("x", s.Pad))
}

func (rp *replay) request(s step) *call {
	method, query := "GET", s.Get
	if s.Post != nil {
		method, query = "POST", s.Post
	} else if s.To != nil {
		method, query = s.Req, s.To
	}
	body := []byte(s.Body + strings.Repeat("x", s.Pad))
	if s.BodyB64 != "" {
		body, _ = base64.StdEncoding.DecodeString(s.BodyB64)
	}
	head := method + " /engine.io/?" + rp.fill(*query) + " HTTP/1.1\r\nHost: example.test\r\n" + rp.onlyOne()
	for k, v := range s.Headers {
		head += k + ": " + v + "\r\n"
	}
	if method != "POST" {
		return rp.raw(method, head+"\r\n")
	}
	if s.Headers["Content-Type"] == "" {
		head += "Content-Type: text/plain;charset=UTF-8\r\n"
	}
	if s.Chunked {
		return rp.raw(method, head+"Transfer-Encoding: chunked\r\n\r\n", []byte("a\r\n"+string(body[:10])+"\r\n"),
			[]byte("5b\r\n"+string(body[10:])+"\r\n0\r\n\r\n"))
	}
	n := len(body)
	if s.Partial > 0 {
		n = s.Partial
	}
	return rp.raw(method, head+"Content-Length: "+strconv.Itoa(n)+"\r\n\r\n", body)
}

// compare checks one answer against the recording.
func (rp *replay) compare(got map[string]any) {
	rp.t.Helper()
	b, err := json.Marshal(got)
	if err != nil {
		rp.t.Fatal(err)
	}
	if id := sidOf(strings.ReplaceAll(string(b), `\\\"`, `\"`)); id != "" {
		rp.sid = id
	}
	if rp.sid != "" {
		b = bytes.ReplaceAll(b, []byte(rp.sid), []byte("$sid"))
	}
	if rp.n >= len(rp.want) {
		rp.t.Fatalf("more answers than recorded: %s", b)
	}
	want := rp.want[rp.n]
	rp.n++
	if canonical(rp.t, b) != canonical(rp.t, want) {
		rp.t.Fatalf("answer %d:\n got %.600s\nwant %.600s", rp.n, canonical(rp.t, b), canonical(rp.t, want))
	}
}

func canonical(t *testing.T, b []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	out, _ := json.Marshal(v)
	return string(out)
}

var recorded = []string{
	"content-type", "content-length", "cache-control", "content-encoding", "set-cookie", "vary", "x-xss-protection",
	"access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods",
	"access-control-allow-headers", "access-control-expose-headers", "access-control-max-age",
}

func picked(h http.Header) map[string]string {
	out := map[string]string{}
	for _, k := range recorded {
		if v := h.Values(k); len(v) > 0 {
			out[k] = strings.Join(v, ", ")
		}
	}
	return out
}

func (r response) transcript(t *testing.T) map[string]any {
	if r.lost {
		return map[string]any{"lost": true}
	}
	h := picked(r.header)
	body := r.body
	switch h["content-encoding"] {
	case "gzip":
		zr, err := gzip.NewReader(strings.NewReader(body))
		body = inflated(t, zr, err)
		delete(h, "content-length")
	case "deflate":
		zr, err := zlib.NewReader(strings.NewReader(body))
		body = inflated(t, zr, err)
		delete(h, "content-length")
	}
	// Node sends some refusals in chunks or without a length: not ours to copy.
	if r.status >= 400 && h["content-type"] != "text/html" || r.body == "" && r.status != 204 && r.status != 200 {
		delete(h, "content-length")
	}
	out := map[string]any{"status": r.status, "headers": h}
	if r.status == 204 {
		h["content-length"] = "0" // net/http leaves it out, as RFC 9110 wants
	}
	if h["content-type"] == "application/octet-stream" {
		out["bodyb64"] = base64.StdEncoding.EncodeToString([]byte(body))
	} else {
		out["body"] = body
	}
	return out
}

func inflated(t *testing.T, r io.Reader, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (e event) transcript() map[string]any {
	switch {
	case e.close > 0:
		return map[string]any{"close": e.close}
	case e.close < 0:
		return map[string]any{"lost": true}
	case e.isText:
		return map[string]any{"text": e.text}
	}
	return map[string]any{"binary": base64.StdEncoding.EncodeToString(e.binary)}
}
