package ws_test

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"posthouse/internal/testenv"

	"posthouse/socketio/engineio/internal/ws"
)

// deflated compresses one message as RFC 7692 §7.2.1 says.
func deflated(t testing.TB, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 6)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(p)
	w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// inflated is the client's view of a compressed message.
func inflated(t testing.TB, p []byte) []byte {
	t.Helper()
	out, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(p), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// negotiated returns what a server with o grants to an offer.
func negotiated(t testing.TB, o *ws.DeflateOptions, offer string) (*ws.Deflate, string) {
	t.Helper()
	r := upgradeRequest()
	r.Header.Set("Sec-WebSocket-Extensions", offer)
	hs, err := ws.Negotiate(r, o)
	if err != nil {
		t.Fatalf("offer %q: %v", offer, err)
	}
	answer := ""
	for line := range strings.SplitSeq(string(hs.AppendResponse(nil, nil)), "\r\n") {
		if v, ok := strings.CutPrefix(line, "Sec-WebSocket-Extensions: "); ok {
			answer = v
		}
	}
	return hs.Deflate, answer
}

// payloads of the kinds that the suite's section 12 uses.
func payload(kind string, n int) []byte {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	var b bytes.Buffer
	for b.Len() < n {
		switch kind {
		case "json":
			row, _ := json.Marshal(map[string]any{"id": rng.IntN(1e6), "name": "Änne", "tags": []string{"a", "b"}, "v": rng.Float64()})
			b.Write(row)
		case "binary":
			fmt.Fprintf(&b, "%c%c\x00\x00", rng.IntN(256), rng.IntN(256))
		case "noise":
			b.WriteByte(byte(rng.IntN(256)))
		}
	}
	return b.Bytes()[:n]
}

// The subset: 12.1 (text) and 12.2 (binary) and incompressible bytes, in all
// ten sizes of each, whole and in 256-octet fragments, under each of the seven
// parameter sets of section 13.
func TestAutobahnSections12And13(t *testing.T) {
	t.Parallel()
	offers := []string{
		"permessage-deflate",
		"permessage-deflate; client_no_context_takeover; server_no_context_takeover",
		"permessage-deflate; client_max_window_bits; server_max_window_bits=9",
		"permessage-deflate; client_max_window_bits; server_max_window_bits=15",
		"permessage-deflate; client_max_window_bits=9; server_no_context_takeover; server_max_window_bits=9",
		"permessage-deflate; client_max_window_bits; server_no_context_takeover; server_max_window_bits=15",
		"permessage-deflate; server_no_context_takeover; server_max_window_bits=9, permessage-deflate; server_no_context_takeover, permessage-deflate",
	}
	sizes := []int{16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072}
	if testenv.Race {
		sizes = []int{16, 1024, 16384} // an inflater is slow then
	}
	for i, offer := range offers {
		t.Run(fmt.Sprintf("13.%d", i+1), func(t *testing.T) {
			t.Parallel()
			d, _ := negotiated(t, &ws.DeflateOptions{Threshold: -1}, offer)
			if d == nil {
				t.Fatal("not granted")
			}
			small := strings.Contains(offer, "server_max_window_bits=9")
			for _, kind := range []string{"json", "binary", "noise"} {
				for _, n := range sizes {
					op := ws.Binary
					p := payload(kind, n)
					if kind == "json" {
						op, p = ws.Text, bytes.ToValidUTF8(p, []byte("?"))
					}
					for _, pieces := range []int{1 << 20, 256} {
						e := newEcho(nil, d)
						for j, f := range fragments(op, string(deflated(t, p)), pieces) {
							if j == 0 {
								f.rsv = 4
							}
							e.feed(f.append(nil))
						}
						if e.err != nil {
							t.Fatalf("%s of %d: %v", kind, n, e.err)
						}
						compressed := e.out[0]&0x40 != 0
						e.out[0] &^= 0x40
						got := []byte(parseSent(t, e.out)[0].payload)
						if compressed {
							got = inflated(t, got)
						}
						if !bytes.Equal(got, p) {
							t.Errorf("%s of %d came back changed", kind, n)
						}
						if small && n > 512 && compressed {
							t.Errorf("%s of %d was compressed beyond the window the client asked for", kind, n)
						}
						if kind == "json" && n == 131072 && !small && !compressed {
							t.Errorf("%s of %d was not compressed", kind, n)
						}
					}
				}
			}
		})
	}
}

func TestDeflateBombIsStoppedAtTheLimit(t *testing.T) {
	bomb := deflated(t, make([]byte, 16<<20)) // 16 MB in 16 KB
	d, _ := negotiated(t, &ws.DeflateOptions{}, "permessage-deflate")
	msg := frame{true, 4, ws.Binary, bomb}.append(nil)
	e := newEcho(nil, d)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	e.feed(msg)
	runtime.ReadMemStats(&after)
	if !errors.Is(e.err, ws.ErrTooBig) {
		t.Errorf("err = %v, want ErrTooBig", e.err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("allocated %d bytes, at most 4 MiB are allowed", n)
	}
}

func TestInflatedSizeIsLimitedExactly(t *testing.T) {
	t.Parallel()
	d, _ := negotiated(t, &ws.DeflateOptions{}, "permessage-deflate")
	for _, kind := range []string{"json", "noise"} {
		for n, want := range map[int]error{100_000: nil, 100_001: ws.ErrTooBig} {
			e := newEcho(&ws.Limits{MaxMessage: 100_000}, d)
			e.feed(frame{true, 4, ws.Binary, deflated(t, payload(kind, n))}.append(nil))
			if !errors.Is(e.err, want) {
				t.Errorf("%s of %d: err = %v, want %v", kind, n, e.err, want)
			}
		}
	}
}

func TestBrokenDeflateData(t *testing.T) {
	t.Parallel()
	d, _ := negotiated(t, &ws.DeflateOptions{}, "permessage-deflate")
	good := deflated(t, payload("json", 4096))
	cases := map[string]struct {
		body string
		op   ws.Opcode
		want error
	}{
		"garbage is 1007":                     {"\xff\xff\xff\xff", ws.Binary, ws.ErrDeflate},
		"a cut stream is 1007":                {string(good[:len(good)/2]), ws.Binary, ws.ErrDeflate},
		"compressed invalid UTF-8 is 1007":    {string(deflated(t, []byte("\xed\xa0\x80"))), ws.Text, ws.ErrUTF8},
		"thousands of final blocks are 1007":  {strings.Repeat("\x03\x00", 5000), ws.Binary, ws.ErrDeflate},
		"a back reference before the message": {"\x32\x00\x11\x00", ws.Binary, ws.ErrDeflate},
	}
	for name, c := range cases {
		e := newEcho(nil, d)
		e.feed(frame{true, 4, c.op, []byte(c.body)}.append(nil))
		if !errors.Is(e.err, c.want) {
			t.Errorf("%s: err = %v, want %v", name, e.err, c.want)
		}
	}
}

// The examples of RFC 7692 §7.2.3.
func TestDeflateExamplesOfTheRFC(t *testing.T) {
	t.Parallel()
	d, _ := negotiated(t, &ws.DeflateOptions{}, "permessage-deflate")
	for name, h := range map[string]string{
		"one block":            "f248cdc9c90700",
		"no compression":       "000500faff48656c6c6f00",
		"block marked final":   "f348cdc9c9070000",
		"two blocks":           "f248050000 00ffffcac9c90700",
		"stored block at last": "f248cdc9c907000000ffff00",
	} {
		e := newEcho(nil, d)
		body := unhex(h)
		e.feed(append(frame{false, 4, ws.Text, []byte(body[:3])}.append(nil), whole(ws.Continuation, body[3:]).append(nil)...))
		if got := parseSent(t, e.out); e.err != nil || len(got) != 1 || got[0].payload != "Hello" {
			t.Errorf("%s: %q, %v", name, got, e.err)
		}
	}
}

func TestWindowReachesOverABlockMarkedFinal(t *testing.T) {
	t.Parallel()
	d, _ := negotiated(t, &ws.DeflateOptions{Threshold: 1e6}, "permessage-deflate")
	first, second := payload("noise", 1000), payload("noise", 1000)
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 6)
	w.Write(first)
	w.Close()
	w, _ = flate.NewWriterDict(&b, 6, first)
	w.Write(second)
	w.Flush()
	if b.Len() > 1500 {
		t.Fatal("the second part does not refer to the first")
	}
	e := newEcho(nil, d)
	e.feed(frame{true, 4, ws.Binary, bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))}.append(nil))
	if e.err != nil || !bytes.HasSuffix(e.out, append(first, second...)) {
		t.Errorf("%d bytes came back, err %v", len(e.out), e.err)
	}
}

