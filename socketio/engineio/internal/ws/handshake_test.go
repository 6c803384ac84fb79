package ws_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"posthouse/socketio/engineio/internal/ws"
)

// upgradeRequest is the handshake of RFC 6455 §1.3.
func upgradeRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://server.example.com/chat", nil)
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	r.Header.Set("Sec-WebSocket-Version", "13")
	return r
}

func TestHandshakeResponse(t *testing.T) {
	t.Parallel()
	r := upgradeRequest()
	r.Header.Set("Sec-WebSocket-Protocol", "chat, superchat")
	hs, err := ws.Negotiate(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := string(hs.AppendResponse(nil, http.Header{
		"Set-Cookie":           {"a=1", "b=2\r\nEvil: 1"},
		"Sec-Websocket-Accept": {"mine"},
	}))
	want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n" +
		"Set-Cookie: a=1\r\nSet-Cookie: b=2  Evil: 1\r\n\r\n"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestHandshakeChecks(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	add := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Add(name, value) }
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int // 0: fine
	}{
		"as it should be": {func(*http.Request) {}, 0},
		"tokens in lists, any case": {func(r *http.Request) {
			r.Header.Set("Connection", "keep-alive, uPgrade")
			r.Header.Set("Upgrade", "h2c, WebSocket")
		}, 0},
		"POST":                         {func(r *http.Request) { r.Method = "POST" }, 405},
		"HTTP/1.0":                     {func(r *http.Request) { r.ProtoMinor = 0 }, 400},
		"HTTP/2":                       {func(r *http.Request) { r.ProtoMajor = 2 }, 400},
		"no Host":                      {func(r *http.Request) { r.Host = "" }, 400},
		"no Upgrade":                   {func(r *http.Request) { r.Header.Del("Upgrade") }, 426},
		"another protocol":             {set("Upgrade", "websockets"), 426},
		"Connection without upgrade":   {set("Connection", "keep-alive"), 426},
		"a body":                       {func(r *http.Request) { r.ContentLength = 5 }, 400},
		"a chunked body":               {func(r *http.Request) { r.TransferEncoding = []string{"chunked"}; r.ContentLength = -1 }, 400},
		"no version":                   {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Version") }, 426},
		"old version":                  {set("Sec-WebSocket-Version", "8"), 426},
		"two versions":                 {add("Sec-WebSocket-Version", "13"), 426},
		"no key":                       {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Key") }, 400},
		"two keys":                     {add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), 400},
		"15 byte key":                  {set("Sec-WebSocket-Key", "MTIzNDU2Nzg5MDEyMzQ1"), 400},
		"key is not base64":            {set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=!"), 400},
		"key with line break":          {set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ\n="), 400},
		"32 k spaces in the protocol":  {set("Sec-WebSocket-Protocol", "b"+strings.Repeat(" ", 32<<10)+"x"), 400},
		"a protocol that is no token":  {set("Sec-WebSocket-Protocol", "a b"), 400},
		"empty protocol":               {set("Sec-WebSocket-Protocol", ""), 400},
		"protocol twice":               {set("Sec-WebSocket-Protocol", "a, a"), 400},
		"protocol with trailing comma": {set("Sec-WebSocket-Protocol", "a,"), 400},
	} {
		r := upgradeRequest()
		c.change(r)
		_, err := ws.Negotiate(r, nil)
		he, _ := errors.AsType[*ws.HandshakeError](err)
		switch {
		case (he == nil) != (c.status == 0), he != nil && he.Status != c.status:
			t.Errorf("%s: %v, want status %d", name, err, c.status)
		case c.status == 426 && he.Name == "":
			t.Errorf("%s: 426 must name what is supported", name)
		}
	}
}

func TestHandshakeErrorAnswer(t *testing.T) {
	t.Parallel()
	r := upgradeRequest()
	r.Header.Set("Sec-WebSocket-Version", "12")
	_, err := ws.Negotiate(r, nil)
	he, _ := errors.AsType[*ws.HandshakeError](err)
	rec := httptest.NewRecorder()
	he.Write(rec)
	if rec.Code != 426 || rec.Header().Get("Sec-WebSocket-Version") != "13" || rec.Header().Get("Connection") != "close" {
		t.Errorf("answer %d %v", rec.Code, rec.Header())
	}
}

// The first frames may come in the segment of the request (CVE-2022-21676).
func TestHijackKeepsWhatCameEarly(t *testing.T) {
	t.Parallel()
	reply := make(chan error, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply <- func() error {
			hs, err := ws.Negotiate(r, nil)
			if err != nil {
				return err
			}
			conn, early, err := ws.Hijack(w)
			if err != nil {
				return err
			}
			defer conn.Close()
			e := newEcho(nil, nil)
			e.out = hs.AppendResponse(nil, nil)
			e.feed(early)
			_, err = conn.Write(e.out)
			return err
		}()
	}))
	srv.Config.ReadTimeout = time.Minute // a deadline that Hijack has to clear
	srv.Start()
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req := "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	first := append(whole(ws.Text, "early").append([]byte(req)), frame{true, 2, ws.Text, []byte("x")}.append(nil)...)
	if _, err := conn.Write(first); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	rest, err := io.ReadAll(br)
	if err != nil {
		t.Fatal(err)
	}
	want := []sent{{ws.Text, "early"}, bye(1002)}
	if got := parseSent(t, rest); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := <-reply; err != nil {
		t.Error(err)
	}
}

func TestHijackOfAWriterThatCannot(t *testing.T) {
	t.Parallel()
	if _, _, err := ws.Hijack(httptest.NewRecorder()); !errors.Is(err, ws.ErrNotHijackable) {
		t.Errorf("err = %v, want ErrNotHijackable", err)
	}
}
