package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// front is a gateway that is served in both ways: by the event loop, where there is
// one, and by package net/http.
type front struct {
	app   *App
	addrs map[string]string
}

// newFront starts a gateway without limits.
func newFront(t testing.TB, args ...string) *front {
	t.Helper()
	var cfg Config
	off := []string{"--addr=127.0.0.1:0", "--limit-handshakes-per-ip=off", "--limit-handshakes-per-node=off", "--limit-connections-per-ip=off"}
	if _, err := kong.Must(&cfg).Parse(append(off, args...)); err != nil {
		t.Fatal(err)
	}
	app, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{app, map[string]string{"event loop": app.Addr().String(), "net/http": plain.Addr().String()}}
	fast, slow := app.newServer(app.httpHandler), app.newServer(app.httpHandler)
	ended := make(chan error, 2)
	go func() { ended <- app.ioServer.Serve(app.listener, fast) }()
	go func() { ended <- slow.Serve(plain) }()
	t.Cleanup(func() {
		_ = app.ioServer.Shutdown(t.Context()) // ends what is still open, or is cut short below
		fast.Close()
		slow.Close()
		for range 2 {
			if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		}
		app.releaseBound()
	})
	return f
}

// open is how many connections there are, and counted how many of them admission
// knows of.
func (f *front) open() (open, counted int) {
	f.app.loginNamespace.rawSockets.mu.Lock()
	defer f.app.loginNamespace.rawSockets.mu.Unlock()
	return f.app.ioServer.Engine().ClientsCount() + len(f.app.loginNamespace.rawSockets.openSockets), int(f.app.admission.openConns.Load())
}

// settle waits until ok accepts what is open and what is counted.
func (f *front) settle(t testing.TB, what string, ok func(open, counted int) bool) {
	t.Helper()
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		open, counted := f.open()
		if ok(open, counted) {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("%s: %d connections are open, %d are counted", what, open, counted)
		}
	}
}

var openedSession = regexp.MustCompile(`sid\\?":\\?"([\w-]+)`)

// send writes raw on a connection of its own, and checks what is counted while that
// stays open, and after. It returns the beginning of the answer.
func (f *front) send(t testing.TB, addr, raw string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	answer := make([]byte, 4<<10)
	n, _ := conn.Read(answer) // there may be none
	answer = answer[:n]
	// A WebSocket that is turned away is counted while it waits for its end.
	f.settle(t, raw, func(open, counted int) bool { return open <= counted })
	conn.Close()
	for _, sid := range openedSession.FindAllSubmatch(answer, -1) {
		f.closeSession(string(sid[1]))
	}
	f.settle(t, "after "+raw, func(open, counted int) bool { return open == counted })
	return string(answer)
}

// closeSession lets a client of either revision close its session.
func (f *front) closeSession(sid string) {
	for _, end := range []string{"EIO=4 1", "EIO=3 1:1"} {
		revision, body, _ := strings.Cut(end, " ")
		r := httptest.NewRequest(http.MethodPost, f.app.config.SocketIOPath+"/?transport=polling&"+revision+"&sid="+sid, strings.NewReader(body))
		f.app.httpHandler.ServeHTTP(httptest.NewRecorder(), r)
	}
}

const webSocketFields = "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

