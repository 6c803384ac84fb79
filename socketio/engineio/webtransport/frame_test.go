package webtransport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"posthouse/socketio/engineio/internal/ws"
)

// packets collects what a WebSocket reader, as the engine has one, makes of
// translated bytes.
type packets struct{ got []string }

func (p *packets) Message(op ws.Opcode, b []byte) error {
	p.got = append(p.got, string(rune('0'+op))+string(b))
	return nil
}

func (p *packets) Control(op ws.Opcode, b []byte) error { return p.Message(op, b) }

func readAll(t testing.TB, frames []byte) []string {
	t.Helper()
	reader := ws.NewReader(ws.NewFormat(&ws.Limits{FromServer: true, MaxControl: 1e9, MaxMessage: 1 << 21}), nil)
	defer reader.Release()
	var p packets
	if _, err := reader.Feed(frames, &p); err != nil && !errors.Is(err, ws.ErrUTF8) {
		t.Fatalf("%v after %.100q", err, p.got)
	}
	return p.got
}

// docs/conformance.md behaviour 25
func TestFrame_HeaderForms(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		1: "\x01", 125: "\x7d", 126: "\x7e\x00\x7e", 65535: "\x7e\xff\xff",
		65536: "\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 1_000_000: "\x7f\x00\x00\x00\x00\x00\x0f\x42\x40",
	} {
		if got := string(appendHeader(nil, false, n)); got != want {
			t.Errorf("text of %d: % x, want % x", n, got, want)
		}
		if got := appendHeader(nil, true, n); string(got[1:]) != want[1:] || got[0] != want[0]|0x80 {
			t.Errorf("binary of %d: % x", n, got)
		}
		p := strings.Repeat("4", n)
		d := inbound{max: 1e6}
		if got := readAll(t, d.translate(nil, append([]byte(want), p...))); len(got) != 1 || got[0] != "1"+p {
			t.Errorf("text of %d does not come in", n)
		}
	}
}

func TestBadLengthsBecomeAPacketThatIsNone(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]string{
		"empty text":    "\x00",
		"empty binary":  "\x80",
		"empty, 16 bit": "\x7e\x00\x00",
		"over maximum":  "\x7e\x03\xe9",
		"over 2^53":     "\x7f\x00\x20\x00\x00\x00\x00\x00\x00",
		"top bit":       "\xff\x80\x00\x00\x00\x00\x00\x00\x00",
	} {
		d := inbound{max: 1000}
		frames := d.translate(nil, []byte("\x024a"+h+"\x024b\x024c"))
		if got := readAll(t, frames); len(got) != 2 || got[0] != "14a" || got[1] != "1" {
			t.Errorf("%s: %q", name, got)
		}
		if len(d.translate(nil, []byte("\x024d"))) != 0 {
			t.Errorf("%s: something is read after it", name)
		}
	}
}

func TestControlFramesDoNotLeave(t *testing.T) {
	t.Parallel()
	var b []byte
	b = ws.AppendFrame(b, ws.Text, []byte("4a"))
	b = ws.AppendFrame(b, ws.Pong, []byte("pong"))
	b = ws.AppendFrame(b, ws.Binary, []byte{1, 2})
	b = ws.AppendClose(b, 1000, "bye")
	b = ws.AppendFrame(b, ws.Text, []byte("late"))
	for step := 1; step <= len(b); step++ {
		var e outbound
		var got []byte
		for rest := b; len(rest) > 0; {
			n := min(step, len(rest))
			got = e.translate(got, rest[:n])
			rest = rest[n:]
		}
		if string(got) != "\x024a\x82\x01\x02" || !e.closed {
			t.Fatalf("step %d: % x, closed %v", step, got, e.closed)
		}
	}
}

// reference parses whole frames the slow way.
func reference(p []byte, limit uint64) (out []string) {
	for len(p) > 0 {
		op, n, head := "1", uint64(p[0]&0x7f), 1
		if p[0]&0x80 != 0 {
			op = "2"
		}
		switch {
		case n == 126 && len(p) >= 3:
			n, head = uint64(binary.BigEndian.Uint16(p[1:])), 3
		case n == 127 && len(p) >= 9:
			n, head = binary.BigEndian.Uint64(p[1:]), 9
		case n >= 126:
			return out
		}
		if n == 0 || n > limit {
			return append(out, "1")
		}
		if uint64(len(p)-head) < n {
			return out
		}
		out = append(out, op+string(p[head:head+int(n)]))
		p = p[head+int(n):]
	}
	return out
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x010\x064hello\x83\x01\x02\x03"), uint64(1))
	f.Add(append([]byte("\x7e\x00\x80"), make([]byte, 128)...), uint64(2))
	f.Add([]byte("\x7f\x00\x20\x00\x00\x00\x00\x00\x00"), uint64(3))
	f.Add([]byte("\x00\x80"), uint64(4))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		const limit = 2000
		rng := rand.New(rand.NewPCG(seed, 0))
		d := inbound{max: limit}
		var frames []byte
		for rest := stream; len(rest) > 0; {
			n := 1 + rng.IntN(min(len(rest), 300))
			frames = d.translate(frames, rest[:n])
			rest = rest[n:]
		}
		if len(frames) > 2*len(stream) {
			t.Fatalf("%d bytes became %d", len(stream), len(frames))
		}
		got, want := readAll(t, bytes.Clone(frames)), reference(stream, limit)
		for i := range got {
			if i >= len(want) || got[i] != want[i] {
				t.Fatalf("packet %d: got %.100q, want %.100q", i, got, want)
			}
		}
		// Invalid text stops the WebSocket reader; only then is something missing.
		if len(got) < len(want) && strings.ToValidUTF8(want[len(got)], "") == want[len(got)] {
			t.Fatalf("got %.100q, want %.100q", got, want)
		}
		// And out again: what came in whole leaves as it came, in shortest form.
		var e outbound
		var out, expect []byte
		for rest := frames; len(rest) > 0; {
			n := 1 + rng.IntN(min(len(rest), 300))
			out = e.translate(out, rest[:n])
			rest = rest[n:]
		}
		for _, p := range want {
			expect = append(appendHeader(expect, p[0] == '2', len(p)-1), p[1:]...)
		}
		if !bytes.HasPrefix(out, expect) {
			t.Fatalf("out % x, want % x", out, expect)
		}
	})
}
