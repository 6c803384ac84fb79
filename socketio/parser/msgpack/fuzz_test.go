package msgpack_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"posthouse/socketio/parser/msgpack"
)

func FuzzReader(f *testing.F) {
	for _, g := range recordings(f) {
		if g.Hex != "" && len(g.Hex) < 400 {
			f.Add(unhex(f, g.Hex)[0])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// Reading token by token takes the same bytes as skipping, and ends.
		r := msgpack.NewReader(b)
		for before := r.Len() + 1; r.Len() < before; {
			before = r.Len()
			readToken(r)
		}
		text, bin, err := msgpack.JSON(b)
		r.Reset(b)
		raw, skipErr := r.Skip()
		if err == nil && (skipErr != nil || !bytes.Equal(raw, b)) {
			t.Fatalf("transcoded, but skipped %x, %v", raw, skipErr)
		}
		if err != nil {
			if !errors.Is(err, msgpack.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%x: invalid JSON %q", b, text)
		}
		// A value that was read is written and read again without change.
		again, err := msgpack.AppendValue(nil, text, bin)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		text2, bin2, err := msgpack.JSON(again)
		if err != nil || string(text2) != string(text) || len(bin)+len(bin2) > 0 && !reflect.DeepEqual(bin, bin2) {
			t.Fatalf("%s with %x became %s with %x, %v", text, bin, text2, bin2, err)
		}
	})
}

func readToken(r *msgpack.Reader) {
	switch r.Kind() {
	case msgpack.Nil:
		r.Nil()
	case msgpack.Bool:
		_, _ = r.Bool()
	case msgpack.Int:
		_, _ = r.Int()
	case msgpack.Float:
		_, _ = r.Number()
	case msgpack.String:
		_, _ = r.Text()
	case msgpack.Binary:
		_, _ = r.Binary()
	case msgpack.Array:
		_, _ = r.ArrayHeader()
	case msgpack.Map:
		_, _ = r.MapHeader()
	case msgpack.Extension:
		_, _ = r.Time()
	}
}

// AppendValue survives text that no codec has checked, and keeps the value of
// what is JSON.
func FuzzAppendValue(f *testing.F) {
	for _, s := range []string{`null`, `[1,-1,1.5,1e400,"a\u00e9\ud800"]`, `{"a":{"_placeholder":true,"num":1},"b":[[]]}`, `{"_placeholder":true,"num":7}`, `[1,`, `"\`, `{"a"1}`, `tru`} {
		f.Add([]byte(s))
	}
	bin := [][]byte{{1}, {2}}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := msgpack.AppendValue([]byte{0xff}, text, bin)
		if err != nil {
			if len(got) != 1 {
				t.Fatal("dst changed")
			}
			var compact bytes.Buffer
			if json.Compact(&compact, text) == nil && compact.String() == string(text) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if !json.Valid(text) {
			return // it said that it might take it for something
		}
		back, _, err := msgpack.JSON(got[1:])
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("placeholder")) {
			return
		}
		var want, have any
		if json.Unmarshal(text, &want) == nil && json.Unmarshal(back, &have) == nil && !reflect.DeepEqual(want, have) {
			t.Fatalf("%s became %s", text, back)
		}
	})
}

// Headers that announce more than there is cost nothing.
func TestHostileSizes(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff\xa1a", "\xdb\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff", "\xc9\xff\xff\xff\xff\x00", strings.Repeat("\xdd\xff\xff\xff\xff", 1000), strings.Repeat("\x91", 1<<20), strings.Repeat("\x81\xa1a", 1<<20)} {
		b := []byte(s)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := msgpack.JSON(b)
		_, err2 := msgpack.NewReader(b).Skip()
		runtime.ReadMemStats(&after)
		if !errors.Is(err, msgpack.ErrInvalid) || !errors.Is(err2, msgpack.ErrInvalid) {
			t.Errorf("%.10x: %v, %v", s, err, err2)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
			t.Errorf("%.10x: %d bytes allocated", s, n)
		}
	}
	deep := []byte(strings.Repeat("\x91", 600) + "\xc0")
	if _, err := msgpack.NewReader(deep).Skip(); !errors.Is(err, msgpack.ErrLimit) {
		t.Errorf("skipping 600 levels: %v", err)
	}
	if _, _, err := msgpack.JSON(deep); !errors.Is(err, msgpack.ErrLimit) {
		t.Errorf("600 levels: %v", err)
	}
	if n, err := msgpack.NewReader([]byte("\xdd\x00\x00\x00\x03\xc0\xc0")).ArrayHeader(); err == nil {
		t.Errorf("array of %d in 2 bytes", n)
	}
	if n, err := msgpack.NewReader([]byte("\x82\x01\x01\x01")).MapHeader(); err == nil {
		t.Errorf("map of %d in 3 bytes", n)
	}
	r := msgpack.NewReader(bytes.Repeat([]byte{0xc4, 0}, 100))
	r.MaxAttachments = 3
	for i := range 5 {
		if _, _, err := r.AppendJSON(nil, nil); err != nil {
			t.Fatalf("value %d: %v", i, err)
		}
	}
	r.Reset([]byte("\x94\xc4\x00\xc4\x00\xc4\x00\xc4\x00"))
	if _, _, err := r.AppendJSON(nil, nil); !errors.Is(err, msgpack.ErrLimit) {
		t.Errorf("too many attachments: %v", err)
	}
}

var sample = []byte(`["message",{"id":12345,"room":"lobby","text":"The quick brown fox jumps over the lazy dog, again and again.","tags":["a","b"],"ok":true,"at":1706929362789},{"_placeholder":true,"num":0}]`)

func BenchmarkAppendValue(b *testing.B) {
	bin := [][]byte{make([]byte, 32)}
	var dst []byte
	b.SetBytes(int64(len(sample)))
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = msgpack.AppendValue(dst[:0], sample, bin)
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	src, err := msgpack.AppendValue(nil, sample, [][]byte{make([]byte, 32)})
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	var bin [][]byte
	r := msgpack.NewReader(nil)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(src)
		dst, bin, err = r.AppendJSON(dst[:0], bin[:0])
	}
	if err != nil {
		b.Fatal(err)
	}
}
