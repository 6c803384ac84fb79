package engineio_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"posthouse/socketio/engineio"
)

// A WebSocket whose session still delivers a POST from before the upgrade waits for
// it: alone, without holding up the loop, and in order.
func TestUpgrade_DeliveryOfALastPostHoldsUpNobodyElse(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{}, 1)
	setup := func(p *peer) {
		p.receive = func(m engineio.Message) error {
			if string(m.Data) == "slow" {
				entered <- struct{}{}
				<-release
				return nil
			}
			return p.s.SendMessages(m)
		}
	}
	overTCP(t, engineio.Options{}, setup, func(t *testing.T, w *tcp) {
		for _, end := range []bool{false, true} {
			release = make(chan struct{})
			url := w.scheme() + "://" + w.addr + "/engine.io/?EIO=4&transport=polling"
			tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			client := &http.Client{Transport: tr}
			res, err := client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			p := <-w.peers
			posted := make(chan struct{})
			go func() {
				defer close(posted)
				if res, err := client.Post(url+"&sid="+sidOf(string(body)), "text/plain", strings.NewReader("4slow\x1e4a")); err == nil {
					res.Body.Close()
				}
			}()
			<-entered
			s := dialSocket(t, w.dial(), "EIO=4&transport=websocket&sid="+sidOf(string(body)), nil)
			s.send("2probe")
			s.expect(t, "3probe")
			s.conn.Write(appendMasked(appendMasked(nil, "5"), "4b"))
			eventually(t, "the upgrade", func() bool { return p.s.Transport() == "websocket" })
			s.send("4c")
			for range 8 { // one on each loop at least
				other, _ := w.websocket()
				other.send("4x")
				other.expect(t, "4x")
				other.conn.Close()
			}
			if end {
				p.s.Discard()
				for e := s.recv(); e.close == 0; e = s.recv() { // it does not wait either
				}
			}
			close(release)
			<-posted
			if !end {
				s.expect(t, "4a", "4b", "4c")
				if got := p.messages(); !slices.Equal(got, []string{"slow", "a", "b", "c"}) {
					t.Errorf("got %q", got)
				}
				eventually(t, "the handler is told", func() bool {
					p.mu.Lock()
					defer p.mu.Unlock()
					return slices.Equal(p.upgraded, []string{"websocket"})
				})
			}
			s.conn.Close()
			tr.CloseIdleConnections()
			eventually(t, "closed", p.ended)
		}
	})
}
