package parser_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

func text(s string) engineio.Message { return engineio.Message{Data: []byte(s)} }
func bin(b ...byte) engineio.Message { return engineio.Message{Data: b, Binary: true} }
func id(n uint64) *uint64            { return &n }

// decode feeds messages to a fresh decoder and returns the last answer.
func decode(c parser.Codec, ms ...engineio.Message) (p *parser.Packet, err error) {
	d := c.NewDecoder()
	for _, m := range ms {
		if p, err = d.Add(m); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func samePacket(a, b *parser.Packet) bool {
	sameID := (a.ID == nil) == (b.ID == nil) && (a.ID == nil || *a.ID == *b.ID)
	return sameID && a.Type == b.Type && a.Namespace == b.Namespace && string(a.Data) == string(b.Data) &&
		slices.EqualFunc(a.Attachments, b.Attachments, func(x, y []byte) bool { return string(x) == string(y) })
}

func TestDecodePackets(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		in   []engineio.Message
		want parser.Packet
	}{
		{"connect without auth", []engineio.Message{text(`0`)}, parser.Packet{Type: parser.Connect, Namespace: "/"}},
		{"connect with auth", []engineio.Message{text(`0{"token":"x"}`)}, parser.Packet{Type: parser.Connect, Namespace: "/", Data: []byte(`{"token":"x"}`)}},
		{"connect to a namespace without comma", []engineio.Message{text(`0/chat`)}, parser.Packet{Type: parser.Connect, Namespace: "/chat"}},
		{"namespace with a query", []engineio.Message{text(`0/chat?a=b,{}`)}, parser.Packet{Type: parser.Connect, Namespace: "/chat?a=b", Data: []byte(`{}`)}},
		{"main namespace by name", []engineio.Message{text(`0/,{}`)}, parser.Packet{Type: parser.Connect, Namespace: "/", Data: []byte(`{}`)}},
		{"disconnect", []engineio.Message{text(`1/chat,`)}, parser.Packet{Type: parser.Disconnect, Namespace: "/chat"}},
		{"event with id in a namespace", []engineio.Message{text(`2/chat,456["a",1]`)}, parser.Packet{Type: parser.Event, Namespace: "/chat", ID: id(456), Data: []byte(`["a",1]`)}},
		{"leading zeros of an id are dropped", []engineio.Message{text(`2007["a"]`)}, parser.Packet{Type: parser.Event, Namespace: "/", ID: id(7), Data: []byte(`["a"]`)}},
		{"event without payload", []engineio.Message{text(`2`)}, parser.Packet{Type: parser.Event, Namespace: "/"}},
		{"numeric event name", []engineio.Message{text(`2[7,1]`)}, parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(`[7,1]`)}},
		{"event named error", []engineio.Message{text(`2["error"]`)}, parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(`["error"]`)}},
		{"blanks between tokens go, those in strings stay", []engineio.Message{text("2[ \"a b\" ,\t{\"k\" : [ 1 , 2 ]\n} ] ")}, parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(`["a b",{"k":[1,2]}]`)}},
		{"numbers stay text", []engineio.Message{text(`2["a",1.0,1e999999,-0]`)}, parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(`["a",1.0,1e999999,-0]`)}},
		{"ack", []engineio.Message{text(`39["a"]`)}, parser.Packet{Type: parser.Ack, Namespace: "/", ID: id(9), Data: []byte(`["a"]`)}},
		{"ack without anything", []engineio.Message{text(`3`)}, parser.Packet{Type: parser.Ack, Namespace: "/"}},
		{"connect error with a string", []engineio.Message{text(`4/x,"no"`)}, parser.Packet{Type: parser.ConnectError, Namespace: "/x", Data: []byte(`"no"`)}},
		{"binary event", []engineio.Message{text(`52-789["ev",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`), bin(1, 2), bin()},
			parser.Packet{Type: parser.Event, Namespace: "/", ID: id(789), Data: []byte(`["ev",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`), Attachments: [][]byte{{1, 2}, {}}}},
		{"binary ack", []engineio.Message{text(`61-/n,3[{"_placeholder":true,"num":0}]`), bin(9)},
			parser.Packet{Type: parser.Ack, Namespace: "/n", ID: id(3), Data: []byte(`[{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{9}}}},
		{"placeholders are made canonical", []engineio.Message{text(`52-["e",{"num":1e0,"x":[{"_placeholder":true}],"_placeholder":true},[{"_placeholder":false,"num":3,"num":-0,"_placeholder":true}],{"_placeholder":1,"num":9},"{\"_placeholder\":true,\"num\":7}"]`), bin(1), bin(2)},
			parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(`["e",{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}],{"_placeholder":1,"num":9},"{\"_placeholder\":true,\"num\":7}"]`), Attachments: [][]byte{{1}, {2}}}},
		{"attachments named in another order", []engineio.Message{text(`52-["e",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]`), bin(1), bin(2)},
			parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(`["e",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1}, {2}}}},
		{"a placeholder in a text packet is an object", []engineio.Message{text(`2["e",{"_placeholder":true,"num":-5}]`)},
			parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(`["e",{"_placeholder":true,"num":-5}]`)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := decode(parser.Default(nil), tc.in...)
			if err != nil {
				t.Fatal(err)
			}
			if got == nil || !samePacket(got, &tc.want) {
				t.Fatalf("got  %+v\nwant %+v", got, &tc.want)
			}
		})
	}
}

