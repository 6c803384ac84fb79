package ws_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio/internal/ws"
)

// allocated returns how many bytes fn allocates.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// announce is the header of a masked frame with a 64-bit length.
func announce(op ws.Opcode, n uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{0x80 | byte(op), 0x80 | 127}, n)
	return append(b, maskKey[:]...)
}

// CVE-2016-10542, GO-2020-0019, GO-2026-4841.
func TestAnnouncedLengthIsCheckedBeforeAnythingIsAllocated(t *testing.T) {
	for name, c := range map[string]struct {
		n    uint64
		want error
	}{
		"the limit":                 {1e6, nil},
		"one more":                  {1e6 + 1, ws.ErrTooBig},
		"4 GiB":                     {1 << 32, ws.ErrTooBig},
		"the biggest legal length":  {1<<63 - 1, ws.ErrTooBig},
		"top bit":                   {1 << 63, ws.ErrLength},
		"all bits":                  {1<<64 - 1, ws.ErrLength},
		"overflows with what is in": {1<<63 - 5, ws.ErrTooBig},
	} {
		for _, op := range []ws.Opcode{ws.Text, ws.Continuation} {
			for _, step := range []int{1, 100} {
				var head []byte
				limit := c.n
				if op == ws.Continuation {
					head = part(ws.Binary, "ten bytes.").append(nil)
					if c.n <= 1e6+1 {
						limit -= 10
					}
				}
				stream := announce(op, limit)
				measure := func() uint64 {
					e := newEcho(nil, nil)
					defer e.r.Release()
					e.feed(head)
					n := allocated(func() {
						for p := range slices.Chunk(stream, step) {
							e.feed(p)
						}
					})
					if !errors.Is(e.err, c.want) {
						t.Errorf("%s, opcode %d: err = %v, want %v", name, op, e.err, c.want)
					}
					return n
				}
				// The least of three: what others in the process allocate counts as well.
				if n := min(measure(), measure(), measure()); n > 4096 {
					t.Errorf("%s: %d bytes allocated for a header", name, n)
				}
			}
		}
	}
}

func TestMemoryGrowsWithWhatArrivesOnly(t *testing.T) {
	e := newEcho(nil, nil)
	e.feed(announce(ws.Binary, 1e6))
	chunk := make([]byte, 1000)
	n := allocated(func() {
		for range 100 {
			e.feed(chunk)
		}
	})
	// Doubling from 512 B up to what holds 100 000 B.
	if n > 300_000 {
		t.Errorf("%d bytes allocated for 100000 that arrived", n)
	}
	e.r.Release()
}

// CVE-2026-48779, CVE-2026-42786, docs/reliability.md §4 row 7.
func TestFragmentFloods(t *testing.T) {
	t.Parallel()
	run := func(name string, first, next frame, count int, want error) {
		t.Helper()
		e := newEcho(nil, nil)
		defer e.r.Release()
		e.feed(first.append(nil))
		b := next.append(nil)
		n := 1
		for ; n < count && e.err == nil; n++ {
			e.feed(slices.Clone(b))
		}
		if !errors.Is(e.err, want) {
			t.Errorf("%s: err = %v after %d frames, want %v", name, e.err, n, want)
		}
	}
	run("1024 fragments are fine", part(ws.Text, "a"), part(ws.Continuation, "a"), 1024, nil)
	run("the 1025th is not", part(ws.Text, "a"), part(ws.Continuation, "a"), 1025, ws.ErrFragments)
	run("empty ones count", part(ws.Text, ""), part(ws.Continuation, ""), 1_000_000, ws.ErrFragments)
	big := strings.Repeat("x", 100_000)
	run("the sum of sizes counts", part(ws.Binary, big), part(ws.Continuation, big), 11, ws.ErrTooBig)
	run("up to the limit", part(ws.Binary, big), part(ws.Continuation, big), 10, nil)
}

// docs/reliability.md §4 row 7.
func TestLimits_FragmentsFollowMaxMessage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		limits *ws.Limits
		bound  int
	}{
		{"default", nil, 1024},
		{"smaller message", &ws.Limits{MaxMessage: 4096}, 1024},
		{"larger message", &ws.Limits{MaxMessage: 4 << 20}, 4096},
		{"explicit bound", &ws.Limits{MaxMessage: 4 << 20, MaxFragments: 8}, 8},
	} {
		e := newEcho(c.limits, nil)
		e.feed(part(ws.Binary, "a").append(nil))
		next := part(ws.Continuation, "a").append(nil)
		for range c.bound - 1 {
			e.feed(slices.Clone(next))
		}
		if e.err != nil {
			t.Errorf("%s: %d fragments: %v", c.name, c.bound, e.err)
		}
		if e.feed(slices.Clone(next)); !errors.Is(e.err, ws.ErrFragments) {
			t.Errorf("%s: one fragment more: %v", c.name, e.err)
		}
		e.r.Release()
	}
}

