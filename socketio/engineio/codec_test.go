package engineio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"posthouse/socketio/engineio/internal/wire"
)

// decodeAll decodes a whole payload, as a POST does.
func decodeAll(next func([]byte) (packet, []byte, bool, error), body []byte) (ps []packet, err error) {
	for done := false; !done; {
		var p packet
		if p, body, done, err = next(body); err != nil {
			return ps, err
		}
		ps = append(ps, p)
	}
	return ps, nil
}

func show(ps []packet) string {
	var b strings.Builder
	for _, p := range ps {
		fmt.Fprintf(&b, "%c", p.Type)
		if p.Binary {
			b.WriteByte('b')
		}
		fmt.Fprintf(&b, "%q ", p.Data)
	}
	return strings.TrimSpace(b.String())
}

func TestDecodePayloads(t *testing.T) {
	tests := []struct {
		name string
		next func([]byte) (packet, []byte, bool, error)
		body string
		want string
		fail bool
	}{
		{"v4 one packet", wire.NextPacket4, "4hello", `4"hello"`, false},
		{"v4 message without data", wire.NextPacket4, "4", `4""`, false},
		{"v4 several", wire.NextPacket4, "4a\x1e2\x1ebAQID", `4"a" 2"" 4b"\x01\x02\x03"`, false},
		{"v4 empty", wire.NextPacket4, "", ``, true},
		{"v4 trailing separator", wire.NextPacket4, "4a\x1e", `4"a"`, true},
		{"v4 unknown type", wire.NextPacket4, "4a\x1e7\x1e4b", `4"a"`, true},
		{"v4 base64 of nothing", wire.NextPacket4, "b", `4b""`, false},
		{"v3 UTF-16 lengths", wire.NextText3, `2:4é11:4311["é😀"]`, `4"é" 4"311[\"é😀\"]"`, false},
		{"v3 base64", wire.NextText3, "6:b4AQID2:4x", `4b"\x01\x02\x03" 4"x"`, false},
		{"v3 base64 of another type", wire.NextText3, "6:b2AQID", `2"\x01\x02\x03"`, false},
		{"v3 base64 without type", wire.NextText3, "1:b", ``, true},
		{"v3 length in bytes", wire.NextText3, "3:4é", ``, true},
		{"v3 cut between surrogates", wire.NextText3, "2:4😀", ``, true},
		{"v3 empty packet", wire.NextText3, "0:2:4a", `4"a"`, false},
		{"v3 nothing but an empty packet", wire.NextText3, "0:", `6""`, false},
		{"v3 no length", wire.NextText3, ":4a", ``, true},
		{"v3 long length", wire.NextText3, strings.Repeat("9", 400) + ":4", ``, true},
		{"v3 negative length", wire.NextText3, "-1:4", ``, true},
		{"v3 trailing digits", wire.NextText3, "2:4a12", `4"a"`, true},
		{"v3 binary", wire.NextBinary3, "\x00\x04\x01\xff" + `4` + strings.Repeat("x", 40) + "\x01\x04\xff\x04\x01\x02\x03", `4"` + strings.Repeat("x", 40) + `" 4b"\x01\x02\x03"`, false},
		{"v3 binary without content", wire.NextBinary3, "\x01\x00\xff", ``, true},
		{"v3 binary short", wire.NextBinary3, "\x00\x05\xff4a", ``, true},
		{"v3 binary with a digit in ASCII", wire.NextBinary3, "\x00" + "2\xff4a", ``, true},
		{"v3 binary without an end of length", wire.NextBinary3, "\x00" + strings.Repeat("\x09", 400), ``, true},
		{"v3 binary of an unknown kind", wire.NextBinary3, "\x02\x02\xff4a", ``, true},
		{"v3 binary with invalid text", wire.NextBinary3, "\x00\x02\xff4\xff", ``, true},
	}
	for _, tt := range tests {
		ps, err := decodeAll(tt.next, []byte(tt.body))
		if got := show(ps); got != tt.want || (err != nil) != tt.fail {
			t.Errorf("%s: got %s, %v", tt.name, got, err)
		}
	}
}

