package parser_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"posthouse/socketio/parser"
)

func ptr[T any](v T) *T { return &v }

type (
	blob     []byte
	inner    struct{ A, B int }
	Promoted struct {
		P string `json:"p"`
		A int    // hidden by outer.A
	}
	Deep  struct{ Promoted }
	outer struct {
		A     string
		Inner inner              `json:"inner"`
		Ptr   *inner             `json:"ptr,omitempty"`
		Skip  string             `json:"-"`
		Dash  int                `json:"-,"` //nolint:staticcheck // the odd tag is the test
		Zero  time.Time          `json:"zero,omitzero"`
		Quot  int64              `json:"quot,string"`
		QStr  string             `json:"qstr,string"`
		List  []string           `json:"list"`
		Empty []string           `json:"empty,omitempty"`
		Map   map[string]any     `json:"map"`
		Ints  map[int]bool       `json:"ints"`
		Addrs map[netip.Addr]int `json:"addrs"`
		Arr   [3]byte
		Any   any
		Num   json.Number
		Raw   json.RawMessage
		Text  netip.Addr
		Big   *big.Int
		F32   float32
		Deep
		*Promoted2
		hidden int
	}
	Promoted2 struct{ Q int }
	Tagged    struct{ Same, Z int }
	Tagged2   struct {
		Other int `json:"Same"` // the tag wins over the field of the other
	}
	pointed struct{ A int } // marshals by its pointer only
	octet   byte
	node    struct {
		Next *node  `json:"next"`
		V    []byte `json:"v"`
	}
)

func (p *pointed) MarshalJSON() ([]byte, error) { return []byte(fmt.Sprintf("[%d]", p.A)), nil }
func (o octet) MarshalText() ([]byte, error)    { return []byte{'o', byte(o)}, nil }

// Whatever holds no binary value and no time is written as by encoding/json.
func TestArgsAgreeWithEncodingJSON(t *testing.T) {
	t.Parallel()
	_ = outer{}.hidden
	for _, v := range []any{
		nil, true, "x", "\x00\x1f\u007f\"\\/\b\f\n\r\t<>&é日𝒳", "\xff\xfea", strings.Repeat("abcdefgh", 9) + "\"", 0, -5, int8(-128), uint64(math.MaxUint64), int64(math.MinInt64),
		0.0, 1.0, -1.5, 1e20, 1e21, 123456789012345680000.0, 1e-6, 1e-7, 5e-324, math.MaxFloat64, float32(0.1), float32(16777216), 0.1 + 0.2,
		[]int{}, []int(nil), [2]string{"a", "b"}, map[string]int{"b": 1, "a": 2}, map[string]int(nil), []any{1, "a", nil, []any{}}, map[string]any{"x": map[string]any{}},
		ptr(ptr(5)), (*int)(nil), struct{}{}, &outer{}, json.Number(""), json.RawMessage("null"), big.NewInt(7), *big.NewInt(8), netip.MustParseAddr("::1"), time.Second,
		outer{A: "x", Ptr: &inner{1, 2}, Quot: -7, QStr: `q"`, List: []string{"<"}, Map: map[string]any{"k": 1.5}, Ints: map[int]bool{10: true, 9: false},
			Addrs: map[netip.Addr]int{netip.MustParseAddr("10.0.0.1"): 1}, Any: inner{}, Num: "1e5", Raw: json.RawMessage(`{"a":[1]}`), Big: big.NewInt(9), F32: 1.1, Promoted2: &Promoted2{Q: 4}},
		[]outer{{}}, struct {
			Tagged
			Tagged2
		}{Tagged{1, 2}, Tagged2{3}},
		[]pointed{{1}}, &struct{ P pointed }{pointed{2}}, struct{ P *pointed }{&pointed{3}}, []octet{'a', 'b'}, map[octet]int{'c': 1},
		struct {
			inner
			Promoted     // its A and inner's hide each other
			C        int `json:"bad'name"` //nolint:staticcheck // the odd tag is the test
		}{inner{1, 2}, Promoted{"p", 3}, 4},
	} {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
		got, bin, err := parser.AppendArgs(nil, nil, v)
		if w := strings.ReplaceAll(strings.TrimSpace(want.String()), `\ufffd`, "\ufffd"); err != nil || string(got) != w || bin != nil {
			t.Errorf("%#v:\ngot  %s, %v, %v\nwant %s", v, got, bin, err, w)
		}
	}
}

