package socketio_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

// pollingClient is a client that polls, by hand.
type pollingClient struct {
	t   *testing.T
	srv http.Handler
	sid string
}

func (c *pollingClient) do(method, body string) string {
	c.t.Helper()
	target := "/socket.io/?EIO=4&transport=polling"
	if c.sid != "" {
		target += "&sid=" + c.sid
	}
	w := httptest.NewRecorder()
	c.srv.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	b, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 {
		c.t.Fatalf("%s: %d %.100s %v", method, w.Code, b, err)
	}
	return string(b)
}

func dialPolling(t *testing.T, srv http.Handler) *pollingClient {
	c := &pollingClient{t: t, srv: srv}
	_, rest, _ := strings.Cut(c.do("GET", ""), `"sid":"`)
	c.sid, _, _ = strings.Cut(rest, `"`)
	c.do("POST", "40")
	c.do("GET", "")
	return c
}

// Events that a client kept until it could connect come in one payload, however
// many they are.
func TestServer_PollingPayloadOfManyEventsIsAcknowledged(t *testing.T) {
	const events = 1001
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		srv.OnEvent("e", func(e *socketio.Event) { noError(t, e.Ack()) })
		c := dialPolling(t, srv)
		payload := make([]string, events)
		for i := range payload {
			payload[i] = "42" + strconv.Itoa(i) + `["e"]`
		}
		if got := c.do("POST", strings.Join(payload, "\x1e")); got != "ok" {
			t.Fatalf("got %q", got)
		}
		for next := 0; next < events; {
			for p := range strings.SplitSeq(c.do("GET", ""), "\x1e") {
				if want := "43" + strconv.Itoa(next) + "[]"; p != want {
					t.Fatalf("got %q, want %q", p, want)
				}
				next++
			}
		}
	})
}

// A client that polls gets what a handler sends at once even when that is more than
// MaxBuffered, and Emit tells of a client that is too slow.
func TestSocket_Emit_BurstToAPollingClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		big := strings.Repeat("x", 700_000)
		srv := serve(t, nil)
		sockets := make(chan *socketio.Socket, 1)
		srv.OnConnection(func(s *socketio.Socket) { sockets <- s })
		c := dialPolling(t, srv)
		s := <-sockets
		for range 2 {
			noError(t, s.Emit("e", big))
		}
		want(t, c.do("GET", ""), `42["e","`+big+"\"]\x1e"+`42["e","`+big+`"]`)
		var err error
		for range 40 {
			if err = s.Emit("e", big); err != nil {
				break
			}
		}
		if !errors.Is(err, engineio.ErrSlow) || !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
	})
}

// A connection that neither joins a namespace nor polls has ConnectTimeout and a moment, and
// not the half minute that a closing session waits for a poll (docs/reliability.md §4 row 9).
func TestOptions_ConnectTimeout_PollingConnectionThatIsSilentIsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, &socketio.Options{ConnectTimeout: 10 * time.Second})
		dialSilent := httptest.NewRecorder()
		srv.ServeHTTP(dialSilent, httptest.NewRequest(http.MethodGet, "/socket.io/?EIO=4&transport=polling", nil))
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if n := srv.Engine().ClientsCount(); n != 1 {
			t.Errorf("after 9 s there are %d connections", n)
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if n := srv.Engine().ClientsCount(); n != 0 {
			t.Errorf("after 13 s there are %d connections", n)
		}
	})
}
