package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/client"
	"posthouse/socketio/engineio/internal/ws"
)

const goodOpen = `0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`

// Servers whose first packet is no open packet.
func TestDial_HostileHandshakes_AreErrors(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"empty":                "",
		"message":              "4hello",
		"noop":                 "6",
		"no type":              "hello",
		"open without data":    "0",
		"open with an array":   "0[]",
		"open cut off":         `0{"sid":"a"`,
		"no session id":        `0{"upgrades":[],"pingInterval":25000,"pingTimeout":20000}`,
		"session id a number":  `0{"sid":1,"upgrades":[],"pingInterval":25000,"pingTimeout":20000}`,
		"long session id":      `0{"sid":"` + strings.Repeat("x", 1000) + `","pingInterval":25000,"pingTimeout":20000}`,
		"no intervals":         `0{"sid":"a","upgrades":[]}`,
		"zero intervals":       `0{"sid":"a","upgrades":[],"pingInterval":0,"pingTimeout":0}`,
		"negative interval":    `0{"sid":"a","upgrades":[],"pingInterval":-1,"pingTimeout":20000}`,
		"huge interval":        `0{"sid":"a","upgrades":[],"pingInterval":1e300,"pingTimeout":20000}`,
		"interval of a month":  `0{"sid":"a","upgrades":[],"pingInterval":2592000000,"pingTimeout":20000}`,
		"interval beyond JSON": `0{"sid":"a","upgrades":[],"pingInterval":1e999,"pingTimeout":20000}`,
		"invalid UTF-8":        "0\xff",
		"base64":               "bAAAA",
	} {
		polled := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, first) }))
		defer polled.Close()
		socket := newWire(t, func(w *wireConn) { w.text(first); io.Copy(io.Discard, w.in) })
		for _, c := range []struct{ transport, url string }{{"polling", polled.URL}, {"websocket", socket}} {
			c, err := client.Dial(t.Context(), c.url, &client.Options{Transports: []string{c.transport}})
			if err == nil {
				t.Errorf("%s: accepted", name)
				c.Close()
			}
		}
	}
}

func TestDial_ServerThatNeverAnswers_EndsWithContext(t *testing.T) {
	t.Parallel()
	silent := newWire(t, func(w *wireConn) { <-w.ended })
	for _, transport := range []string{"polling", "websocket"} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := client.Dial(ctx, silent, &client.Options{Transports: []string{transport}})
		if !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(fmt.Sprint(err), "status 101") &&
			!strings.Contains(fmt.Sprint(err), "HTTP status 101") {
			t.Errorf("%s: %v", transport, err)
		}
		cancel()
	}
}