func TestArgsInJavaScript(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 2, 3, 4, 5, 6, 789_999_999, time.FixedZone("", 3600))
	for _, tc := range []struct {
		in   any
		want string
	}{
		{math.NaN(), `null`}, {math.Inf(-1), `null`}, {[]float64{math.NaN(), math.Copysign(0, -1)}, `[null,0]`},
		{"\u2028</script>", "\"\u2028</script>\""},
		{at, `"2024-02-03T03:05:06.789Z"`}, {&at, `"2024-02-03T03:05:06.789Z"`}, {map[string]any{"t": at}, `{"t":"2024-02-03T03:05:06.789Z"}`},
		{time.Date(12024, 1, 1, 0, 0, 0, 0, time.UTC), `"+012024-01-01T00:00:00.000Z"`}, {time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), `"-000005-01-01T00:00:00.000Z"`},
		{json.RawMessage(` { "a" : [ 1.0 , "b c" ] } `), `{"a":[1.0,"b c"]}`},
		{parser.Raw{}, `null`}, {parser.Raw{JSON: []byte(`{"_placeholder":true,"num":0}`)}, `{"_placeholder":true,"num":0}`},
		{[]byte(nil), `null`},
	} {
		got, bin, err := parser.AppendArgs(nil, nil, tc.in)
		if err != nil || string(got) != tc.want || bin != nil {
			t.Errorf("%#v: got %s, %v, %v; want %s", tc.in, got, bin, err, tc.want)
		}
	}
}

func TestArgsBinary(t *testing.T) {
	t.Parallel()
	mine := []byte{1}
	text, bin, err := parser.AppendArgs([]byte("x:"), [][]byte{{0}},
		mine, map[string]any{"b": blob{2}, "a": []any{[]byte{3}, "s"}}, &node{V: []byte{}, Next: &node{V: []byte{4}}},
		parser.Raw{
			JSON:        []byte(`[{"_placeholder":true,"num":2},"{\"_placeholder\":true,\"num\":1}",{"_placeholder":true,"num":0},{"_placeholder":true,"num":2},{"_placeholder":true,"num":3}]`),
			Attachments: [][]byte{{10}, {11}, {12}},
		})
	want := `x:{"_placeholder":true,"num":1},{"a":[{"_placeholder":true,"num":2},"s"],"b":{"_placeholder":true,"num":3}},` +
		`{"next":{"next":null,"v":{"_placeholder":true,"num":4}},"v":{"_placeholder":true,"num":5}},` +
		`[{"_placeholder":true,"num":6},"{\"_placeholder\":true,\"num\":1}",{"_placeholder":true,"num":7},{"_placeholder":true,"num":6},{"_placeholder":true,"num":3}]`
	if err != nil || string(text) != want {
		t.Fatalf("got  %s, %v\nwant %s", text, err, want)
	}
	mine[0] = 99 // the caller may reuse its slices
	if !reflect.DeepEqual(bin, [][]byte{{0}, {1}, {3}, {2}, {4}, {}, {12}, {10}}) {
		t.Fatalf("attachments %v", bin)
	}
}

func TestArgsRefuse(t *testing.T) {
	t.Parallel()
	loop := &node{}
	loop.Next = loop
	list := []any{nil}
	list[0] = list
	for _, v := range []any{make(chan int), func() {}, complex(1, 1), loop, list, json.RawMessage(`{"a"`), json.RawMessage(``), json.Number("1x"),
		map[inner]int{{}: 1}, []any{struct{ C chan int }{}}} {
		dst, bin := []byte("keep"), [][]byte{{1}}
		dst, bin, err := parser.AppendArgs(dst, bin, "a", []byte{2}, v)
		if err == nil || string(dst) != "keep" || len(bin) != 1 {
			t.Errorf("%T: got %s, %v, %v", v, dst, bin, err)
		}
	}
}