// openingRequests are the ways to open a connection, and requests that one reader
// might take for an opening one and another not.
func openingRequests() []string {
	const polling, webSocket = "EIO=4&transport=polling", "EIO=4&transport=websocket"
	var all []string
	get := func(target, fields string) {
		all = append(all, "GET "+target+" HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n")
	}
	for _, query := range []string{
		"", "&sid=", "&sid", "&sid=x", "&sid=x&sid=", "&sid=&sid=x", "&sid=x&sid=y", "&sid=x&sid=x", "&s%69d=x", "&sid=x&s%69d=", "&s%69d=x&sid=",
		"&sid[]=x", "&sid=x&sid[]=", "&sid[0]=&sid=x", "&x=1;sid=x", ";sid=x", "&sid=x;sid=", "&sid=x&a=;sid=", "&x;sid", "&SID=x", "&+sid=x", "&sid+=x",
		"&sid=%", "&sid=%zz", "&sid=%00", "&sid=%26sid%3D", "&sid=+", "&sid=x%", "&a=%zz&sid=x", "&sid=x&a=%zz", "&=&sid=x", "&&sid=x", "&sid==", "?sid=x", "&j=0", "&b64=1",
		"&EIO=3", "&EIO[]=4", "&%45IO=4", "&transport=polling", "&transport=websocket", "&transport=", "&transport[]=polling", "&transport=foo", "#&sid=x",
	} {
		get("/socket.io/?"+polling+query, "")
		get("/socket.io/?"+strings.TrimPrefix(query+"&", "&")+polling, "")
		get("/socket.io/?"+webSocket+query, "Upgrade: websocket\r\n"+webSocketFields)
		get("/socket.io/?"+polling+query, "Upgrade: websocket\r\n"+webSocketFields)
	}
	for _, target := range []string{
		"/socket.io?", "/socket.io//?", "//socket.io/?", "/SOCKET.IO/?", "/socket.io/x?", "/socket.io/x/?", "/socket.io/%2e%2e/?", "/socket.io/../socket.io/?",
		"/socket.i%6f/?", "/socket%2eio/?", "/socket.io%2f?", "/./socket.io/?", "/socket.io/socket.io.js?", "/socket.io/;x?", "http://a/socket.io/?", "/ws/signup?",
	} {
		get(target+polling, "")
		get(target+webSocket, "Upgrade: websocket\r\n"+webSocketFields)
	}
	for _, upgrade := range []string{
		"websocket", "WebSocket", "x, websocket", "websocket, x", "x\r\nUpgrade: websocket", "websocket/13", "websocket\t", ",websocket", "\u00a0websocket", "x", "",
	} {
		for _, connection := range []string{"Upgrade", "keep-alive, Upgrade", "keep-alive\r\nConnection: upgrade", "close, upgrade", "close", "upgrade x"} {
			fields := "Upgrade: " + upgrade + "\r\n" + strings.Replace(webSocketFields, "Upgrade", connection, 1)
			get("/ws/signup", fields)
			get("/socket.io/?"+webSocket, fields)
		}
	}
	for _, line := range []string{
		"HEAD /socket.io/?" + polling + " HTTP/1.1", "OPTIONS /socket.io/?" + polling + " HTTP/1.1", "PUT /socket.io/?" + polling + " HTTP/1.1",
		"CONNECT /socket.io/?" + polling + " HTTP/1.1", "CONNECT a:80 HTTP/1.1", "get /socket.io/?" + polling + " HTTP/1.1",
		"GET /socket.io/?" + polling + " HTTP/1.0", "GET /ws/signup/ HTTP/1.1", "GET /ws/signup/ HTTP/1.0", "HEAD /ws/signup HTTP/1.1", "POST /ws/signup HTTP/1.1",
		"GET /ws/signu%70 HTTP/1.1", "GET /ws/signup? HTTP/1.1", "GET /ws//signup HTTP/1.1", "GET /socket.io/?" + webSocket + " HTTP/1.0", "POST /socket.io/?" + webSocket + " HTTP/1.1",
	} {
		for _, fields := range []string{"", "Upgrade: websocket\r\n" + webSocketFields, "Content-Length: 1\r\n", "X-HTTP-Method-Override: GET\r\n", "X-Posthouse-Relay: a\r\n"} {
			body := ""
			if strings.HasPrefix(fields, "Content-Length") {
				body = "1"
			}
			all = append(all, line+"\r\nHost: a\r\n"+fields+"\r\n"+body)
		}
	}
	one := "GET /socket.io/?" + polling + " HTTP/1.1\r\nHost: a\r\n\r\n"
	return append(all, one+one, "POST /socket.io/?"+polling+" HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n4x"+one,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", one[:len(one)-4]+"\r\nOrigin: https://evil.example\r\n\r\n")
}

func TestAdmission_EveryOpenConnectionIsCounted(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	for way, addr := range f.addrs {
		opened := 0
		for _, raw := range openingRequests() {
			answer := f.send(t, addr, raw)
			if strings.HasPrefix(answer, "HTTP/1.1 101") || openedSession.MatchString(answer) {
				opened++
			}
		}
		if opened < 50 {
			t.Errorf("%s: only %d requests opened a connection", way, opened)
		}
	}
}

// FuzzAdmission_EveryOpenConnectionIsCounted: whatever the bytes of a request, the
// connections that the gateway opens for it are those that admission has counted.
func FuzzAdmission_EveryOpenConnectionIsCounted(f *testing.F) {
	for _, raw := range openingRequests() {
		f.Add([]byte(raw))
	}
	front := newFront(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 2<<10 || bytes.Count(raw, []byte("HTTP/1")) > 3 {
			return // one answer is read
		}
		for _, addr := range front.addrs {
			front.send(t, addr, string(raw)+"\r\n\r\n")
		}
	})
}

// Two readers of a request that see different session ids would let it pass the
// limits as one of a session and open a connection as a new one.
func TestAdmission_AmbiguousSessionID_IsRefused(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	for _, query := range []string{"sid=x&sid=", "sid=&sid=x", "sid=x&sid=y", "s%69d=x", "sid[]=x", "a=1;sid=x"} {
		for way, addr := range f.addrs {
			for transport, want := range map[string]string{"polling": `{"code":3,"message":"Bad request"}`, "websocket": "Bad request"} {
				fields := ""
				if transport == "websocket" {
					fields = "Upgrade: websocket\r\n" + webSocketFields
				}
				answer := f.send(t, addr, "GET /socket.io/?EIO=4&transport="+transport+"&"+query+" HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n")
				if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.HasSuffix(strings.TrimSpace(answer), want) {
					t.Errorf("%s, %s, %s: %q", way, transport, query, answer)
				}
			}
		}
	}
}
