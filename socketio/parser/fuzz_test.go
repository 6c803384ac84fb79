package parser_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

// split makes a sequence of messages of one byte string: each begins with a byte
// that tells its length and whether it is binary.
func split(b []byte) (ms []engineio.Message) {
	for len(b) > 0 && len(ms) < 20 {
		n := min(int(b[0]>>1), len(b)-1)
		ms = append(ms, engineio.Message{Binary: b[0]&1 == 1, Data: b[1 : 1+n]})
		b = b[1+n:]
	}
	return ms
}

func join(ms ...engineio.Message) (b []byte) {
	for _, m := range ms {
		head := byte(len(m.Data) << 1)
		if m.Binary {
			head |= 1
		}
		b = append(append(b, head), m.Data...)
	}
	return b
}

// Whatever a decoder accepts is canonical, survives its codec, and was valid JSON
// for encoding/json too.
func FuzzDecoder(f *testing.F) {
	for _, s := range []string{`0{"a":1}`, `2/n,12["a",1.5e3]`, `37[]`, `4"x"`, `1/n,`, `2 ["a"]`, `2[ "a" , { "b" : [ ] } ]`, `2["\ud800"]`} {
		f.Add(join(text(s)))
	}
	f.Add(join(text(`52-1["e",{"num":1,"_placeholder":true},{"_placeholder":true,"num":0}]`), bin(1), bin(2), text(`2["x"]`)))
	f.Add(join(text(`61-[{"x":[{"_placeholder":true,"num":9}],"_placeholder":true,"num":0}]`), bin()))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range []parser.Codec{parser.Default(nil), parser.MessagePack(nil)} {
			d := c.NewDecoder()
			for _, m := range split(b) {
				p, err := d.Add(m)
				if err != nil {
					if p != nil || !errors.Is(err, parser.ErrInvalid) {
						t.Fatalf("%v with %v", p, err)
					}
					break
				}
				if p != nil {
					checkPacket(t, c, p)
				}
			}
		}
	})
}

func checkPacket(t *testing.T, c parser.Codec, p *parser.Packet) {
	if p.Type > parser.ConnectError || p.Namespace == "" || len(p.Data) > 0 && !json.Valid(p.Data) {
		t.Fatalf("not canonical: %+v", p)
	}
	var compact bytes.Buffer
	if len(p.Data) > 0 {
		if err := json.Compact(&compact, p.Data); err != nil || compact.String() != string(p.Data) {
			t.Fatalf("not compact: %s", p.Data)
		}
	}
	ms, err := c.Encode(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := decode(c, ms...)
	if err != nil || again == nil {
		t.Fatalf("%+v: %+v: %v", p, ms, err)
	}
	if !samePacket(again, p) {
		t.Fatalf("%+v became %+v", p, again)
	}
	_, args := parser.SplitEvent(p.Data)
	n := 0
	for e := range parser.Elements(args) {
		if !json.Valid(e) {
			t.Fatalf("element %q of %s", e, args)
		}
		n++
	}
	var untyped any
	if len(p.Data) > 0 && parser.Bind(p.Data, p.Attachments, &untyped) == nil && p.Type == parser.Event && n+1 != len(untyped.([]any)) {
		t.Fatalf("%d arguments in %s", n, p.Data)
	}
	// Splicing into other arguments keeps the meaning.
	if len(p.Data) > 0 {
		list, bin, err := parser.AppendArgs([]byte("["), [][]byte{{1}}, []byte{2}, parser.Raw{JSON: p.Data, Attachments: p.Attachments})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Attachments) == 0 {
			return // a literal that looks like a placeholder would now become one, as in Node
		}
		var spliced []any
		if untyped != nil && (parser.Bind(append(list, ']'), bin, &spliced) != nil || !reflect.DeepEqual(spliced[1], untyped)) {
			t.Fatalf("%s with %x spliced to %s with %x", p.Data, p.Attachments, list, bin)
		}
	}
}

func FuzzBind(f *testing.F) {
	f.Add(`{"name":"x","file":{"_placeholder":true,"num":0},"any":[{"_placeholder":true,"num":1}],"next":{"v":null}}`)
	f.Add(`[1,{"_placeholder":true,"num":0}]`)
	f.Add(`{"_placeholder":true,"num":1}`)
	f.Fuzz(func(t *testing.T, s string) {
		p, err := decode(parser.Default(nil), text(`52-["e",`+s+`]`), bin(1), bin(2, 3))
		if err != nil {
			return
		}
		_, args := parser.SplitEvent(p.Data)
		for e := range parser.Elements(args) {
			type member struct {
				Name string
				File blob
				Any  any
				Next *node
				List [][]byte
				Map  map[string]any
			}
			for _, dst := range []any{new(member), new(any), new([]byte), new([]any), new(map[string][]byte), new(string), new(int), new([2]*node), new(json.RawMessage), new(parser.Raw)} {
				if parser.Bind(e, p.Attachments, dst) == nil {
					if _, _, err := parser.AppendArgs(nil, nil, dst); err != nil {
						t.Fatalf("%s bound to %T cannot be sent: %v", e, dst, err)
					}
				}
			}
		}
	})
}