func TestCompressionBitIsRefused(t *testing.T) {
	t.Parallel()
	d, _ := negotiated(t, &ws.DeflateOptions{}, "permessage-deflate")
	for name, frames := range map[string][]frame{
		"on a control frame": {{true, 4, ws.Ping, nil}},
		"on a continuation":  {part(ws.Text, "a"), {true, 4, ws.Continuation, []byte("b")}},
		"with RSV2":          {{true, 6, ws.Text, nil}},
	} {
		e := newEcho(nil, d)
		for _, f := range frames {
			e.feed(f.append(nil))
		}
		if !errors.Is(e.err, ws.ErrReservedBits) {
			t.Errorf("%s: err = %v, want ErrReservedBits", name, e.err)
		}
	}
}

func TestDeflateOffers(t *testing.T) {
	t.Parallel()
	const granted = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for offer, want := range map[string]string{
		"permessage-deflate":                                                     granted,
		"foo, permessage-deflate":                                                granted,
		"constructor":                                                            "",
		"x-webkit-deflate-frame":                                                 "",
		"permessage-deflate; client_max_window_bits":                             granted,
		`permessage-deflate; client_max_window_bits="10"`:                        granted,
		"permessage-deflate; server_max_window_bits=12":                          granted + "; server_max_window_bits=12",
		"permessage-deflate; server_max_window_bits":                             "",
		"permessage-deflate; server_max_window_bits=7":                           "",
		"permessage-deflate; server_max_window_bits=16":                          "",
		"permessage-deflate; server_max_window_bits=08":                          "",
		"permessage-deflate; client_max_window_bits=99":                          "",
		"permessage-deflate; server_no_context_takeover=1":                       "",
		"permessage-deflate; unknown":                                            "",
		"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9": "",
		"permessage-deflate; unknown, permessage-deflate":                        granted,
	} {
		d, answer := negotiated(t, &ws.DeflateOptions{}, offer)
		if answer != want || (d != nil) != (want != "") {
			t.Errorf("offer %q: answer %q, want %q", offer, answer, want)
		}
	}
	if d, answer := negotiated(t, nil, "permessage-deflate"); d != nil || answer != "" {
		t.Error("compression must be off by default")
	}
	for _, bad := range []string{"; =", strings.Repeat(";", 8192), "a;", "a; b=", `a; b="`, `a; b=""`, `a; b="c d"`, ",", "a b", "a;" + strings.Repeat("b;", 100) + "b"} {
		r := upgradeRequest()
		r.Header.Set("Sec-WebSocket-Extensions", bad)
		if _, err := ws.Negotiate(r, &ws.DeflateOptions{}); err == nil {
			t.Errorf("offer %.40q was accepted", bad)
		}
		if _, err := ws.Negotiate(r, nil); err != nil {
			t.Errorf("offer %.40q must be ignored when compression is off: %v", bad, err)
		}
	}
}