// docs/protocol.md §3.2: these close the connection.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return `2["e",` + strings.Repeat("[", n) + strings.Repeat("]", n) + "]" }
	for _, in := range []string{
		``, `7`, `x`, `-`, `/`, `:`,
		`5["a"]`, `6["a"]`, `5-["a"]`, `50-["a"]`, `5x-["a"]`, `51["a"]`, `51.5-["a"]`, `5-1-["a"]`, `511-["a"]`, `5999999999999999999999-["a"]`, `5`, `51`,
		`2["a"`, `2["a"]x`, `2["a",]`, `2[a]`, `2['a']`, `2["a\x"]`, "2[\"a\n\"]", `2["a",01]`, `2["a",.5]`, `2["a",1.]`, `2["a",+1]`, `2["a",NaN]`, `2["a"]]`, `2["a"],`,
		`0[]`, `0"a"`, `0null`, `0true`, `0,{}`, `0/x,[]`, `0/x,,{}`,
		`1{}`, `1[]`, `1null`, `1/x,{}`, `1,`,
		`2{}`, `2"x"`, `2[]`, `2[null]`, `2[[]]`, `2[{}]`, `2[{"toString":"x"}]`, `2[true]`, `2null`, `2,["q"]`,
		`2["connect"]`, `2["connect_error"]`, `2["disconnect"]`, `2["disconnecting"]`, `2["newListener"]`, `2["removeListener"]`, `2["\u0063onnect",1]`, `21["disconnect"]`, `51-["connect"]`,
		`2-1["a"]`, `21.5["a"]`, `21e2["a"]`, `2 1["a"]`, `2 ["a"]`, `2` + strings.Repeat("9", 400) + `["e"]`, `29007199254740992["e"]`,
		`3{}`, `31"a"`, `3null`, `4[]`, `4null`, `4true`, `4tru`,
		`2/` + strings.Repeat("x", 255) + `,["a"]`, `0/` + strings.Repeat("x", 255),
		`51-["e",{"_placeholder":true}]`, `51-["e",{"_placeholder":true,"num":-1}]`, `51-["e",{"_placeholder":true,"num":1}]`, `51-["e",{"_placeholder":true,"num":"splice"}]`,
		`51-["e",{"_placeholder":true,"num":"0"}]`, `51-["e",{"_placeholder":true,"num":null}]`, `51-["e",{"_placeholder":true,"num":1.5}]`, `51-["e",{"_placeholder":true,"num":1e309}]`,
		`51-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, `52-["e",{"_placeholder":true,"num":1},[{"x":{"num":1,"_placeholder":true}}]]`,
		`61-[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0.0}]`, `61-/n,3[{"_placeholder":true,"num":0},{"_\u0070laceholder":true,"num":0}]`,
		`51-["e"]`, `61-3[]`, `51-["e",{"_placeholder":false,"num":0}]`, `51-["e","{\"_placeholder\":true,\"num\":0}"]`, `52-["e",{"_placeholder":true,"num":0}]`, `52-["e",{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":1}}]`,
		`51-`, `61-7`,
		`51-["e",{"_\u0070laceholder":true,"num":7}]`, `61-[[[{"_placeholder":true,"num":[0]}]]]`,
		deep(32), deep(100_000),
	} {
		p, err := decode(parser.Default(nil), text(in))
		if !errors.Is(err, parser.ErrInvalid) {
			t.Errorf("%.80q: got %+v, %v; want an error", in, p, err)
		}
	}
	if p, err := decode(parser.Default(nil), text(deep(31))); err != nil || p == nil {
		t.Errorf("31 levels in the arguments: %v", err)
	}
	if p, err := decode(parser.Default(&parser.Options{MaxDepth: 300}), text(deep(299))); err != nil || p == nil {
		t.Errorf("deep JSON with a higher limit: %v", err)
	}
	if _, err := decode(parser.Default(nil), text(`2/`+strings.Repeat("x", 254)+`,["a"]`)); err != nil {
		t.Errorf("namespace of 255 bytes: %v", err)
	}
	if p, err := decode(parser.Default(nil), text(`29007199254740991["e"]`)); err != nil || *p.ID != parser.MaxID {
		t.Errorf("highest id: %v", err)
	}
}