func TestBind(t *testing.T) {
	t.Parallel()
	bin := [][]byte{append(make([]byte, 0, 8), 1), {2, 2}, {}}
	type target struct {
		Name string           `json:"name"`
		File blob             `json:"file"`
		Any  any              `json:"any"`
		List [][]byte         `json:"list"`
		Map  map[string]*node `json:"map"`
		Raw  json.RawMessage  `json:"raw"`
		Part parser.Raw       `json:"part"`
		Two  [2][]byte        `json:"two"`
		N    int              `json:"n,string"`
		Promoted
	}
	raw := `{"name":"x","FILE":{"_placeholder":true,"num":0},"any":[1,{"k\u0061":{"_placeholder":true,"num":1}},"s"],"list":[{"_placeholder":true,"num":2},null],` +
		`"map":{"m":{"v":{"_placeholder":true,"num":0}},"z":null},"raw":{"_placeholder":true,"num":1},"part":[{"_placeholder":true,"num":1}],"two":[{"_placeholder":true,"num":1}],"n":"5","p":"deep","unknown":{"_placeholder":true,"num":0}}`
	got := target{List: [][]byte{{9}, {9}, {9}}, Two: [2][]byte{{9}, {9}}}
	if err := parser.Bind([]byte(raw), bin, &got); err != nil {
		t.Fatal(err)
	}
	want := target{Name: "x", File: blob{1}, Any: []any{1.0, map[string]any{"ka": []byte{2, 2}}, "s"}, List: [][]byte{{}, nil},
		Map: map[string]*node{"m": {V: []byte{1}}, "z": nil}, Raw: []byte(`{"_placeholder":true,"num":1}`),
		Part: parser.Raw{JSON: []byte(`[{"_placeholder":true,"num":1}]`), Attachments: bin}, Two: [2][]byte{{2, 2}}, N: 5, Promoted: Promoted{P: "deep"}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}

	grown := append(got.Map["m"].V, 99) // does not grow into its neighbours
	if &grown[0] == &bin[0][0] {
		t.Error("an attachment is appended to in place")
	}

	var b []byte
	if err := parser.Bind([]byte(`{"_placeholder":true,"num":1}`), bin, &b); err != nil || string(b) != "\x02\x02" {
		t.Fatalf("%v %v", b, err)
	}
	var s string
	for _, bad := range []any{&s, ptr(0), new(inner), new(map[string]int), new([]int), new(error), new([]string), inner{}, nil, (*[]byte)(nil)} {
		for _, in := range []string{`{"_placeholder":true,"num":1}`, `[{"A":{"_placeholder":true,"num":1}}]`} {
			if err := parser.Bind([]byte(in), bin, bad); err == nil {
				if _, ok := bad.(*inner); !ok || in[0] == '{' {
					t.Errorf("%T took %s", bad, in)
				}
			}
		}
	}
	// Without attachments, a placeholder is an object like any other.
	var x any
	if err := parser.Bind([]byte(`{"_placeholder":true,"num":1}`), nil, &x); err != nil || !reflect.DeepEqual(x, map[string]any{"_placeholder": true, "num": 1.0}) {
		t.Fatalf("%v %v", x, err)
	}
	for in, dst := range map[string]any{`"a\u00e9\ud83d\ude00\n"`: &s, `5`: new(int), `true`: new(bool), `1.5`: new(float64)} {
		want := reflect.New(reflect.TypeOf(dst).Elem())
		if err := json.Unmarshal([]byte(in), want.Interface()); err != nil {
			t.Fatal(err)
		}
		if err := parser.Bind([]byte(in), nil, dst); err != nil || !reflect.DeepEqual(dst, want.Interface()) {
			t.Errorf("%s: %v, %v", in, dst, err)
		}
	}
}

func TestElements(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		`[]`: nil, `[1]`: {`1`}, `["a,]\"",{"x":[1,2]},[[]],-1.5e3,null]`: {`"a,]\""`, `{"x":[1,2]}`, `[[]]`, `-1.5e3`, `null`}, ``: nil, `{}`: nil,
	} {
		var got []string
		for e := range parser.Elements(parser.List([]byte(in))) {
			got = append(got, string(e))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q", in, got)
		}
	}
	for in, want := range map[string][2]string{
		`["a",1,"b"]`: {"a", `1,"b"`}, `["a"]`: {"a", ""}, `[7,1]`: {"7", "1"}, `[1.0]`: {"1", ""}, `[1e21]`: {"1e+21", ""}, `["\u0061\"",[]]`: {`a"`, "[]"}, ``: {"", ""},
	} {
		name, args := parser.SplitEvent([]byte(in))
		if string(name) != want[0] || string(args) != want[1] {
			t.Errorf("%s: %q, %q", in, name, args)
		}
	}
}
