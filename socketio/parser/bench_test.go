package parser_test

import (
	"strings"
	"testing"

	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

const sample = `["message",{"id":12345,"room":"lobby","text":"The quick brown fox jumps over the lazy dog","tags":["a","b"],"ok":true}]`

func TestAllocations(t *testing.T) {
	d := parser.Default(nil).NewDecoder()
	plain := engineio.Message{Data: []byte(`2/chat,12` + sample)}
	spaced := engineio.Message{Data: []byte(`2/chat,12` + strings.ReplaceAll(sample, ",", ", "))}
	binary := engineio.Message{Data: []byte(`51-["e",{"_placeholder":true,"num":0}]`)}
	attachment := engineio.Message{Data: make([]byte, 1024), Binary: true}
	md := parser.MessagePack(nil).NewDecoder()
	p, err := decode(parser.Default(nil), plain)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := parser.MessagePack(nil).Encode(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, 4096)
	bin := make([][]byte, 0, 4)
	raw := parser.Raw{JSON: []byte(sample)}
	type member struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	var m any = &member{1, "x"}
	add := func(d parser.Decoder, ms ...engineio.Message) func() {
		return func() {
			for _, m := range ms {
				if _, err := d.Add(m); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, tc := range []struct {
		name string
		want float64
		f    func()
	}{
		{"decode a plain event", 0, add(d, plain)},
		{"decode an event with blanks", 0, add(d, spaced)},
		{"decode a binary event: the attachment and its list", 2, add(d, binary, attachment)},
		{"decode a MessagePack event", 0, add(md, packed[0])},
		{"name and arguments", 0, func() {
			name, args := parser.SplitEvent(p.Data)
			n := len(name)
			for e := range parser.Elements(args) {
				n += len(e)
			}
			if n == 0 {
				t.Fatal("nothing")
			}
		}},
		{"splice raw arguments", 0, func() { dst, bin, _ = parser.AppendArgs(dst[:0], bin[:0], "event", 12, true, &raw.JSON) }},
		{"encode a struct", 0, func() { dst, bin, _ = parser.AppendArgs(dst[:0], bin[:0], "event", m) }},
		{"append a packet's text", 0, func() { dst, _ = parser.AppendText(dst[:0], p) }},
	} {
		tc.f()
		if got := testing.AllocsPerRun(200, tc.f); got > tc.want {
			t.Errorf("%s: %v allocations, want %v", tc.name, got, tc.want)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, c := range map[string]parser.Codec{"default": parser.Default(nil), "msgpack": parser.MessagePack(nil)} {
		b.Run(name, func(b *testing.B) {
			n := uint64(12)
			ms, err := c.Encode(nil, &parser.Packet{Type: parser.Event, Namespace: "/", ID: &n, Data: []byte(sample)})
			if err != nil {
				b.Fatal(err)
			}
			d := c.NewDecoder()
			b.SetBytes(int64(len(ms[0].Data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Add(ms[0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendArgs(b *testing.B) {
	type message struct {
		ID   int      `json:"id"`
		Room string   `json:"room"`
		Text string   `json:"text"`
		Tags []string `json:"tags"`
		OK   bool     `json:"ok"`
	}
	v := message{12345, "lobby", "The quick brown fox jumps over the lazy dog", []string{"a", "b"}, true}
	var dst []byte
	var bin [][]byte
	b.ReportAllocs()
	for b.Loop() {
		dst, bin, _ = parser.AppendArgs(dst[:0], bin[:0], "message", &v)
	}
}
