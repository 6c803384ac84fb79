package client_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/socketio/engineio/client"
	"posthouse/socketio/engineio/internal/ws"
)

// rawHTTP answers every request with bytes of its own; accept is what the request's
// Sec-WebSocket-Key wants.
func rawHTTP(t *testing.T, answer func(conn net.Conn, accept string)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
				answer(conn, base64.StdEncoding.EncodeToString(sum[:]))
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return "http://" + l.Addr().String()
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

// Answers to the handshake of a WebSocket that a server must not give.
func TestDial_HostileWebSocketAnswers_AreErrors(t *testing.T) {
	t.Parallel()
	accept := func(key string) string { return "Sec-WebSocket-Accept: " + key + "\r\n" }
	for name, test := range map[string]struct {
		answer func(key string) string
		want   string
	}{
		"wrong accept key": {func(string) string { return switching + accept("AAAAAAAAAAAAAAAAAAAAAAAAAAA=") + "\r\n" }, "Sec-WebSocket-Accept"},
		"no accept key":    {func(string) string { return switching + "\r\n" }, "Sec-WebSocket-Accept"},
		"the key itself":   {func(string) string { return switching + accept("dGhlIHNhbXBsZSBub25jZQ==") + "\r\n" }, "Sec-WebSocket-Accept"},
		"another protocol": {func(k string) string { return strings.Replace(switching, "websocket", "h2c", 1) + accept(k) + "\r\n" }, "not an upgrade"},
		"no Connection":    {func(k string) string { return strings.Replace(switching, "Connection", "X", 1) + accept(k) + "\r\n" }, "not an upgrade"},
		"compression unasked": {func(k string) string {
			return switching + accept(k) + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
		}, "extension"},
		"subprotocol unasked": {func(k string) string { return switching + accept(k) + "Sec-WebSocket-Protocol: chat\r\n\r\n" }, "subprotocol"},
		"200":                 {func(string) string { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }, "HTTP status 200"},
		"redirect to itself":  {func(string) string { return "HTTP/1.1 302 Found\r\nLocation: /socket.io/\r\nContent-Length: 0\r\n\r\n" }, "HTTP status 302"},
		"redirect elsewhere": {func(string) string {
			return "HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
		}, "HTTP status 307"},
		"refusal without end": {func(string) string { return "HTTP/1.1 400 X\r\n\r\n" + strings.Repeat("x", 1<<20) }, "HTTP status 400"},
		"refusal as a bomb": {func(string) string {
			return "HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx"
		}, "HTTP status 400"},
		"one huge field":        {func(k string) string { return switching + accept(k) + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n" }, "protocol error"},
		"many fields":           {func(k string) string { return switching + accept(k) + strings.Repeat("X: y\r\n", 1<<17) + "\r\n" }, "protocol error"},
		"endless status line":   {func(string) string { return "HTTP/1.1 101 " + strings.Repeat("x", 1<<20) }, "protocol error"},
		"1xx without end":       {func(string) string { return strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 10_000) }, "HTTP status 103"},
		"no HTTP":               {func(string) string { return "SSH-2.0-OpenSSH_9.9\r\n" }, "protocol error"},
		"nothing":               {func(string) string { return "" }, "protocol error"},
		"cut in the fields":     {func(string) string { return switching }, "protocol error"},
		"reserved bits at once": {func(k string) string { return switching + accept(k) + "\r\n" + "\xb1\x02" + "0{" }, "reserved"},
		"masked at once":        {func(k string) string { return switching + accept(k) + "\r\n" + "\x81\x82abcd0{" }, "mask"},
		"closed at once":        {func(k string) string { return switching + accept(k) + "\r\n" + "\x88\x02\x03\xe8" }, "closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := rawHTTP(t, func(conn net.Conn, key string) { io.WriteString(conn, test.answer(key)) })
			c, err := client.Dial(t.Context(), url, &client.Options{Transports: []string{"websocket"}})
			if err == nil {
				c.Close()
				t.Fatal("accepted")
			}
			// A server that goes on writing may be met by a reset first.
			if !strings.Contains(err.Error(), test.want) && !strings.Contains(err.Error(), "reset") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Frames that come in one segment with the answer are not lost, and hints before it are
// passed over.
func TestDial_FramesBehindTheAnswer_AreRead(t *testing.T) {
	t.Parallel()
	url := rawHTTP(t, func(conn net.Conn, key string) {
		all := []byte("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + switching + "Sec-WebSocket-Accept: " + key + "\r\n\r\n")
		all = ws.AppendFrame(all, ws.Text, []byte(goodOpen))
		conn.Write(ws.AppendFrame(all, ws.Text, []byte("4at once")))
		io.Copy(io.Discard, conn)
	})
	p := dial(t, url, &client.Options{Transports: []string{"websocket"}})
	p.expect(t, "at once", false)
}

// A server that drips its answer is left when the context ends.
func TestDial_SlowAnswers_EndWithContext(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]string{"status line": "H", "fields": "HTTP/1.1 101 X\r\nX: ", "frames": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			url := rawHTTP(t, func(conn net.Conn, key string) {
				defer close(ended)
				io.WriteString(conn, drop)
				if name == "frames" {
					io.WriteString(conn, switching+"Sec-WebSocket-Accept: "+key+"\r\n\r\n\x81\x7f\x00\x00\x00\x00\x00\x0f\xff\xff0")
				}
				io.Copy(io.Discard, conn) // until the client has left
			})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := client.Dial(ctx, url, &client.Options{Transports: []string{"websocket"}}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			wait(t, "the end of the connection", ended)
		})
	}
}

// The fields of an answer are bounded: a server that sends them without end is left.
func TestDial_EndlessFields_MemoryIsBounded(t *testing.T) {
	ended := make(chan int, 1)
	url := rawHTTP(t, func(conn net.Conn, _ string) {
		io.WriteString(conn, switching)
		line := []byte("X: " + strings.Repeat("x", 4093) + "\r\n")
		n := 0
		for ; n < 1<<30; n += len(line) {
			if _, err := conn.Write(line); err != nil {
				break
			}
		}
		ended <- n
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := client.Dial(t.Context(), url, &client.Options{Transports: []string{"websocket"}}); err == nil {
		t.Fatal("accepted")
	}
	if n := wait(t, "the end", ended); n > 32<<20 {
		t.Errorf("%d bytes were taken", n)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}