func TestEncodePayload3(t *testing.T) {
	q := takeQueue()
	q.add(packetMessage, false, []byte("1["+strings.Repeat("x", 38)))
	q.addFrame(NewFrame(Message{Data: []byte{1, 2, 3}, Binary: true}, true))
	got, isBinary := appendPayload3(nil, q, false)
	if want := "\x00\x04\x01\xff41[" + strings.Repeat("x", 38) + "\x01\x04\xff\x04\x01\x02\x03"; string(got) != want || !isBinary {
		t.Errorf("got %q", got)
	}
	got, isBinary = appendPayload3(nil, q, true)
	if want := "41:41[" + strings.Repeat("x", 38) + "6:b4AQID"; string(got) != want || isBinary {
		t.Errorf("got %q", got)
	}
}

func TestNegotiate(t *testing.T) {
	for header, want := range map[string]encoding{
		"": encodingNone, "br": encodingNone, "gzip": encodingGzip, "GZIP": encodingGzip, "deflate": encodingDeflate,
		"gzip, deflate": encodingGzip, "deflate, gzip": encodingDeflate, "deflate;q=0.5, gzip;q=0.9": encodingGzip,
		"gzip;q=0.2, deflate ; q=0.3": encodingDeflate, "*": encodingGzip, "gzip;q=0, *": encodingDeflate,
		"gzip;q=0": encodingNone, "gzip;q=0, deflate;q=0, *": encodingNone, "*;q=0": encodingNone, "identity": encodingNone,
		"deflate;q=0.5, *;q=0.1": encodingDeflate, "gzip;q=nan": encodingNone, "gzip;q=x": encodingNone, ";;,,;=": encodingNone,
	} {
		if got := negotiate(header); got != want {
			t.Errorf("%q: %d, want %d", header, got, want)
		}
	}
}

func TestLongPayloadsDecodeInLinearTime(t *testing.T) {
	for name, f := range map[string]func(){
		"v4": func() { decodeAll(wire.NextPacket4, bytes.Repeat([]byte("2\x1e"), 500_000)) },
		"v3": func() { decodeAll(wire.NextText3, bytes.Repeat([]byte("1:2"), 333_333)) },
	} {
		begin := time.Now()
		f()
		// 20 ms on an idle machine; minutes if it were quadratic.
		if d := time.Since(begin); d > 20*time.Second {
			t.Errorf("%s: %v", name, d)
		}
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := &Session{srv: NewServer(nil), revision: 4, handler: ignore{}}
	s.poll = &polling{s: s}
	m := []Message{{Data: bytes.Repeat([]byte("x"), 100)}}
	frames := []*Frame{NewFrame(Message{Data: []byte("shared")}, true)}
	frames[0].wire(formV4, nil)
	polling := testing.AllocsPerRun(1000, func() {
		s.SendMessages(m...)
		s.Send(frames...)
		buf := takeBuffer()
		buf.b = appendPayload4(buf.b, s.poll.sendQueue)
		buf.release()
		s.poll.sendQueue.release()
		s.poll.sendQueue = nil
	})
	s.poll = nil
	st := &wsTransport{s: s, corked: true, fd: -1}
	s.ws = st
	corked := testing.AllocsPerRun(1000, func() {
		s.SendMessages(m...)
		s.Send(frames...)
		st.sendBuf.release()
		st.sendBuf = nil
	})
	encoded := []byte("4hello")
	received := testing.AllocsPerRun(1000, func() {
		p, _ := wire.DecodeText(encoded, 4)
		s.receive(p)
	})
	if polling != 0 || corked != 0 || received != 0 {
		t.Errorf("allocations: polling %v, corked %v, received %v", polling, corked, received)
	}
}

func FuzzDecodeText(f *testing.F) {
	for _, s := range []string{"", "4", "4hello", "2probe", "bAQID", "b4AQID", "b-_ \n=", "7", "b"} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, four bool) {
		revision := uint8(3)
		if four {
			revision = 4
		}
		p, err := wire.DecodeText(bytes.Clone(b), revision)
		if err != nil {
			return
		}
		_, again := wirePayload(nil, formOf(revision, true), p.Type, p.Binary, p.Data)
		q, err := wire.DecodeText(again, revision)
		if err != nil || q.Type != p.Type || q.Binary != p.Binary || !bytes.Equal(q.Data, p.Data) {
			t.Fatalf("%q became %v, then %v (%v)", b, p, q, err)
		}
	})
}

