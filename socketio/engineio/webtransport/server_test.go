package webtransport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	wt "github.com/quic-go/webtransport-go"

	"posthouse/socketio/engineio"
)

func TestSession(t *testing.T) {
	r := newRig(t, engineio.Options{})
	c := r.connect(t, "0")
	_, open, err := c.next()
	if err != nil {
		t.Fatal(err)
	}
	var data struct {
		SID        string   `json:"sid"`
		Upgrades   []string `json:"upgrades"`
		MaxPayload int      `json:"maxPayload"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(open, "0")), &data); err != nil || len(data.SID) != 20 ||
		data.Upgrades == nil || len(data.Upgrades) != 0 || data.MaxPayload != 1e6 {
		t.Errorf("open packet %q: %v", open, err)
	}
	c.send(false, "4héllo")
	c.want(false, "4héllo")
	c.send(true, "\x00\x01\xff")
	c.want(true, "\x00\x01\xff")
	big := strings.Repeat("x", 999_999)
	go c.send(false, "4"+big)
	c.want(false, "4"+big)
	go c.send(true, big)
	c.want(true, big)
	c.session.CloseWithError(0, "")
	if got := r.reason(t); got != "transport close" {
		t.Errorf("reason %q", got)
	}
}

// Messages sent before Close arrive, and then the session ends within a second.
func TestCloseByTheServer(t *testing.T) {
	r := newRig(t, engineio.Options{})
	c := r.connect(t, "0")
	c.next()
	c.send(false, "4close")
	start := time.Now()
	c.want(false, "4bye")
	if _, _, err := c.next(); !errors.Is(err, io.EOF) {
		t.Errorf("err = %v, want EOF", err)
	}
	c.gone()
	if d := time.Since(start); d > 2*time.Second { // one more for a busy machine
		t.Errorf("took %v", d)
	}
	if got := r.reason(t); got != "forced close" {
		t.Errorf("reason %q", got)
	}
}

func TestHeartbeat(t *testing.T) {
	r := newRig(t, engineio.Options{PingInterval: 50 * time.Millisecond, PingTimeout: time.Second})
	c := r.connect(t, "0")
	c.next()
	for range 3 {
		c.want(false, "2")
		c.send(false, "3")
	}
	c.want(false, "2") // and no answer
	if got := r.reason(t); got != "ping timeout" {
		t.Errorf("reason %q", got)
	}
	c.gone()
}

// Packets that come with the opening packet are not lost, and the deadline of the
// opening does not outlive it.
func TestAfterTheOpening(t *testing.T) {
	r := newRig(t, engineio.Options{UpgradeTimeout: 700 * time.Millisecond, PingInterval: 900 * time.Millisecond})
	c := r.connect(t, "0")
	c.send(false, "4a")
	c.next()
	c.want(false, "4a")
	c.want(false, "2")
	c.send(false, "4b")
	c.want(false, "4b")

	_, session, err := r.dial(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := session.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	stream.SetDeadline(time.Now().Add(patience))
	stream.Write([]byte("\x010\x024x\x024y"))
	c = &client{t: t, session: session, stream: stream}
	c.next()
	c.want(false, "4x")
	c.want(false, "4y")
	session.CloseWithError(0, "")
}

// pollingSession opens a session over polling.
func (r *rig) pollingSession(t *testing.T) (sid, url string) {
	t.Helper()
	resp, err := r.http.Client().Get(r.http.URL + "/engine.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var data struct {
		SID      string   `json:"sid"`
		Upgrades []string `json:"upgrades"`
	}
	body, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(bytes.TrimPrefix(body, []byte("0")), &data); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if fmt.Sprint(data.Upgrades) != "[websocket webtransport]" {
		t.Errorf("upgrades %v", data.Upgrades)
	}
	return data.SID, r.http.URL + "/engine.io/?EIO=4&transport=polling&sid=" + data.SID
}

func TestUpgradeFromPolling(t *testing.T) {
	r := newRig(t, engineio.Options{})
	sid, url := r.pollingSession(t)
	post := func(body string) {
		t.Helper()
		resp, err := r.http.Client().Post(url, "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	post("4one\x1e4two") // the answers wait: no GET carries them
	c := r.connect(t, `0{"sid":"`+sid+`"}`)
	c.send(false, "2probe")
	c.want(false, "3probe")
	post("4three")
	c.send(false, "5")
	c.send(false, "4four")
	for _, want := range []string{"4one", "4two", "4three", "4four"} {
		c.want(false, want)
	}
	resp, err := r.http.Client().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), `"code":3`) {
		t.Errorf("a poll after the upgrade got %d %s", resp.StatusCode, body)
	}
	// A second upgrade does not disturb.
	second := r.connect(t, `0{"sid":"`+sid+`"}`)
	second.gone()
	c.send(false, "4five")
	c.want(false, "4five")
}

func TestOpeningsThatAreNone(t *testing.T) {
	r := newRig(t, engineio.Options{})
	for name, first := range map[string]string{
		"unknown sid":     `0{"sid":"AAAAAAAAAAAAAAAAAAAA"}`,
		"prototype":       `0{"sid":"__proto__"}`,
		"not JSON":        "0x",
		"another type":    "4hello",
		"sid not string":  `0{"sid":1}`,
		"deep nesting":    "0" + strings.Repeat("[", 20_000),
		"invalid UTF-8":   "0\xff",
		"probe right off": "2probe",
	} {
		t.Run(name, func(t *testing.T) {
			c := r.connect(t, first)
			c.gone()
		})
	}
	if n := r.engine.ClientsCount(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestOpeningThatNeverComes(t *testing.T) {
	r := newRig(t, engineio.Options{UpgradeTimeout: 50 * time.Millisecond})
	for name, act := range map[string]func(*wt.Session){
		"no stream":       func(*wt.Session) {},
		"an empty stream": func(s *wt.Session) { s.OpenStream() },
		"half a packet": func(s *wt.Session) {
			str, _ := s.OpenStream()
			str.Write([]byte{0x7f, 0})
		},
	} {
		_, session, err := r.dial(t, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		act(session)
		(&client{t: t, session: session}).gone()
	}
}

func TestBadFramesEndTheSessionWithAParseError(t *testing.T) {
	r := newRig(t, engineio.Options{MaxPayload: 1000})
	for name, frame := range map[string]string{
		"empty":     "\x00",
		"too long":  "\x7e\x03\xe9",
		"over 2^53": "\x7f\x00\x20\x00\x00\x00\x00\x00\x00",
		"no packet": "\x01x",
	} {
		c := r.connect(t, "0")
		c.next()
		c.stream.Write([]byte(frame))
		if got := r.reason(t); got != "parse error" {
			t.Errorf("%s: reason %q", name, got)
		}
		c.gone()
	}
}

// Messages of both sides, numbered, while the transport changes under them.
func TestUpgrade_KeepsOrder(t *testing.T) {
	const n = 300
	r := newRig(t, engineio.Options{})
	for range 5 {
		sid, url := r.pollingSession(t)
		var got []string
		poll := func() {
			resp, err := r.http.Client().Get(url)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			for p := range strings.SplitSeq(string(body), "\x1e") {
				if strings.HasPrefix(p, "4") {
					got = append(got, p)
				}
			}
		}
		post := func(i int) {
			resp, err := r.http.Client().Post(url, "text/plain", strings.NewReader(fmt.Sprint("4", i)))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		for i := range n / 3 {
			post(i)
		}
		polled := make(chan struct{})
		go func() { poll(); poll(); close(polled) }() // the second waits for the noop
		c := r.connect(t, `0{"sid":"`+sid+`"}`)
		c.send(false, "2probe")
		c.want(false, "3probe")
		for i := n / 3; i < 2*n/3; i++ {
			post(i)
		}
		<-polled
		c.send(false, "5")
		for i := 2 * n / 3; i < n; i++ {
			c.send(false, fmt.Sprint("4", i))
		}
		for len(got) < n {
			_, p, err := c.next()
			if err != nil {
				t.Fatal(len(got), err)
			}
			got = append(got, p)
		}
		for i, p := range got {
			if p != fmt.Sprint("4", i) {
				t.Fatalf("message %d is %q", i, p)
			}
		}
		c.session.CloseWithError(0, "")
	}
}

// GO-2026-4483: more streams are reset, and the session lives on.
func TestFurtherStreamsAreReset(t *testing.T) {
	r := newRig(t, engineio.Options{})
	c := r.connect(t, "0")
	c.next()
	for i := range 300 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		str, err := c.session.OpenStreamSync(ctx)
		if err != nil {
			t.Fatal(i, err)
		}
		uni, err := c.session.OpenUniStreamSync(ctx)
		cancel()
		if err != nil {
			t.Fatal(i, err)
		}
		str.SetDeadline(time.Now().Add(patience))
		str.Write([]byte("\x024x"))
		if _, err := str.Read(make([]byte, 1)); !errors.Is(err, &wt.StreamError{ErrorCode: 1, Remote: true}) {
			t.Fatalf("stream %d: %v", i, err)
		}
		uni.Write([]byte("\x024x"))
		uni.Close()
		str.CancelWrite(0)
	}
	c.session.SendDatagram([]byte("ignored"))
	c.send(false, "4still here")
	c.want(false, "4still here")
}

func TestShutdownEndsSessions(t *testing.T) {
	r := newRig(t, engineio.Options{})
	c := r.connect(t, "0")
	c.next()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	start := time.Now()
	for range 2 { // it is idempotent
		if err := r.wt.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v", d)
	}
	if got := r.reason(t); got != "transport close" {
		t.Errorf("reason %q", got)
	}
	c.gone()
}