func TestDecodeSequences(t *testing.T) {
	t.Parallel()
	open := text(`52-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
	for _, tc := range []struct {
		name string
		in   []engineio.Message
	}{
		{"binary first", []engineio.Message{bin([]byte(`2["a"]`)...)}},
		{"text while attachments are missing", []engineio.Message{open, bin(1), text(`2["a"]`)}},
		{"one attachment too many", []engineio.Message{open, bin(1), bin(2), bin(3)}},
		{"use after an error", []engineio.Message{text(`2["a"]`), text(`9`), text(`2["a"]`)}},
	} {
		d := parser.Default(nil).NewDecoder()
		var err error
		for _, m := range tc.in {
			_, err = d.Add(m)
		}
		if !errors.Is(err, parser.ErrInvalid) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	c := parser.Default(&parser.Options{MaxAttachments: 2, MaxAttachmentBytes: 3})
	if _, err := decode(c, open, bin(1, 2), bin(3, 4)); !errors.Is(err, parser.ErrLimit) {
		t.Errorf("more bytes than allowed: %v", err)
	}
	if p, err := decode(c, open, bin(1, 2), bin(3)); err != nil || p == nil {
		t.Errorf("as many bytes as allowed: %v", err)
	}
	if _, err := decode(c, text(`53-["e"]`)); !errors.Is(err, parser.ErrLimit) {
		t.Errorf("more attachments than allowed: %v", err)
	}
}

func TestDecoderIsReusable(t *testing.T) {
	t.Parallel()
	d := parser.Default(nil).NewDecoder()
	buf := []byte(`51-/b,["e",{"_placeholder":true,"num":0}]`)
	if _, err := d.Add(engineio.Message{Data: buf}); err != nil {
		t.Fatal(err)
	}
	for i := range buf {
		buf[i] = 0xAA // the reader's buffer is reused
	}
	raw := []byte{1, 2, 3}
	p, err := d.Add(engineio.Message{Data: raw, Binary: true})
	if err != nil {
		t.Fatal(err)
	}
	raw[0] = 0xAA
	kept := p.Attachments
	if string(p.Data) != `["e",{"_placeholder":true,"num":0}]` || p.Namespace != "/b" {
		t.Fatalf("got %+v", p)
	}
	if p, err = d.Add(text(`2["x"]`)); err != nil || p.ID != nil || p.Attachments != nil || p.Namespace != "/" {
		t.Fatalf("got %+v, %v", p, err)
	}
	if len(kept) != 1 || string(kept[0]) != "\x01\x02\x03" {
		t.Fatalf("attachments changed: %v", kept)
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in   parser.Packet
		want []engineio.Message
	}{
		{parser.Packet{Type: parser.Connect, Namespace: "/", Data: []byte(`{"sid":"x"}`)}, []engineio.Message{text(`0{"sid":"x"}`)}},
		{parser.Packet{Type: parser.Disconnect, Namespace: "/chat"}, []engineio.Message{text(`1/chat,`)}},
		{parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(`["a"]`)}, []engineio.Message{text(`2["a"]`)}},
		{parser.Packet{Type: parser.Event, Namespace: "/n", ID: id(0), Data: []byte(`["a"]`)}, []engineio.Message{text(`2/n,0["a"]`)}},
		{parser.Packet{Type: parser.ConnectError, Namespace: "/no", Data: []byte(`{"message":"m"}`)}, []engineio.Message{text(`4/no,{"message":"m"}`)}},
		{parser.Packet{Type: parser.Event, Namespace: "/", ID: id(789), Data: []byte(`["a",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{7}}},
			[]engineio.Message{text(`51-789["a",{"_placeholder":true,"num":0}]`), bin(7)}},
		{parser.Packet{Type: parser.Ack, Namespace: "/n", ID: id(1 << 53), Data: []byte(`[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`), Attachments: [][]byte{{}, {1}}},
			[]engineio.Message{text(`62-/n,9007199254740992[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`), bin(), bin(1)}},
	} {
		got, err := parser.Default(nil).Encode(nil, &tc.in)
		if err != nil || !slices.EqualFunc(got, tc.want, func(a, b engineio.Message) bool {
			return a.Binary == b.Binary && string(a.Data) == string(b.Data)
		}) {
			t.Errorf("%+v: got %+v, %v", tc.in, got, err)
		}
	}
	if _, err := parser.Default(nil).Encode(nil, &parser.Packet{Type: 9}); err == nil {
		t.Error("unknown type encoded")
	}
}