// A hostile server's frames after a good handshake, and how the connection ends.
func TestConn_HostileFrames_EndTheConnection(t *testing.T) {
	t.Parallel()
	const max = 10_000
	text := func(s string) []byte { return ws.AppendFrame(nil, ws.Text, []byte(s)) }
	fragments := func(n int) (b []byte) {
		b = append(b, 0x01, 1, '4')
		for range n {
			b = append(b, 0x00, 1, 'x')
		}
		return b
	}
	for name, c := range map[string]struct {
		bytes []byte
		cause error // nil: any
	}{
		"unknown packet type":        {text("9"), client.ErrProtocol},
		"empty packet":               {text(""), client.ErrProtocol},
		"a second open packet":       {text(goodOpen), client.ErrProtocol},
		"invalid UTF-8":              {text("4\xff\xfe"), ws.ErrUTF8},
		"masked frame":               {ws.AppendMaskedFrame(nil, ws.Text, []byte("4a"), [4]byte{1, 2, 3, 4}), ws.ErrMasked},
		"message too big":            {text("4" + strings.Repeat("x", max)), client.ErrMaxPayload},
		"length of 2^63":             {append([]byte{0x82, 127}, 0x80, 0, 0, 0, 0, 0, 0, 0), ws.ErrLength},
		"announced and not sent":     {append([]byte{0x82, 127}, 0, 0, 0, 0x7f, 0, 0, 0, 0), client.ErrMaxPayload},
		"endless fragments":          {fragments(2000), ws.ErrFragments},
		"continuation of nothing":    {[]byte{0x80, 1, 'x'}, ws.ErrContinuation},
		"message inside a message":   {[]byte{0x01, 1, '4', 0x81, 1, '4'}, ws.ErrInterleaved},
		"reserved bits: compression": {[]byte{0xc1, 2, '4', 'a'}, ws.ErrReservedBits},
		"reserved opcode":            {[]byte{0x83, 0}, ws.ErrOpcode},
		"long ping":                  {append([]byte{0x89, 126, 0, 200}, make([]byte, 200)...), ws.ErrControl},
		"ping flood":                 {[]byte(strings.Repeat("\x89\x00", 1000)), ws.ErrControlFlood},
		"bad close status":           {[]byte{0x88, 2, 0, 1}, ws.ErrCloseStatus},
		"the line cut":               {[]byte{0x81, 50, '4'}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newWire(t, func(w *wireConn) {
				w.text(goodOpen)
				w.write(c.bytes)
				if name == "the line cut" {
					return
				}
				io.Copy(io.Discard, w.in)
			})
			p := dial(t, url, &client.Options{Transports: []string{"websocket"}, MaxPayload: max})
			err := wait(t, "the end", p.ended)
			if c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("ended with %v, want %v", err, c.cause)
			}
			if reason, want := reasonOf(t, err), engineio.ReasonTransportError; c.cause != nil && reason != want {
				t.Errorf("reason %q, want %q", reason, want)
			}
		})
	}
}

// pollServer answers the handshake, then every GET with what next says.
func pollServer(t *testing.T, next func(w http.ResponseWriter)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("sid") {
			io.WriteString(w, goodOpen)
			return
		}
		next(w)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestConn_HostilePolls_EndTheConnection(t *testing.T) {
	t.Parallel()
	const max = 10_000
	for name, answer := range map[string]func(w http.ResponseWriter){
		"empty body":          func(http.ResponseWriter) {},
		"invalid UTF-8":       func(w http.ResponseWriter) { io.WriteString(w, "4\xff") },
		"unknown packet":      func(w http.ResponseWriter) { io.WriteString(w, "4a\x1e9") },
		"second open packet":  func(w http.ResponseWriter) { io.WriteString(w, goodOpen) },
		"status 500":          func(w http.ResponseWriter) { w.WriteHeader(500) },
		"unknown session":     func(w http.ResponseWriter) { http.Error(w, `{"code":1}`, 400) },
		"redirect":            func(w http.ResponseWriter) { w.Header().Set("Location", "http://127.0.0.1:1/"); w.WriteHeader(302) },
		"too long":            func(w http.ResponseWriter) { io.WriteString(w, "4"+strings.Repeat("x", max)) },
		"long without length": func(w http.ResponseWriter) { endless(w) },
		"announced, not sent": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "5"); io.WriteString(w, "4a") },
		"huge Content-Length": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000000000000")
			io.WriteString(w, "4a")
		},
		"compressed unasked": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "\x1f\x8b\x08")
		},
		"binary of revision 3": func(w http.ResponseWriter) { io.WriteString(w, "\x00\x02\xff4a") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dial(t, pollServer(t, answer), &client.Options{Transports: []string{"polling"}, MaxPayload: max})
			err := wait(t, "the end", p.ended)
			if reason := reasonOf(t, err); reason != engineio.ReasonTransportError {
				t.Errorf("reason %q: %v", reason, err)
			}
		})
	}
}