// A broadcast costs one compression, however many connections negotiated one.
func TestFrame_For_CompressesOnceForAllConnections(t *testing.T) {
	t.Parallel()
	a, _ := negotiated(t, &ws.DeflateOptions{}, "permessage-deflate")
	b, _ := negotiated(t, &ws.DeflateOptions{}, "permessage-deflate; server_max_window_bits=15; client_max_window_bits")
	f := ws.NewFrame(ws.Text, payload("json", 5000))
	if x, y := f.For(a), f.For(b); &x[0] != &y[0] || &x[0] == &f.Bytes()[0] {
		t.Error("two compressed frames, or none")
	}
}

func TestSharedFrameIsCompressedOnlyForThoseWhoAsked(t *testing.T) {
	t.Parallel()
	d, _ := negotiated(t, &ws.DeflateOptions{}, "permessage-deflate")
	small, _ := negotiated(t, &ws.DeflateOptions{}, "permessage-deflate; server_max_window_bits=10")
	text := payload("json", 5000)
	f := ws.NewFrame(ws.Binary, text)
	if !bytes.Equal(f.For(nil), f.Bytes()) || !bytes.Equal(f.For(small), f.Bytes()) {
		t.Error("a connection without (enough) compression must get the plain frame")
	}
	z := bytes.Clone(f.For(d))
	if z[0] != 0xc2 {
		t.Fatalf("first byte %#x, want RSV1 and binary", z[0])
	}
	z[0] &^= 0x40
	if got := inflated(t, []byte(parseSent(t, z)[0].payload)); !bytes.Equal(got, text) {
		t.Error("the compressed frame holds something else")
	}
	if noise := ws.NewFrame(ws.Binary, payload("noise", 2000)); !bytes.Equal(noise.For(d), noise.Bytes()) {
		t.Error("what does not shrink must go plain")
	}
	if exact := ws.NewFrame(ws.Text, text[:1024]); bytes.Equal(exact.For(d), exact.Bytes()) {
		t.Error("at the threshold it is compressed")
	}
	if short := ws.NewFrame(ws.Text, text[:1023]); !bytes.Equal(short.For(d), short.Bytes()) {
		t.Error("below the threshold of 1024 a message goes plain")
	}
}