func TestOneByteReads(t *testing.T) {
	t.Parallel()
	e := newEcho(nil, nil)
	text := strings.Repeat("é", 40_000)
	for _, b := range whole(ws.Text, text).append(nil) {
		e.feed([]byte{b})
	}
	if got := parseSent(t, e.out); len(got) != 1 || got[0].payload != text {
		t.Errorf("%d answers, err %v", len(got), e.err)
	}
}

func TestSlowMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEcho(nil, nil)
		stream := whole(ws.Text, "hello").append(nil)
		for _, b := range stream[:len(stream)-1] {
			e.feed([]byte{b})
			time.Sleep(time.Second)
		}
		if e.err != nil {
			t.Fatalf("slow is not too slow: %v", e.err)
		}
		time.Sleep(30 * time.Second)
		e.feed(stream[len(stream)-1:])
		if !errors.Is(e.err, ws.ErrSlowMessage) {
			t.Errorf("err = %v, want ErrSlowMessage", e.err)
		}
	})
}

// docs/reliability.md §4 row 7: a message may take longer than MessageTime as long
// as its bytes come at 1 KB/s.
func TestReader_MessageAtTheMinimumRate(t *testing.T) {
	for _, c := range []struct {
		name string
		rate int // bytes a second
		want error
	}{
		{"above", 1100, nil},
		{"below", 900, ws.ErrSlowMessage},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := newEcho(nil, nil)
			defer e.r.Release()
			stream := whole(ws.Binary, strings.Repeat("x", 100_000)).append(nil)
			begin := time.Now()
			for len(stream) > 0 && e.err == nil {
				n := min(c.rate, len(stream))
				e.feed(stream[:n])
				stream = stream[n:]
				time.Sleep(time.Second)
			}
			if !errors.Is(e.err, c.want) {
				t.Errorf("%s: %v after %v", c.name, e.err, time.Since(begin))
			}
			if took := time.Since(begin); c.want != nil && took > 33*time.Second {
				t.Errorf("%s: ended after %v only", c.name, took)
			}
			if c.want == nil && len(parseSent(t, e.out)) != 1 {
				t.Errorf("%s: the message was not delivered", c.name)
			}
		})
	}
}

// docs/reliability.md §4 row 10.
func TestControlFloods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, op := range []ws.Opcode{ws.Ping, ws.Pong} {
			e := newEcho(nil, nil)
			ping := func() { e.feed(whole(op, "x").append(nil)) }
			for range 5 {
				e.out = nil
				for range 50 {
					ping()
				}
				if got := len(parseSent(t, e.out)); e.err != nil || op == ws.Ping && got != 10 {
					t.Fatalf("%d pings answered within a second, want 10 (err %v)", got, e.err)
				}
				time.Sleep(time.Second)
			}
			for range 100 {
				ping()
			}
			if e.err != nil {
				t.Fatal(e.err)
			}
			if ping(); !errors.Is(e.err, ws.ErrControlFlood) {
				t.Errorf("err = %v, want ErrControlFlood", e.err)
			}
		}
	})
}

func TestMaskingIsRequiredFromClientsAndForbiddenToServers(t *testing.T) {
	t.Parallel()
	plain := ws.AppendFrame(nil, ws.Text, []byte("x"))
	masked := whole(ws.Text, "x").append(nil)
	for _, c := range []struct {
		fromServer bool
		p          []byte
		want       error
	}{{false, plain, ws.ErrUnmasked}, {true, masked, ws.ErrMasked}, {false, masked, nil}, {true, plain, nil}} {
		e := newEcho(&ws.Limits{FromServer: c.fromServer}, nil)
		e.feed(slices.Clone(c.p))
		if !errors.Is(e.err, c.want) {
			t.Errorf("fromServer %v: err = %v, want %v", c.fromServer, e.err, c.want)
		}
	}
	e := newEcho(nil, nil)
	if e.feed(ws.AppendHeader(nil, ws.Text, 300)[:2]); !errors.Is(e.err, ws.ErrUnmasked) {
		t.Errorf("known after two bytes: err = %v", e.err)
	}
}

func TestInvalidTextFailsBeforeTheFrameEnds(t *testing.T) {
	t.Parallel()
	b := whole(ws.Text, "κόσμε\xf4\x90\x80\x80edited").append(nil)
	bad := len(b) - 9 // the 0x90
	e := newEcho(nil, nil)
	for i, c := range b {
		e.feed([]byte{c})
		if (e.err != nil) != (i >= bad) {
			t.Fatalf("at octet %d of %d: err = %v", i, len(b), e.err)
		}
	}
}