// endless writes until the client has had enough.
func endless(w http.ResponseWriter) {
	chunk := []byte(strings.Repeat("x", 64<<10))
	for range 10_000 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// Whatever a server sends, the client keeps no more than MaxPayload and a little.
func TestConn_HostileServer_MemoryIsBounded(t *testing.T) {
	const max = 1 << 20
	url := newWire(t, func(w *wireConn) {
		w.text(goodOpen)
		// A message of 1 MiB less one byte that never ends, then silence.
		w.write([]byte{0x81, 127, 0, 0, 0, 0, 0, 0x0f, 0xff, 0xff})
		w.write([]byte(strings.Repeat("4", max-2)))
		<-w.ended
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p := dial(t, url, &client.Options{Transports: []string{"websocket"}, MaxPayload: max})
	select {
	case err := <-p.ended:
		t.Fatal(err)
	case <-time.After(300 * time.Millisecond): // nothing to wait for: it must stay as it is
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4*max {
		t.Errorf("%d bytes are kept for a message of %d", grown, max)
	}
}

func TestUpgrade_HostileProbes_PollingGoesOn(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"message": "4hello", "pong without data": "3", "wrong pong": "3prob", "open": goodOpen, "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket := newWire(t, func(w *wireConn) { w.text(answer); io.Copy(io.Discard, w.in) })
			released := make(chan struct{})
			polled := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Query().Get("transport") == "websocket":
					forward(w, r, strings.TrimPrefix(socket, "http://"))
				case !r.URL.Query().Has("sid"):
					io.WriteString(w, strings.Replace(goodOpen, `[]`, `["websocket"]`, 1))
				case r.Method == http.MethodPost:
					io.WriteString(w, "ok")
				default:
					select {
					case <-released:
					case <-r.Context().Done():
						return
					}
					io.WriteString(w, "4still here\x1e1")
				}
			}))
			defer polled.Close()
			p := dial(t, polled.URL, nil)
			wait(t, "the error", p.upgraded)
			close(released)
			p.expect(t, "still here", false)
			if reason := reasonOf(t, wait(t, "the end", p.ended)); reason != engineio.ReasonTransportClose {
				t.Error(reason)
			}
		})
	}
}

// FuzzReceive feeds whatever a server may send behind its handshake.
func FuzzReceive(f *testing.F) {
	f.Add([]byte("\x81\x024a\x82\x03abc\x81\x012"), false)
	f.Add([]byte("\x01\x024a\x80\x03abc\x89\x00\x88\x02\x03\xe8"), true)
	f.Add([]byte("\x81\x7e\xff\xff4"), false)
	f.Fuzz(func(t *testing.T, stream []byte, old bool) {
		url := newWire(t, func(w *wireConn) { w.text(goodOpen); w.write(stream) })
		o := &client.Options{Transports: []string{"websocket"}, MaxPayload: 1 << 16}
		if old {
			o.EIO = 3
		}
		c, err := client.Dial(t.Context(), url, o)
		if err != nil {
			return // the line was cut first
		}
		size := 0
		err = c.Serve(t.Context(), client.Handler{Message: func(m engineio.Message) error { size += len(m.Data); return nil }})
		var closed *client.CloseError
		if !errors.As(err, &closed) || size > len(stream) {
			t.Fatalf("%v; %d bytes from %d", err, size, len(stream))
		}
	})
}

// FuzzPoll feeds whatever may be in the answer to a poll.
func FuzzPoll(f *testing.F) {
	f.Add([]byte("4a\x1ebAQID\x1e2"), false)
	f.Add([]byte("2:4a6:b4AQID"), true)
	f.Add([]byte("\x00\x02\xff4a\x01\x04\xff\x04abc"), true)
	f.Fuzz(func(t *testing.T, body []byte, old bool) {
		open, o := goodOpen, &client.Options{Transports: []string{"polling"}, MaxPayload: 1 << 16}
		if old {
			o.EIO, open = 3, fmt.Sprint(len(goodOpen), ":", goodOpen)
		}
		polls := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case !r.URL.Query().Has("sid"):
				io.WriteString(w, open)
			case r.Method == http.MethodPost:
			case polls > 0:
				w.WriteHeader(400)
			default:
				polls++
				if len(body) > 0 && body[0] < 2 {
					w.Header().Set("Content-Type", "application/octet-stream")
				}
				w.Write(body)
			}
		}))
		defer s.Close()
		c, err := client.Dial(t.Context(), s.URL, o)
		if err != nil {
			t.Fatal(err)
		}
		var closed *client.CloseError
		if err := c.Serve(t.Context(), client.Handler{}); !errors.As(err, &closed) {
			t.Fatal(err)
		}
	})
}
