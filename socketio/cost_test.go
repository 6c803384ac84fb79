package socketio_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"posthouse/internal/testenv"

	"posthouse/socketio"
)

// rawClient is a WebSocket over loopback TCP that allocates nothing per message,
// so that what is counted is the server's.
type rawClient struct {
	net.Conn
	r   *bufio.Reader
	buf [4096]byte
}

func newRawClient(t testing.TB, url string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &rawClient{Conn: conn, r: bufio.NewReader(conn)}
	fmt.Fprint(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: cG9zdGhvdXNlLXRlc3QtIQ==\r\n\r\n")
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			break
		}
	}
	c.read(t)
	c.send(t, frame("40"))
	c.read(t)
	return c
}

func frame(text string) []byte {
	if len(text) >= 126 {
		panic("short messages only")
	}
	return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}

func (c *rawClient) send(t testing.TB, f []byte) {
	if _, err := c.Write(f); err != nil {
		t.Fatal(err)
	}
}

func (c *rawClient) read(t testing.TB) []byte {
	if _, err := io.ReadFull(c.r, c.buf[:2]); err != nil {
		t.Fatal(err)
	}
	n := int(c.buf[1])
	if n == 126 {
		if _, err := io.ReadFull(c.r, c.buf[:2]); err != nil {
			t.Fatal(err)
		}
		n = int(c.buf[0])<<8 | int(c.buf[1])
	}
	if _, err := io.ReadFull(c.r, c.buf[:n]); err != nil {
		t.Fatal(err)
	}
	return c.buf[:n]
}

// overTCP serves an echo on loopback.
func overTCP(t testing.TB) (*socketio.Server, string) {
	t.Helper()
	io := socketio.NewServer(&socketio.Options{Logger: slog.New(slog.DiscardHandler)})
	io.OnEvent("echo", func(e *socketio.Event) { _ = e.AckArgs(e.Args()) })
	srv := httptest.NewUnstartedServer(io)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	t.Cleanup(func() { _ = io.Shutdown(bg); srv.Close() })
	return io, srv.URL
}

// An event and its acknowledgement cost one allocation, the Event that the
// handler may keep; nothing below it allocates.
func TestAllocationsPerEcho(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates")
	}
	_, url := overTCP(t)
	c := newRawClient(t, url)
	msg := frame(`421["echo",{"hello":"world","n":123}]`)
	got := testing.AllocsPerRun(500, func() {
		c.send(t, msg)
		if string(c.read(t)) != `431[{"hello":"world","n":123}]` {
			t.Error("not echoed")
		}
	})
	t.Logf("%.2f allocations per echo", got)
	if got > 1 {
		t.Errorf("%.2f allocations per echo", got)
	}
}

func TestAllocationsPerEmit(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates")
	}
	io, url := overTCP(t)
	sockets := make(chan *socketio.Socket, 1)
	io.OnConnection(func(s *socketio.Socket) { sockets <- s })
	c := newRawClient(t, url)
	s := receive(t, sockets)
	got := testing.AllocsPerRun(500, func() {
		noError(t, s.Emit("hello", "world", 1))
		if string(c.read(t)) != `42["hello","world",1]` {
			t.Error("something else came")
		}
	})
	t.Logf("%.2f allocations per emit", got)
	if got > 1 {
		t.Errorf("%.2f allocations per emit", got)
	}
}

// The cost of an idle client. The first number is the heap of this package for a
// connection and its socket in one namespace (a short handshake), the second that of the whole
// process, client side, engine and goroutine stacks included.
func TestMemoryPerIdleSocket(t *testing.T) {
	if testenv.Race || testing.Short() {
		t.Skip("measures memory")
	}
	socket, connection, first := socketio.Sizes()
	t.Logf("Socket %d, conn %d, opening %d bytes", socket, connection, first)
	if socket+connection+first > 1024 {
		t.Error("the objects of an idle client are more than 1 KiB")
	}
	_, url := overTCP(t)
	const n = 400
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	newRawClient(t, url)
	conns := make([]*rawClient, n)
	before := heap()
	for i := range conns {
		conns[i] = newRawClient(t, url)
	}
	t.Logf("%d bytes for both ends of a connection", (heap()-before)/n)
	runtime.KeepAlive(conns)
}

func BenchmarkEcho(b *testing.B) {
	_, url := overTCP(b)
	c := newRawClient(b, url)
	msg := frame(`421["echo",{"hello":"world","n":123}]`)
	b.ReportAllocs()
	for b.Loop() {
		c.send(b, msg)
		c.read(b)
	}
}

func BenchmarkEchoPipelined16(b *testing.B) {
	_, url := overTCP(b)
	c := newRawClient(b, url)
	var msgs []byte
	for range 16 {
		msgs = append(msgs, frame(`421["echo",{"hello":"world","n":123}]`)...)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.send(b, msgs)
		for range 16 {
			c.read(b)
		}
	}
}

func BenchmarkBroadcast1000(b *testing.B) {
	io, url := overTCP(b)
	for range 1000 {
		c := newRawClient(b, url)
		go func() { _, _ = (&discard{c.r}).drain() }()
	}
	for b.Loop() {
		_ = io.Emit("msg", "hello")
	}
}

type discard struct{ io.Reader }

func (d *discard) drain() (int64, error) { return io.Copy(io.Discard, d.Reader) }

var _ http.Handler = (*socketio.Server)(nil)
