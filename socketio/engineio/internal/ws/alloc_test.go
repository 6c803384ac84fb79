package ws_test

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"

	"posthouse/internal/testenv"

	"posthouse/socketio/engineio/internal/ws"
)

// silent takes everything and does nothing, except that it answers into a
// reused buffer.
type silent struct{ out []byte }

func (s *silent) Message(op ws.Opcode, p []byte) error {
	s.out = ws.AppendFrame(s.out, op, p)
	return nil
}

func (s *silent) Control(op ws.Opcode, p []byte) error {
	s.out = ws.AppendAnswer(s.out, op, p)
	return nil
}

func TestNoAllocationPerMessage(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector empties pools at random")
	}
	// Every control frame of a run is within the limit.
	f := ws.NewFormat(&ws.Limits{MaxControl: 1e9})
	for name, cut := range map[string]int{"in one read": 1 << 20, "in pieces": 100, "byte by byte": 1} {
		var stream []byte
		stream = whole(ws.Text, strings.Repeat("é", 50)).append(stream)
		stream = whole(ws.Binary, strings.Repeat("x", 5000)).append(stream)
		stream = whole(ws.Ping, "ping").append(stream)
		stream = part(ws.Text, "frag").append(stream)
		stream = whole(ws.Ping, "ping").append(stream)
		stream = whole(ws.Continuation, "ment").append(stream)
		rd := ws.NewReader(f, nil)
		h := &silent{out: make([]byte, 0, 16<<10)}
		work := make([]byte, len(stream))
		if n := testing.AllocsPerRun(100, func() {
			h.out = h.out[:0]
			copy(work, stream)
			for p := work; len(p) > 0; {
				n := min(cut, len(p))
				if _, err := rd.Feed(p[:n], h); err != nil {
					t.Fatal(err)
				}
				p = p[n:]
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestIdleReaderIsAFewWords(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(ws.Reader{}); n > 64 {
		t.Errorf("a Reader is %d bytes", n)
	}
}

func BenchmarkFeed(b *testing.B) {
	for name, size := range map[string]int{"90B": 90, "1KiB": 1024, "64KiB": 64 << 10} {
		b.Run(name, func(b *testing.B) {
			msg := whole(ws.Text, strings.Repeat("x", size)).append(nil)
			frames := max(1, 16384/len(msg))
			stream := bytes.Repeat(msg, frames)
			work := make([]byte, len(stream))
			rd := ws.NewReader(ws.NewFormat(nil), nil)
			h := &silent{out: make([]byte, 0, 2*len(stream))}
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				copy(work, stream)
				h.out = h.out[:0]
				if _, err := rd.Feed(work, h); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*frames), "ns/frame")
		})
	}
}

func BenchmarkDeflateMessage(b *testing.B) {
	d, _ := negotiated(b, &ws.DeflateOptions{}, "permessage-deflate")
	p := payload("json", 4096)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = d.AppendMessage(out[:0], ws.Text, p)
	}
}

func BenchmarkInflateMessage(b *testing.B) {
	d, _ := negotiated(b, &ws.DeflateOptions{}, "permessage-deflate")
	msg := frame{true, 4, ws.Binary, deflated(b, payload("json", 4096))}.append(nil)
	work := make([]byte, len(msg))
	rd := ws.NewReader(ws.NewFormat(nil), d)
	h := &silent{}
	b.ReportAllocs()
	for b.Loop() {
		copy(work, msg)
		h.out = h.out[:0]
		if _, err := rd.Feed(work, h); err != nil {
			b.Fatal(err)
		}
	}
}
