package ws_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"posthouse/socketio/engineio/internal/ws"
)

// chop says how a case's bytes reach the reader.
type chop int

const (
	inOne   chop = 0
	byFrame chop = -1
	// any positive value: that many octets at a time
)

// autobahnCase is one case of the Autobahn test suite, sections 1 to 7 and 10,
// written down from what each case sends and expects.
type autobahnCase struct {
	id     string
	frames []frame
	chop   chop
	want   []sent
	// failAt is the index of the frame with which the connection must have
	// failed at the latest (fail fast), checked when chop is byFrame.
	failAt int
}

func unhex(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}

func autobahnCases() []autobahnCase {
	var cases []autobahnCase
	add := func(id string, c chop, frames []frame, want ...sent) {
		cases = append(cases, autobahnCase{id: id, chop: c, frames: frames, want: want, failAt: -1})
	}
	one := func(f ...frame) []frame { return f }
	text := func(s string) sent { return sent{ws.Text, s} }
	pong := func(s string) sent { return sent{ws.Pong, s} }
	stop := whole(ws.Close, "\x03\xe8")

	// 1 framing
	for i, op := range []ws.Opcode{ws.Text, ws.Binary} {
		fill := []string{"*", "\xfe"}[i]
		for j, n := range []int{0, 125, 126, 127, 128, 65535, 65536, 65536} {
			c := inOne
			if j == 7 {
				c = 997
			}
			p := strings.Repeat(fill, n)
			add(fmt.Sprintf("1.%d.%d", i+1, j+1), c, one(whole(op, p), stop), sent{op, p}, bye(1000))
		}
	}

	// 2 pings and pongs
	bin := unhex("00fffefdfcfb00ff")
	fe125 := strings.Repeat("\xfe", 125)
	add("2.1", inOne, one(whole(ws.Ping, ""), stop), pong(""), bye(1000))
	add("2.2", inOne, one(whole(ws.Ping, "Hello, world!"), stop), pong("Hello, world!"), bye(1000))
	add("2.3", inOne, one(whole(ws.Ping, bin), stop), pong(bin), bye(1000))
	add("2.4", inOne, one(whole(ws.Ping, fe125), stop), pong(fe125), bye(1000))
	add("2.5", inOne, one(whole(ws.Ping, fe125+"\xfe"), stop), bye(1002))
	add("2.6", 1, one(whole(ws.Ping, fe125), stop), pong(fe125), bye(1000))
	add("2.7", inOne, one(whole(ws.Pong, ""), stop), bye(1000))
	add("2.8", inOne, one(whole(ws.Pong, "unsolicited"), stop), bye(1000))
	add("2.9", inOne, one(whole(ws.Pong, "unsolicited"), whole(ws.Ping, "p"), stop), pong("p"), bye(1000))
	var pings []frame
	var pongs []sent
	for i := range 10 {
		pings = append(pings, whole(ws.Ping, fmt.Sprintf("payload-%d", i)))
		pongs = append(pongs, pong(fmt.Sprintf("payload-%d", i)))
	}
	pings, pongs = append(pings, stop), append(pongs, bye(1000))
	add("2.10", inOne, pings, pongs...)
	add("2.11", 1, pings, pongs...)

	// 3 reserved bits
	hello := whole(ws.Text, "Hello, world!")
	ping := whole(ws.Ping, "")
	add("3.1", inOne, one(frame{true, 1, ws.Text, hello.payload}), bye(1002))
	add("3.2", inOne, one(hello, frame{true, 2, ws.Text, hello.payload}, ping), text("Hello, world!"), bye(1002))
	add("3.3", byFrame, one(hello, frame{true, 3, ws.Text, hello.payload}, ping), text("Hello, world!"), bye(1002))
	add("3.4", 1, one(hello, frame{true, 4, ws.Text, hello.payload}, ping), text("Hello, world!"), bye(1002))
	add("3.5", inOne, one(frame{true, 5, ws.Binary, []byte(bin)}), bye(1002))
	add("3.6", inOne, one(frame{true, 6, ws.Ping, hello.payload}), bye(1002))
	add("3.7", inOne, one(frame{true, 7, ws.Close, nil}), bye(1002))

	// 4 opcodes
	for i, base := range []ws.Opcode{3, 11} {
		for j := range 5 {
			f, op := []frame{whole(base+ws.Opcode(j), "")}, base+ws.Opcode(j)
			want := []sent{bye(1002)}
			c := []chop{inOne, inOne, inOne, byFrame, 1}[j]
			if j == 1 || j == 3 {
				f[0] = whole(op, "reserved opcode payload")
			}
			if j >= 2 {
				f = []frame{hello, f[0], ping}
				want = []sent{text("Hello, world!"), bye(1002)}
			}
			add(fmt.Sprintf("4.%d.%d", i+1, j+1), c, f, want...)
		}
	}

	// 5 fragmentation
	f1, f2 := part(ws.Text, "fragment1"), whole(ws.Continuation, "fragment2")
	both := text("fragment1fragment2")
	orphan, orphanOpen := whole(ws.Continuation, "non-continuation payload"), part(ws.Continuation, "non-continuation payload")
	add("5.1", inOne, one(part(ws.Ping, "fragment1"), f2), bye(1002))
	add("5.2", inOne, one(part(ws.Pong, "fragment1"), f2), bye(1002))
	for i, c := range []chop{inOne, byFrame, 1} {
		add(fmt.Sprintf("5.%d", 3+i), c, one(f1, f2, stop), both, bye(1000))
		add(fmt.Sprintf("5.%d", 6+i), c, one(f1, whole(ws.Ping, "ping payload"), f2, stop), pong("ping payload"), both, bye(1000))
		add(fmt.Sprintf("5.%d", 9+i), c, one(orphan, hello), bye(1002))
		add(fmt.Sprintf("5.%d", 12+i), c, one(orphanOpen, hello), bye(1002))
	}
	add("5.15", inOne, one(f1, f2, orphanOpen, hello), both, bye(1002))
	add("5.16", inOne, one(part(ws.Continuation, "fragment1"), f1, f2, part(ws.Continuation, "fragment1"), f1, f2), bye(1002))
	add("5.17", inOne, one(whole(ws.Continuation, "fragment1"), f1, f2, whole(ws.Continuation, "fragment1"), f1, f2), bye(1002))
	add("5.18", inOne, one(f1, whole(ws.Text, "fragment2")), bye(1002))
	long := one(f1, part(ws.Continuation, "fragment2"), whole(ws.Ping, "pongme 1!"),
		part(ws.Continuation, "fragment3"), part(ws.Continuation, "fragment4"), whole(ws.Ping, "pongme 2!"),
		whole(ws.Continuation, "fragment5"), stop)
	longSent := []sent{pong("pongme 1!"), pong("pongme 2!"), text("fragment1fragment2fragment3fragment4fragment5"), bye(1000)}
	add("5.19", inOne, long, longSent...)
	add("5.20", byFrame, long, longSent...)

	// 6 UTF-8
	add("6.1.1", inOne, one(whole(ws.Text, ""), stop), text(""), bye(1000))
	add("6.1.2", inOne, one(part(ws.Text, ""), part(ws.Continuation, ""), whole(ws.Continuation, ""), stop), text(""), bye(1000))
	add("6.1.3", inOne, one(part(ws.Text, ""), part(ws.Continuation, "middle"), whole(ws.Continuation, ""), stop), text("middle"), bye(1000))
	mixed := "Hello-µ@ßöäüàá-UTF-8!!"
	kosme := "κόσμε"
	add("6.2.1", inOne, one(whole(ws.Text, mixed), stop), text(mixed), bye(1000))
	add("6.2.2", inOne, one(part(ws.Text, mixed[:12]), whole(ws.Continuation, mixed[12:]), stop), text(mixed), bye(1000))
	add("6.2.3", inOne, append(octets(mixed), stop), text(mixed), bye(1000))
	add("6.2.4", inOne, append(octets(kosme), stop), text(kosme), bye(1000))
	surrogate := unhex("cebae1bdb9cf83cebcceb5eda080656469746564")
	add("6.3.1", inOne, one(whole(ws.Text, surrogate)), bye(1007))
	add("6.3.2", byFrame, octets(surrogate), bye(1007))
	cases[len(cases)-1].failAt = 12 // the second octet of eda080
	beyond := unhex("f4908080")
	add("6.4.1", byFrame, one(part(ws.Text, kosme), part(ws.Continuation, beyond), whole(ws.Continuation, "edited")), bye(1007))
	cases[len(cases)-1].failAt = 1
	add("6.4.2", byFrame, one(part(ws.Text, kosme+beyond[:1]), part(ws.Continuation, beyond[1:2]), whole(ws.Continuation, beyond[2:]+"edited")), bye(1007))
	cases[len(cases)-1].failAt = 1
	// 6.4.3 and 6.4.4 (one frame in chops) are TestInvalidTextFailsBeforeTheFrameEnds too.
	add("6.4.3", 11, one(whole(ws.Text, kosme+beyond+"edited")), bye(1007))
	add("6.4.4", 12, one(whole(ws.Text, kosme+beyond+"edited")), bye(1007))
	utf := func(section int, ok string, texts ...string) {
		for i, h := range texts {
			id := fmt.Sprintf("6.%d.%d", section, i+1)
			if ok[i%len(ok)] == '+' {
				add(id, inOne, one(whole(ws.Text, unhex(h)), stop), text(unhex(h)), bye(1000))
			} else {
				add(id, inOne, one(whole(ws.Text, unhex(h)), stop), bye(1007))
			}
		}
	}
	utf(5, "+", "68656c6c6f24776f726c64", "68656c6c6fc2a2776f726c64", "68656c6c6fe282ac776f726c64", "68656c6c6ff0a4ada2776f726c64", "cebae1bdb9cf83cebcceb5")
	utf(6, "-+--+-+-+-+", "ce", "ceba", "cebae1", "cebae1bd", "cebae1bdb9", "cebae1bdb9cf", "cebae1bdb9cf83", "cebae1bdb9cf83ce",
		"cebae1bdb9cf83cebc", "cebae1bdb9cf83cebcce", "cebae1bdb9cf83cebcceb5")
	utf(7, "+", "00", "c280", "e0a080", "f0908080")
	utf(8, "-", "f888808080", "fc8480808080")
	utf(9, "+", "7f", "dfbf", "efbfbf", "f48fbfbf")
	utf(10, "-", "f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf")
	utf(11, "++++-", "ed9fbf", "ee8080", "efbfbd", "f48fbfbf", "f4908080")
	continuations := make([]byte, 0, 63)
	for b := 0x81; b <= 0xbf; b++ {
		continuations = append(continuations, byte(b))
	}
	utf(12, "-", "80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf", hex.EncodeToString(continuations))
	lonely := func(from, to int) string {
		var s strings.Builder
		for b := from; b <= to; b++ {
			fmt.Fprintf(&s, "%02x20", b)
		}
		return s.String()
	}
	utf(13, "-", lonely(0xc0, 0xdf), lonely(0xe0, 0xef), lonely(0xf0, 0xf7), lonely(0xf8, 0xfb), lonely(0xfc, 0xfd))
	incomplete := []string{"c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf"}
	utf(14, "-", incomplete...)
	utf(15, "-", strings.Join(incomplete, ""))
	utf(16, "-", "fe", "ff", "fefeffff")
	utf(17, "-", "c0af", "e080af", "f08080af", "f8808080af", "fc80808080af")
	utf(18, "-", "c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf")
	utf(19, "-", "c080", "e08080", "f0808080", "f880808080", "fc8080808080")
	utf(20, "-", "eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf")
	utf(21, "-", "eda080edb080", "eda080edbfbf", "edadbfedb080", "edadbfedbfbf", "edae80edb080", "edae80edbfbf", "edafbfedb080", "edafbfedbfbf")
	var non []string
	for plane := rune(0); plane <= 16; plane++ {
		non = append(non, hex.EncodeToString([]byte(string(plane<<16|0xfffe))), hex.EncodeToString([]byte(string(plane<<16|0xffff))))
	}
	utf(22, "+", non...)
	utf(23, "+", "efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd", "efbfbe", "efbfbf")

	// 7 close handling
	closing := func(code int, reason string) frame {
		return whole(ws.Close, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
	}
	add("7.1.1", inOne, one(hello, stop), text("Hello, world!"), bye(1000))
	add("7.1.2", inOne, one(stop, stop), bye(1000))
	add("7.1.3", inOne, one(stop, ping), bye(1000))
	add("7.1.4", inOne, one(stop, hello), bye(1000))
	add("7.1.5", inOne, one(f1, stop, f2), bye(1000))
	big := strings.Repeat("BAsd7&jh23", 26214)
	add("7.1.6", inOne, one(whole(ws.Text, big), stop, ping), text(big), bye(1000))
	add("7.3.1", inOne, one(whole(ws.Close, "")), sent{ws.Close, ""})
	add("7.3.2", inOne, one(whole(ws.Close, "a")), bye(1002))
	add("7.3.3", inOne, one(stop), bye(1000))
	add("7.3.4", inOne, one(closing(1000, "Hello World!")), bye(1000))
	add("7.3.5", inOne, one(closing(1000, strings.Repeat("*", 123))), bye(1000))
	add("7.3.6", inOne, one(closing(1000, strings.Repeat("*", 124))), bye(1002))
	add("7.5.1", inOne, one(closing(1000, surrogate)), bye(1007))
	for i, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		add(fmt.Sprintf("7.7.%d", i+1), inOne, one(closing(code, "")), bye(code))
	}
	for i, code := range []int{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		add(fmt.Sprintf("7.9.%d", i+1), inOne, one(closing(code, "")), bye(1002))
	}
	add("7.13.1", inOne, one(closing(5000, "")), bye(1002))
	add("7.13.2", inOne, one(closing(65535, "")), bye(1002))

	// 10 auto-fragmentation
	p := strings.Repeat("*", 65536)
	add("10.1.1", inOne, append(fragments(ws.Text, p, 1300), stop), text(p), bye(1000))
	return cases
}

