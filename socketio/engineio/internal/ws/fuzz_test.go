package ws_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"posthouse/socketio/engineio/internal/ws"
)

// feedAll gives the stream to a fresh reader, cut by next, and returns what was
// delivered and how it ended.
func feedAll(stream []byte, d *ws.Deflate, next func(left int) int) (got []string, end error) {
	rd := ws.NewReader(ws.NewFormat(&ws.Limits{MaxMessage: 4096, MaxFragments: 8, MaxControl: 1 << 20}), d)
	defer rd.Release()
	var rec recorder
	for rest := bytes.Clone(stream); len(rest) > 0 && end == nil; {
		n := next(len(rest))
		var used int
		used, end = rd.Feed(rest[:n:n], &rec)
		if end == nil && used != n {
			return rec.got, fmt.Errorf("used %d of %d bytes without error", used, n)
		}
		// The reader must not look at these again.
		for i := range n {
			rest[i] = 0xAA
		}
		rest = rest[n:]
	}
	return rec.got, end
}

func FuzzReaderSegmentation(f *testing.F) {
	for _, c := range autobahnCases() {
		var stream []byte
		for _, fr := range c.frames {
			stream = fr.append(stream)
		}
		if len(stream) < 1<<12 {
			f.Add(stream, uint64(len(stream)), false)
		}
	}
	for _, n := range []uint64{1<<63 - 1, 1 << 32, 1 << 63, 4097} {
		f.Add(announce(ws.Binary, n), n, false)
	}
	f.Add(frame{true, 4, ws.Text, deflated(f, payload("json", 3000))}.append(nil), uint64(1), true)
	f.Add(frame{true, 4, ws.Binary, deflated(f, make([]byte, 1<<16))}.append(nil), uint64(1), true)
	twice := frame{true, 4, ws.Text, deflated(f, payload("json", 700))}.append(nil)
	f.Add(append(twice, twice...), uint64(1), true)
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64, compressed bool) {
		use := func() (d *ws.Deflate) { // a history is a connection's own
			if compressed {
				d, _ = negotiated(t, &ws.DeflateOptions{History: ws.MinHistory * int(seed&1)}, "permessage-deflate; client_max_window_bits")
			}
			return d
		}
		want, wantEnd := feedAll(stream, use(), func(left int) int { return left })
		rng := rand.New(rand.NewPCG(seed, 0))
		for name, next := range map[string]func(int) int{
			"bytes":  func(int) int { return 1 },
			"random": func(left int) int { return 1 + rng.IntN(min(left, 40)) },
		} {
			got, end := feedAll(stream, use(), next)
			if !slices.Equal(got, want) {
				t.Errorf("%s: delivered %.200q, in one piece %.200q", name, got, want)
			}
			if !errors.Is(end, wantEnd) {
				t.Errorf("%s: ended with %v, in one piece with %v", name, end, wantEnd)
			}
		}
	})
}

func FuzzInflate(f *testing.F) {
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"))
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"))
	f.Add(deflated(f, make([]byte, 1<<20)))
	f.Add(bytes.Repeat([]byte("\x03\x00"), 100))
	d, _ := negotiated(f, &ws.DeflateOptions{Threshold: -1}, "permessage-deflate")
	f.Fuzz(func(t *testing.T, body []byte) {
		const limit = 1 << 14
		e := newEcho(&ws.Limits{MaxMessage: limit}, d)
		e.feed(frame{true, 4, ws.Binary, body}.append(nil))
		if e.err != nil {
			return
		}
		z := e.out[0]&0x40 != 0
		e.out[0] &^= 0x40
		got := []byte(parseSent(t, e.out)[0].payload)
		if z {
			got = inflated(t, got)
		}
		if len(got) > limit {
			t.Fatalf("%d bytes inflated, the limit is %d", len(got), limit)
		}
		// A message that came out once, compressed again by another, comes out the same.
		again := newEcho(&ws.Limits{MaxMessage: limit}, d)
		again.feed(frame{true, 4, ws.Binary, deflated(t, got)}.append(nil))
		if again.err != nil || !bytes.Equal(again.out[1:], e.out[1:]) {
			t.Fatalf("not the same again: %v", again.err)
		}
	})
}

func FuzzExtensions(f *testing.F) {
	f.Add(`permessage-deflate; client_max_window_bits="10"; server_max_window_bits=9, x; =`)
	f.Fuzz(func(t *testing.T, offer string) {
		r := upgradeRequest()
		r.Header["Sec-Websocket-Extensions"] = []string{offer}
		r.Header["Sec-Websocket-Protocol"] = []string{offer}
		ws.Negotiate(r, &ws.DeflateOptions{})
		delete(r.Header, "Sec-Websocket-Protocol")
		if hs, err := ws.Negotiate(r, &ws.DeflateOptions{}); err == nil {
			if b := hs.AppendResponse(nil, nil); bytes.Count(b, []byte("\r\n\r\n")) != 1 {
				t.Errorf("answer %q", b)
			}
		}
	})
}
