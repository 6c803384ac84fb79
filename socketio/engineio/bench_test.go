package engineio_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"posthouse/socketio/engineio"
)

// startTCP serves real connections, for what pipes cannot show.
func startTCP(tb testing.TB, rd reading, o engineio.Options, setup func(p *peer)) (addr string, stop func()) {
	o.Accept = func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
		p := &peer{s: s}
		setup(p)
		return quiet{p}, nil
	}
	return rd.start(tb, o)
}

// quiet does not record.
type quiet struct{ p *peer }

func (q quiet) Receive(m engineio.Message) error { return q.p.receive(m) }
func (q quiet) Closed(engineio.Reason, error)    {}

// rawWebSocket opens a session and returns the connection behind its open packet.
func rawWebSocket(tb testing.TB, addr string) (net.Conn, *bufio.Reader) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	return conn, openRaw(tb, conn)
}

// openRaw is rawWebSocket on a connection.
func openRaw(tb testing.TB, conn net.Conn) *bufio.Reader {
	io.WriteString(conn, "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"+upgradeHead+"\r\n")
	br := bufio.NewReaderSize(conn, 64<<10)
	res, err := http.ReadResponse(br, &http.Request{Method: "GET"})
	if err != nil || res.StatusCode != 101 {
		tb.Fatal(res, err)
	}
	var head [2]byte
	io.ReadFull(br, head[:])
	n := int(head[1])
	if n == 126 {
		io.ReadFull(br, head[:])
		n = int(head[0])<<8 | int(head[1])
	}
	br.Discard(n)
	return br
}

// echoLoop returns a function that sends burst messages at once and reads the echoes.
func echoLoop(tb testing.TB, addr string, burst int) (once func(), stop func()) {
	conn, br := rawWebSocket(tb, addr)
	var out []byte
	msg := "4" + strings.Repeat("x", 99)
	for range burst {
		out = appendMasked(out, msg)
	}
	back := burst * (len(msg) + 2)
	return func() {
		if _, err := conn.Write(out); err != nil {
			tb.Fatal(err)
		}
		if _, err := br.Discard(back); err != nil {
			tb.Fatal(err)
		}
	}, func() { conn.Close() }
}

func TestEchoDoesNotAllocate(t *testing.T) {
	if engineio.RaceEnabled() {
		t.Skip("the race detector allocates")
	}
	addr, stop := startTCP(t, reading{serve: true}, engineio.Options{}, echo)
	defer stop()
	for _, burst := range []int{1, 16} {
		once, end := echoLoop(t, addr, burst)
		once()
		if n := testing.AllocsPerRun(2000, once); n >= 0.5 {
			t.Errorf("burst of %d: %v allocations", burst, n)
		}
		end()
	}
}

func BenchmarkEcho(b *testing.B) {
	for _, burst := range []int{1, 16} {
		b.Run("burst="+strconv.Itoa(burst), func(b *testing.B) {
			addr, stop := startTCP(b, reading{serve: true}, engineio.Options{}, echo)
			defer stop()
			once, end := echoLoop(b, addr, burst)
			defer end()
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}

func BenchmarkBroadcast(b *testing.B) {
	const members = 100
	var flushed sync.WaitGroup
	var all []*engineio.Session
	addr, stop := startTCP(b, reading{serve: true}, engineio.Options{}, func(p *peer) { all = append(all, p.s) })
	defer stop()
	for range members {
		conn, br := rawWebSocket(b, addr)
		defer conn.Close()
		go io.Copy(io.Discard, br)
	}
	for i, burst := range []int{1, 10, 1, 10} {
		b.Run([]string{"send", "soon"}[i/2]+"/burst="+strconv.Itoa(burst), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for range burst {
					f := text(strings.Repeat("x", 100))
					for _, s := range all {
						if i < 2 {
							s.Send(f)
						} else {
							s.SendSoon(f)
						}
					}
				}
				flushed.Add(1) // the flusher goes in this order too
				all[members-1].AfterFlush(flushed.Done)
				flushed.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*members*burst), "ns/delivery")
		})
	}
}

func BenchmarkPollingRoundTrip(b *testing.B) {
	addr, stop := startTCP(b, reading{serve: true}, engineio.Options{}, echo)
	defer stop()
	tr := &http.Transport{DisableCompression: true}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	url := "http://" + addr + "/engine.io/?EIO=4&transport=polling"
	fetch := func(res *http.Response, err error) string {
		if err != nil {
			b.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return string(body)
	}
	url += "&sid=" + sidOf(fetch(client.Get(url)))
	b.ReportAllocs()
	for b.Loop() {
		fetch(client.Post(url, "text/plain", strings.NewReader("4hello")))
		fetch(client.Get(url))
	}
}
