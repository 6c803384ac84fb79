package engineio_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// TestUpgrade_KeepsOrder sends 10 000 numbered messages each way while the
// session moves from polling to WebSocket, with every way of reading in turn.
// POSTHOUSE_UPGRADES says how often.
func TestUpgrade_KeepsOrder(t *testing.T) {
	runs := 6
	if n, err := strconv.Atoi(os.Getenv("POSTHOUSE_UPGRADES")); err == nil {
		runs = n
	}
	for i := range runs {
		upgradeOnce(t, i)
		if t.Failed() {
			t.Fatalf("run %d", i)
		}
	}
}

const numbered = 10_000

// counter checks that numbers come in order.
type counter struct {
	t    *testing.T
	who  string
	next int
	done chan struct{}
}

func newCounter(t *testing.T, who string) *counter {
	return &counter{t: t, who: who, done: make(chan struct{})}
}

func (c *counter) take(s string) {
	if s != strconv.Itoa(c.next) {
		c.t.Errorf("%s: got %q, want %d", c.who, s, c.next)
		return
	}
	if c.next++; c.next == numbered {
		close(c.done)
	}
}

func upgradeOnce(t *testing.T, run int) {
	up, down := newCounter(t, "server"), newCounter(t, "client")
	var senders sync.WaitGroup
	var server *peer
	rd := []reading{{}, {goroutines: true}, {serve: true}}[run%3]
	addr, stop := rd.start(t, engineio.Options{
		MaxBuffered: 8 << 20,
		Accept: func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
			p := &peer{s: s, receive: func(m engineio.Message) error { up.take(string(m.Data)); return nil }}
			server = p
			senders.Go(func() {
				for i := range numbered {
					if i%3 == 0 {
						s.Send(text(strconv.Itoa(i)))
					} else {
						s.SendMessages(engineio.Message{Data: strconv.AppendInt(nil, int64(i), 10)})
					}
					if i%500 == 0 {
						time.Sleep(time.Millisecond) // real time: lets polls and the upgrade come between
					}
				}
			})
			return p, nil
		},
	})
	defer senders.Wait()
	defer stop()
	c := &upgrader{t: t, url: "http://" + addr + "/engine.io/?EIO=4&transport=polling", down: down}
	c.run(addr, 1+run%40)
	for _, ch := range []chan struct{}{up.done, down.done} {
		select {
		case <-ch:
		case <-time.After(5 * time.Second):
			reason, err := server.end()
			t.Fatalf("run %d: server has %d, client has %d, closed %q %v", run, up.next, down.next, reason, err)
		}
	}
}

// upgrader is a client that behaves as engine.io-client does.
type upgrader struct {
	t    *testing.T
	url  string
	down *counter
	sent int
}

// run polls, posts some batches, and upgrades in the middle.
func (c *upgrader) run(addr string, batches int) {
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	sid := sidOf(c.poll(client))
	c.url += "&sid=" + sid
	paused := make(chan struct{})
	polling := make(chan struct{})
	go func() {
		defer close(polling)
		for {
			for p := range strings.SplitSeq(c.poll(client), "\x1e") {
				if strings.HasPrefix(p, "4") {
					c.down.take(p[1:])
				}
			}
			select {
			case <-paused:
				return
			default:
			}
		}
	}()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	for range batches {
		c.post(client, 37)
	}
	s := dialSocket(c.t, conn, "EIO=4&transport=websocket&sid="+sid, nil)
	s.send("2probe")
	for range batches {
		c.post(client, 11)
	}
	s.expect(c.t, "3probe")
	close(paused)
	<-polling
	s.send("5")
	for c.sent < numbered {
		s.send("4" + strconv.Itoa(c.sent))
		c.sent++
	}
	for c.down.next < numbered && !c.t.Failed() {
		e := s.recv()
		if e.close != 0 {
			c.t.Errorf("websocket ended: %+v", e)
			return
		}
		if strings.HasPrefix(e.text, "4") {
			c.down.take(e.text[1:])
		}
	}
	s.conn.Close()
	for s.recv().close == 0 {
	}
}

func (c *upgrader) poll(client *http.Client) string {
	res, err := client.Get(c.url)
	if err != nil {
		c.t.Error(err)
		return ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		c.t.Errorf("poll: %d %s %v", res.StatusCode, b, err)
	}
	return string(b)
}

func (c *upgrader) post(client *http.Client, n int) {
	var b bytes.Buffer
	for i := range n {
		if i > 0 {
			b.WriteByte(0x1e)
		}
		b.WriteString("4" + strconv.Itoa(c.sent))
		c.sent++
	}
	res, err := client.Post(c.url, "text/plain", &b)
	if err != nil {
		c.t.Error(err)
		return
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		c.t.Errorf("post: %d", res.StatusCode)
	}
}