func octets(s string) []frame { return fragments(ws.Text, s, 1) }

// fragments splits one message into frames of n octets.
func fragments(op ws.Opcode, s string, n int) []frame {
	var out []frame
	for c := range slices.Chunk([]byte(s), n) {
		out = append(out, part(op, string(c)))
		op = ws.Continuation
	}
	out[len(out)-1].fin = true
	return out
}

func TestAutobahnSections1To7And10(t *testing.T) {
	t.Parallel()
	cases := autobahnCases()
	if len(cases) != 247 {
		t.Fatalf("%d cases, the suite has 247 in these sections", len(cases))
	}
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[c.id] {
			t.Fatalf("case %s twice", c.id)
		}
		seen[c.id] = true
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func (c *autobahnCase) run(t *testing.T) {
	e := newEcho(nil, nil)
	defer e.r.Release()
	var stream []byte
	for i, f := range c.frames {
		b := f.append(nil)
		if c.chop != byFrame {
			stream = append(stream, b...)
			continue
		}
		e.feed(b)
		if c.failAt == i && e.err == nil {
			t.Errorf("not failed with frame %d", i)
		}
	}
	step := int(c.chop)
	if c.chop == inOne {
		step = max(len(stream), 1)
	}
	if c.chop != byFrame {
		for p := range slices.Chunk(stream, step) {
			e.feed(p)
		}
	}
	if got := parseSent(t, e.out); !slices.Equal(got, c.want) {
		t.Errorf("answered %.120q\nwant %.120q (err %v)", got, c.want, e.err)
	}
	if e.err == nil {
		t.Error("the stream did not end")
	}
}
