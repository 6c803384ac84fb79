package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// page is a browser's page: Socket.IO over WebSocket in its rawest form, so that
// every byte of an answer can be looked at.
type page struct {
	t      testing.TB
	conn   *websocket.Conn
	id     string
	seen   []message // arrived and not yet asked for
	acks   int
	silent bool // does not acknowledge, as the first front ends
}

// message is an event (name, args), an acknowledgement ("ack 1"), the end of the
// namespace ("disconnect") or of the connection ("closed").
type message struct {
	name string
	args []json.RawMessage
}

const patience = 10 * time.Second

// open connects a page to /login.
func open(t testing.TB, base string) *page { return openAt(t, base, "/socket.io/", nil) }

func openAt(t testing.TB, base, path string, header http.Header) *page {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, base+path+"?EIO=4&transport=websocket", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		status := 0
		if resp != nil {
			status = resp.StatusCode
		}
		t.Fatalf("page: %v (status %d)", err, status)
	}
	conn.SetReadLimit(1 << 20)
	p := &page{t: t, conn: conn}
	t.Cleanup(func() { conn.CloseNow() })
	p.text(patience) // the handshake
	p.write("40/login,")
	hello := p.text(patience)
	var connected struct{ Sid string }
	if !strings.HasPrefix(hello, "40/login,") || json.Unmarshal([]byte(strings.TrimPrefix(hello, "40/login,")), &connected) != nil {
		t.Fatalf("page: connect answered %q", hello)
	}
	p.id = connected.Sid
	return p
}

func (p *page) write(text string) {
	p.t.Helper()
	if err := p.conn.Write(p.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		p.t.Fatalf("page: write: %v", err)
	}
}

// text is the next message that is no ping; "" when the connection ended or wait
// was over.
func (p *page) text(wait time.Duration) string {
	ctx, cancel := context.WithTimeout(p.t.Context(), wait)
	defer cancel()
	for {
		_, data, err := p.conn.Read(ctx)
		if err != nil {
			return ""
		}
		if string(data) != "2" {
			return string(data)
		}
		p.write("3")
	}
}

// receive reads the next message within wait; false when there was none, after
// which the connection cannot be used (as coder/websocket has it).
func (p *page) receive(wait time.Duration) (message, bool) {
	text := p.text(wait)
	if text == "" {
		return message{name: "closed"}, false
	}
	if strings.HasPrefix(text, "41") {
		return message{name: "disconnect"}, true
	}
	body, ok := strings.CutPrefix(text, "42/login,")
	if !ok {
		body, ok = strings.CutPrefix(text, "43/login,")
		if !ok {
			return message{name: "frame " + text}, true
		}
		id, array, _ := strings.Cut(body, "[")
		m := message{name: "ack " + id}
		p.parse("["+array, &m.args)
		return m, true
	}
	id, array, _ := strings.Cut(body, "[")
	var args []json.RawMessage
	p.parse("["+array, &args)
	m := message{args: args[1:]}
	p.parse(string(args[0]), &m.name)
	if id != "" && !p.silent {
		p.write("43/login," + id + "[]")
	}
	return m, true
}

func (p *page) parse(text string, into any) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		p.t.Fatalf("page: %q: %v", text, err)
	}
}

// next waits for a message of that name; what comes before it is kept.
func (p *page) next(name string) message {
	p.t.Helper()
	if i := slices.IndexFunc(p.seen, func(m message) bool { return m.name == name }); i >= 0 {
		m := p.seen[i]
		p.seen = slices.Delete(p.seen, i, i+1)
		return m
	}
	for {
		m, ok := p.receive(patience)
		if !ok && name != "closed" {
			p.t.Fatalf("page: waited for %q; seen %v", name, names(p.seen))
		}
		if m.name == name {
			return m
		}
		p.seen = append(p.seen, m)
	}
}

func names(all []message) (out []string) {
	for _, m := range all {
		out = append(out, m.name)
	}
	return out
}

// rest reads until the connection or the namespace ends and returns the names.
func (p *page) rest() []string {
	out := names(p.seen)
	for {
		m, ok := p.receive(patience)
		if !ok {
			return out
		}
		out = append(out, m.name)
		if m.name == "disconnect" {
			return out
		}
	}
}

// emit sends an event without asking for an acknowledgement.
func (p *page) emit(event string, args ...any) {
	p.t.Helper()
	text, err := json.Marshal(append([]any{event}, args...))
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("42/login," + string(text))
}

// ask sends an event and returns the acknowledgement's only argument.
func (p *page) ask(event string, args ...any) string {
	p.t.Helper()
	text, err := json.Marshal(append([]any{event}, args...))
	if err != nil {
		p.t.Fatal(err)
	}
	p.acks++
	id := strconv.Itoa(p.acks)
	p.write("42/login," + id + string(text))
	m := p.next("ack " + id)
	if len(m.args) != 1 {
		p.t.Fatalf("%s: acknowledged with %d arguments", event, len(m.args))
	}
	return string(m.args[0])
}

type code struct {
	Ticket, URL, ImageURL, Resume, Account string
	ExpiresIn                              int
}

func (p *page) qrcode(request ...any) code {
	p.t.Helper()
	answer := p.ask("qrcode", request...)
	var c code
	p.parse(answer, &c)
	if c.Ticket == "" {
		p.t.Fatalf("qrcode: %s", answer)
	}
	p.next("qrcode")
	return c
}

// keys are the names in a JSON object, sorted.
func keys(t testing.TB, text string) string {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	var all []string
	for k := range object {
		all = append(all, k)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// failure is the code in an {error:{code,message}}.
func failure(t testing.TB, text string) string {
	t.Helper()
	var answer struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Error.Message == "" {
		t.Fatalf("no failure: %s", text)
	}
	return answer.Error.Code
}

func mustFit(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func text(t testing.TB, m message) string {
	t.Helper()
	if len(m.args) != 1 {
		t.Fatalf("%s has %d arguments", m.name, len(m.args))
	}
	var s string
	if json.Unmarshal(m.args[0], &s) != nil {
		t.Fatalf("%s carries %s", m.name, m.args[0])
	}
	return s
}

func sprint(args ...any) string { return fmt.Sprint(args...) }

func asClose(err error, into *websocket.CloseError) bool { return errors.As(err, into) }
