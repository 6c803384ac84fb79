package parser_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"regexp"
	"testing"

	"posthouse/internal/jsontext"
	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

// The files of testdata are recorded from the Node packages by record.mjs.
func golden[T any](t *testing.T, name string) (list []T) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	if err != nil || len(list) == 0 {
		t.Fatalf("%s: %d entries, %v", name, len(list), err)
	}
	return list
}

type goldenPacket struct {
	Type parser.Type
	NSP  string
	ID   *uint64
	JSON string
	Bin  []string
}

func unhex(t testing.TB, list ...string) (out [][]byte) {
	t.Helper()
	for _, s := range list {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func (g goldenPacket) packet(t testing.TB) *parser.Packet {
	return &parser.Packet{Type: g.Type, Namespace: g.NSP, ID: g.ID, Data: []byte(g.JSON), Attachments: unhex(t, g.Bin...)}
}

func TestTextAsNode(t *testing.T) {
	t.Parallel()
	for _, g := range golden[struct {
		goldenPacket
		Text        string
		Attachments []string
	}](t, "text.json") {
		want := []engineio.Message{text(g.Text)}
		for _, b := range unhex(t, g.Attachments...) {
			want = append(want, bin(b...))
		}
		p := g.packet(t)
		if p.Type == parser.Connect {
			p.Attachments = nil // the reference does not look for binary there
			if len(g.Bin) > 0 {
				continue
			}
		}
		got, err := parser.Default(nil).Encode(nil, p)
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: %d messages, %v", g.Text, len(got), err)
			continue
		}
		for i := range got {
			if string(got[i].Data) != string(want[i].Data) || got[i].Binary != want[i].Binary {
				t.Errorf("message %d: %q, want %q", i, got[i].Data, want[i].Data)
			}
		}
		if back, err := decode(parser.Default(nil), got...); err != nil || !samePacket(back, p) {
			t.Errorf("%.200s: decoded to %+v, %v", g.Text, back, err)
		}
	}
}

// stricter lists what Node's decoder takes and ours refuses, and why.
var stricter = []struct {
	why string
	re  *regexp.Regexp
}{
	{"Number('') is 0: an empty message is a CONNECT", regexp.MustCompile(`^t$`)},
	{"Number(' ') is 0: a blank is a type", regexp.MustCompile(`^t\s`)},
	{"Number() reads signs, blanks, fractions, exponents and prefixes in the number of attachments", regexp.MustCompile(`^t[56][^-]*[^-0-9][^-]*-`)},
	{"blanks are digits of an id, and may stand for a payload", regexp.MustCompile(`^t[0-6]([0-9]+-)?(/[^,]*,)?[0-9]*\s`)},
	{"ids beyond 2^53-1", regexp.MustCompile(`^t[0-6]([0-9]+-)?(/[^,]*,)?[0-9]{16,}`)},
	{"namespaces of more than 255 bytes", regexp.MustCompile(`^t[0-6]/[^,]{255}`)},
	{"nesting deeper than the limit", regexp.MustCompile(`\[{32}`)},
	{"a fraction within the range names no attachment, but counts as in range", regexp.MustCompile(`"num":[01]\.5`)},
	{unnamed, regexp.MustCompile(`^t[56]`)},
}

// unnamed excuses refusals with jsontext.ErrPlaceholder only.
const unnamed = "an attachment that no placeholder names, or that two name; illegal placeholders before their attachments are there"

func TestVerdictsAsNode(t *testing.T) {
	t.Parallel()
	used := make([]int, len(stricter))
	for _, g := range golden[struct {
		Messages []string
		OK       bool
		Packets  []goldenPacket
	}](t, "verdicts.json") {
		var got []*parser.Packet
		var err error
		d := parser.Default(nil).NewDecoder()
		for _, m := range g.Messages {
			msg := text(m[1:])
			if m[0] == 'b' {
				msg = bin(unhex(t, m[1:])[0]...)
			}
			var p *parser.Packet
			if p, err = d.Add(msg); err != nil {
				break
			}
			if p != nil {
				c := *p // valid until the next Add
				c.Data = append([]byte(nil), p.Data...)
				if p.ID != nil {
					c.ID = id(*p.ID)
				}
				got = append(got, &c)
			}
		}
		switch {
		case err == nil && !g.OK:
			t.Errorf("%.100q: accepted, Node refuses", g.Messages)
		case err != nil && g.OK:
			allowed := false
			for i, s := range stricter {
				if s.re.MatchString(g.Messages[0]) {
					if s.why == unnamed && !errors.Is(err, jsontext.ErrPlaceholder) {
						continue
					}
					used[i]++
					allowed = true
					break
				}
			}
			if !allowed {
				t.Errorf("%.100q: %v, Node accepts", g.Messages, err)
			}
		case err == nil:
			if len(got) != len(g.Packets) {
				t.Errorf("%.100q: %d packets, Node gives %d", g.Messages, len(got), len(g.Packets))
				continue
			}
			for i, want := range g.Packets {
				if !sameAsNode(t, got[i], want) {
					t.Errorf("%.100q: %+v, Node gives %+v", g.Messages, got[i], want)
				}
			}
		}
	}
	for i, n := range used {
		if n == 0 {
			t.Errorf("no case for: %s", stricter[i].why)
		}
	}
}

// sameAsNode compares what the packets mean: values with their attachments.
func sameAsNode(t *testing.T, got *parser.Packet, want goldenPacket) bool {
	if got.Type != want.Type || got.Namespace != want.NSP || (got.ID == nil) != (want.ID == nil) || got.ID != nil && *got.ID != *want.ID ||
		(len(got.Data) == 0) != (want.JSON == "") {
		return false
	}
	if want.JSON == "" {
		return true
	}
	var g, w any
	if err := parser.Bind([]byte(want.JSON), unhex(t, want.Bin...), &w); err != nil {
		t.Fatal(err)
	}
	if err := parser.Bind(got.Data, got.Attachments, &g); err != nil {
		// encoding/json refuses numbers that JavaScript calls Infinity
		return regexp.MustCompile(`\de\+?\d{3,}`).Match(got.Data)
	}
	return reflect.DeepEqual(g, w)
}

func TestMessagePackPacketsAsNode(t *testing.T) {
	t.Parallel()
	for _, g := range golden[struct {
		From   string
		Hex    string
		Packet goldenValue
	}](t, "packets.json") {
		raw := unhex(t, g.Hex)[0]
		p, err := decode(parser.MessagePack(nil), bin(raw...))
		if err != nil {
			t.Errorf("%s: %v", g.Packet.JSON, err)
			continue
		}
		var want struct {
			Type parser.Type
			NSP  string
			ID   *uint64
			Data json.RawMessage
		}
		if err := json.Unmarshal([]byte(g.Packet.JSON), &want); err != nil {
			t.Fatal(err)
		}
		w := &parser.Packet{Type: want.Type, Namespace: want.NSP, ID: want.ID, Data: want.Data, Attachments: unhex(t, g.Packet.Bin...)}
		if !samePacket(p, w) {
			t.Errorf("got %+v, want %+v", p, w)
		}
		again, err := parser.MessagePack(nil).Encode(nil, p)
		if err != nil || len(again) != 1 || !again[0].Binary {
			t.Fatalf("%v, %v", again, err)
		}
		// Node's server writes the same bytes, but for acks and errors, whose keys it
		// has in another order, and for old forms of undefined and of ArrayBuffers.
		if g.From == "server" && (w.Type == parser.Event || w.Type == parser.Disconnect) && len(p.Attachments) == 0 && string(again[0].Data) != string(raw) {
			t.Errorf("%s: encoded as %x, Node %s", g.Packet.JSON, again[0].Data, g.Hex)
		}
		if back, err := decode(parser.MessagePack(nil), again...); err != nil || !samePacket(back, w) {
			t.Errorf("round trip of %s: %+v, %v", g.Packet.JSON, back, err)
		}
	}
}

// packsRefused says why ours refuses what socket.io-msgpack-parser takes.
func packsRefused(g goldenPacket, d struct{ first any }) string {
	switch {
	case len(g.NSP) > parser.MaxNamespace:
		return "namespace of more than 255 bytes"
	case g.NSP == "" || g.NSP[0] != '/':
		return "namespace without slash"
	case g.Type == parser.Event && !(reflect.TypeOf(d.first) == reflect.TypeFor[string]() && !parser.Reserved(d.first.(string)) || reflect.TypeOf(d.first) == reflect.TypeFor[float64]()):
		return "an event's name is a string or a number, and not a reserved one: its decoder does not look"
	}
	return ""
}

func TestMessagePackVerdictsAsNode(t *testing.T) {
	t.Parallel()
	refused := map[string]int{}
	for _, g := range golden[struct {
		Hex  string
		OK   bool
		Type parser.Type
		NSP  string
		ID   *float64
		JSON string
		Bin  []string
	}](t, "packs.json") {
		p, err := decode(parser.MessagePack(nil), bin(unhex(t, g.Hex)[0]...))
		want := goldenPacket{Type: g.Type, NSP: g.NSP, JSON: g.JSON, Bin: g.Bin}
		var first struct{ first any }
		var list []any
		if json.Unmarshal([]byte(g.JSON), &list) == nil && len(list) > 0 {
			first.first = list[0]
		}
		why := packsRefused(want, first)
		if g.ID != nil && (*g.ID < 0 || *g.ID > parser.MaxID) {
			why = "ids are from 0 to 2^53-1"
		} else if g.ID != nil {
			want.ID = id(uint64(*g.ID))
		}
		switch {
		case !g.OK || why != "":
			if err == nil {
				t.Errorf("%s: %+v, want refused (Node %v)", g.Hex, p, g.OK)
			}
			if g.OK {
				refused[why]++
			}
		case err != nil || !sameAsNode(t, p, want):
			t.Errorf("%s: %+v, %v; Node gives %+v", g.Hex, p, err, want)
		}
	}
	if len(refused) != 4 {
		t.Errorf("exceptions without a case: only %v", refused)
	}
}

func TestMessagePackLimits(t *testing.T) {
	t.Parallel()
	encode := func(p parser.Packet) engineio.Message {
		p.Type, p.Namespace = parser.Event, "/"
		ms, err := parser.MessagePack(nil).Encode(nil, &p)
		if err != nil {
			t.Fatal(err)
		}
		return ms[0]
	}
	two := encode(parser.Packet{Data: []byte(`["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`), Attachments: [][]byte{{1, 2}, {3, 4}}})
	deep := encode(parser.Packet{Data: []byte(`["e",[[[1]]]]`)})
	for _, tc := range []struct {
		o  parser.Options
		m  engineio.Message
		ok bool
	}{
		{parser.Options{MaxAttachments: 2}, two, true},
		{parser.Options{MaxAttachments: 1}, two, false},
		{parser.Options{MaxAttachmentBytes: 4}, two, true},
		{parser.Options{MaxAttachmentBytes: 3}, two, false},
		{parser.Options{MaxDepth: 4}, deep, true},
		{parser.Options{MaxDepth: 3}, deep, false},
	} {
		if _, err := decode(parser.MessagePack(&tc.o), tc.m); (err == nil) != tc.ok || err != nil && !errors.Is(err, parser.ErrLimit) {
			t.Errorf("%+v: %v", tc.o, err)
		}
	}
	if _, err := decode(parser.MessagePack(nil), text(string(deep.Data))); err == nil {
		t.Error("text message accepted")
	}
	d := parser.MessagePack(nil).NewDecoder()
	p, err := d.Add(two)
	if err != nil {
		t.Fatal(err)
	}
	for i := range two.Data {
		two.Data[i] = 0xAA // the reader's buffer is reused
	}
	if string(p.Attachments[1]) != "\x03\x04" || p.Namespace != "/" || string(p.Data[:4]) != `["e"` {
		t.Errorf("packet changed: %+v", p)
	}
}

type goldenValue struct {
	JSON string
	Bin  []string
}