// refill makes a queue of decoded packets.
func refill(ps []packet) *queue {
	q := new(queue)
	for _, p := range ps {
		q.add(p.Type, p.Binary, p.Data)
	}
	return q
}

func fuzzPayload(f *testing.F, next func([]byte) (packet, []byte, bool, error), encode func(*queue) []byte, text bool) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if text && !utf8.Valid(b) {
			return // a POST is checked before
		}
		ps, err := decodeAll(next, bytes.Clone(b))
		if err != nil || len(ps) == 0 {
			return
		}
		if slices.ContainsFunc(ps, func(p packet) bool { return !p.Binary && !utf8.Valid(p.Data) }) {
			return // a ping and its like with binary data: no client sends that, so nothing encodes it
		}
		want := show(ps)
		again, err := decodeAll(next, encode(refill(ps)))
		if err != nil || show(again) != want {
			t.Fatalf("%q: %s became %s, %v", b, want, show(again), err)
		}
	})
}

func FuzzPayload4(f *testing.F) {
	for _, s := range []string{"4a", "4a\x1ebAQID\x1e2", "4\x1e", "", "b\x1eb"} {
		f.Add([]byte(s))
	}
	fuzzPayload(f, wire.NextPacket4, func(q *queue) []byte { return appendPayload4(nil, q) }, true)
}

func FuzzPayload3Text(f *testing.F) {
	for _, s := range []string{"2:4a", "6:b4AQID2:4x", `11:4311["é😀"]`, "0:", "0:0:2:4a", "2:4a1", "1:2"} {
		f.Add([]byte(s))
	}
	fuzzPayload(f, wire.NextText3, func(q *queue) []byte { b, _ := appendPayload3(nil, q, true); return b }, true)
}

func FuzzPayload3Binary(f *testing.F) {
	for _, s := range []string{"\x00\x02\xff4a", "\x01\x04\xff\x04\x01\x02\x03\x00\x01\xff2", "\x01\x00\xff"} {
		f.Add([]byte(s))
	}
	fuzzPayload(f, wire.NextBinary3, func(q *queue) []byte {
		if !q.hasBinary() { // then the encoder writes text
			var dst []byte
			for i := range q.queuedItems {
				dst = wire.AppendBinary3(dst, q.packet(i))
			}
			return dst
		}
		b, _ := appendPayload3(nil, q, false)
		return b
	}, false)
}

func FuzzJSONP(f *testing.F) {
	f.Add("a\\nb \u2028 \x00 \xff \"")
	f.Fuzz(func(t *testing.T, s string) {
		quoted := appendQuoted(nil, s)
		var back string
		if err := json.Unmarshal(quoted, &back); err != nil || back != strings.ToValidUTF8(strings.Join(strings.Split(s, ""), ""), "\ufffd") && utf8.ValidString(s) {
			t.Fatalf("%q became %s: %v", s, quoted, err)
		}
		if bytes.ContainsAny(quoted, "\u2028\u2029\n\r") {
			t.Fatalf("%s is no script", quoted)
		}
		unescapeNewlines(s)
		jsonpBody([]byte(s))
	})
}

func FuzzQueryAndHeaders(f *testing.F) {
	f.Add("EIO=4&transport=polling&sid=x&j=1&b64=1", "gzip;q=0.5, *")
	f.Fuzz(func(t *testing.T, query, accept string) {
		q := parseQuery(query)
		if q.revision != 3 && q.revision != 4 && q.revision != 0 || strings.Trim(digits(q.jsonpParam), "0123456789") != "" {
			t.Fatalf("%+v", q)
		}
		negotiate(accept)
		_ = validOrigin(accept)
	})
}

func BenchmarkDecodePayload4(b *testing.B) {
	body := slices.Concat(bytes.Repeat([]byte("4hello world\x1e"), 15), []byte("4end"))
	for b.Loop() {
		rest, done := body, false
		for !done {
			_, rest, done, _ = wire.NextPacket4(rest)
		}
	}
}

func BenchmarkEncodePayload4(b *testing.B) {
	q := takeQueue()
	for range 16 {
		q.add(packetMessage, false, []byte("hello world"))
	}
	var dst []byte
	for b.Loop() {
		dst = appendPayload4(dst[:0], q)
	}
}