// CVE-2016-10518, CVE-2026-45736: whatever the pools held before, nothing comes
// back that the peer did not send.
func TestNothingOfOthersIsEverSent(t *testing.T) {
	stale := bytes.Repeat([]byte{0xAA}, 300_000)
	for range 20 {
		var open []*echo
		for _, n := range []int{100, 600, 5000, 70_000, 300_000} {
			e := newEcho(nil, nil)
			e.feed(part(ws.Binary, string(stale[:n])).append(nil))
			e.feed(frame{false, 0, ws.Continuation, nil}.append(nil))
			open = append(open, e)
		}
		for _, e := range open {
			e.r.Release() // dirty buffers are in the pools now
		}
		for _, n := range []int{0, 1, 124, 125, 600, 70_000} {
			e := newEcho(nil, nil)
			p := strings.Repeat("z", n)
			ops := []ws.Opcode{ws.Text, ws.Ping}
			if n > 125 {
				ops = ops[:1]
			}
			for _, op := range ops {
				b := whole(op, p).append(nil)
				e.feed(b[:len(b)/2])
				e.feed(b[len(b)/2:])
			}
			e.feed(part(ws.Text, p).append(nil))
			e.feed(whole(ws.Continuation, p).append(nil))
			if bytes.IndexByte(e.out, 0xAA) >= 0 {
				t.Fatalf("payload of %d: stale bytes in the answer", n)
			}
			if e.err != nil {
				t.Fatal(e.err)
			}
		}
	}
	e := newEcho(nil, nil)
	if e.feed(whole(ws.Ping, strings.Repeat("z", 126)).append(nil)); !errors.Is(e.err, ws.ErrControl) {
		t.Errorf("ping of 126: %v", e.err)
	}
}

// pauser stops after each message.
type pauser struct{ recorder }

var errPause = errors.New("pause")

func (p *pauser) Message(op ws.Opcode, b []byte) error {
	p.recorder.Message(op, b)
	return errPause
}

func TestHandlerErrorLeavesTheRestForLater(t *testing.T) {
	t.Parallel()
	var stream []byte
	for i := range 3 {
		stream = part(ws.Text, fmt.Sprint("a", i)).append(stream)
		stream = whole(ws.Continuation, "b").append(stream)
		stream = whole(ws.Text, "c").append(stream)
	}
	rd := ws.NewReader(ws.NewFormat(nil), nil)
	var p pauser
	for len(stream) > 0 {
		n, err := rd.Feed(stream, &p)
		if !errors.Is(err, errPause) || n == 0 {
			t.Fatal(n, err)
		}
		stream = stream[n:]
	}
	if want := "[1:a0b 1:c 1:a1b 1:c 1:a2b 1:c]"; fmt.Sprint(p.got) != want {
		t.Errorf("delivered %v, want %s", p.got, want)
	}
}

func TestAfterTheEndEverythingIsDropped(t *testing.T) {
	t.Parallel()
	e := newEcho(nil, nil)
	n, err := e.r.Feed(whole(ws.Text, "late").append(whole(ws.Close, "").append(nil)), e)
	if !errors.Is(err, ws.ErrPeerClosed) || n != 6+10 {
		t.Errorf("n = %d, err = %v", n, err)
	}
	if n, err = e.r.Feed([]byte{1, 2, 3}, e); !errors.Is(err, ws.ErrPeerClosed) || n != 3 {
		t.Errorf("then n = %d, err = %v", n, err)
	}
}

// Codes the IANA registered after the RFC, which the suite does not know.
func TestLaterCloseCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]error{1012: ws.ErrPeerClosed, 1014: ws.ErrPeerClosed, 1015: ws.ErrCloseStatus} {
		e := newEcho(nil, nil)
		if e.feed(whole(ws.Close, string(binary.BigEndian.AppendUint16(nil, uint16(code)))).append(nil)); !errors.Is(e.err, want) {
			t.Errorf("%d: err = %v, want %v", code, e.err, want)
		}
	}
}

func TestAppendCloseCutsLongReasonsAtARune(t *testing.T) {
	t.Parallel()
	b := ws.AppendClose(nil, 1008, strings.Repeat("é", 100))
	if len(b) != 2+2+122 || !strings.HasSuffix(string(b), "é") {
		t.Errorf("%d bytes", len(b))
	}
	if b = ws.AppendClose(nil, 0, ""); string(b) != "\x88\x00" {
		t.Errorf("empty close is % x", b)
	}
}
