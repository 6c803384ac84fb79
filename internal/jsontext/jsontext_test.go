package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

var documents = []string{
	``, ` `, `null`, `true`, `false`, `nul`, `truex`, `0`, `-0`, `01`, `-`, `1.`, `1.5`, `.5`, `1e5`, `1E+5`, `1e`, `1e+`, `+1`, `--1`, `1 2`,
	`""`, `"`, `"a`, `"\`, `"\u`, `"\u12`, `"\u12G4"`, `"\u1234"`, `"\ud800"`, `"\x"`, "\"\t\"", "\"\x00\"", "\"\x7f\xff\"", `"1234567\"`, `"1234567\""`, `"12345678"`, "\"1234567\n\"",
	`[]`, `[ ]`, `[1]`, `[1,]`, `[,1]`, `[1 2]`, `[1,2`, `[[],[[]]]`, `{}`, `{ }`, `{"a":1}`, `{"a" : 1 , "b":[ ]}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{"a":1`, `]`, `}`, "\ufeff1", "\v1", "[1\f]",
	` [ "x" , { "y" : null } ] `,
}

func TestCheckAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, s := range documents {
		if _, err := Check([]byte(s), 100); (err == nil) != json.Valid([]byte(s)) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range documents {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		spaced, err := Check(b, MaxDepth)
		if (err == nil) != json.Valid(b) {
			t.Fatalf("%q: %v", b, err)
		}
		if err != nil {
			return
		}
		var want bytes.Buffer
		if err := json.Compact(&want, b); err != nil {
			t.Fatal(err)
		}
		compact := AppendCompact(nil, b)
		if string(compact) != want.String() || spaced == bytes.Equal(compact, b) {
			t.Fatalf("%q: compact %q, spaced %v", b, compact, spaced)
		}
		for lists := range 3 {
			told, walked := &toldEntries{}, &toldEntries{}
			if _, err := ExamineEntries(b, MaxDepth, lists, told); err != nil {
				t.Fatalf("%q, %d: %v", b, lists, err)
			}
			if walked.walk(b, lists); !slices.Equal(told.lines, walked.lines) {
				t.Fatalf("%q, in %d lists: told %q, want %q", b, lists, told.lines, walked.lines)
			}
		}
		if end := Skip(compact, 0); end != len(compact) {
			t.Fatalf("%q: skipped to %d", compact, end)
		}
		if compact[0] == '"' {
			var s string
			if utf8.Valid(compact) && json.Unmarshal(compact, &s) == nil {
				if got := AppendUnquoted(nil, compact); string(got) != s {
					t.Fatalf("%q: unquoted %q, want %q", compact, got, s)
				}
				if got := AppendQuoted(nil, s); !StringIs(got, s) || !StringIs(compact, s) {
					t.Fatalf("%q: quoted %q", s, got)
				}
			}
		}
		for _, n := range []int{0, 1, 3} {
			if out, err := NormalizePlaceholders(bytes.Clone(compact), n); err == nil {
				if !json.Valid(out) {
					t.Fatalf("%q normalized to %q", compact, out)
				}
				named := map[int]bool{}
				for i, num, end := NextPlaceholder(out, 0, n); i >= 0; i, num, end = NextPlaceholder(out, end, n) {
					if named[num] {
						t.Fatalf("%q names attachment %d twice", out, num)
					}
					named[num] = true
					if num >= n || string(out[i:end]) != string(AppendPlaceholder(nil, num)) {
						t.Fatalf("%q: placeholder %q", out, out[i:end])
					}
				}
				if len(named) != n {
					t.Fatalf("%q names %d of %d attachments", out, len(named), n)
				}
			}
		}
	})
}

// toldEntries notes what it is told.
type toldEntries struct{ lines []string }

func (e *toldEntries) Member(key, value []byte) {
	e.lines = append(e.lines, string(key)+": "+string(value))
}
func (e *toldEntries) Entry(text []byte) { e.lines = append(e.lines, string(text)) }

// walk notes what ExamineEntries has to tell, found with the walkers.
func (e *toldEntries) walk(b []byte, lists int) {
	if lists == 0 {
		EachMember(b, e.Member)
		from := SkipSpace(b, 0)
		e.Entry(b[from:Skip(b, from)])
		return
	}
	EachElement(b, func(value []byte) { e.walk(value, lists-1) })
	EachMember(b, func(_, value []byte) { e.walk(value, lists-1) })
}

// A document is read once, and its reader hears of the members of each entry before the
// entry.
func TestExamineEntries_TellsMembersAndEntries(t *testing.T) {
	t.Parallel()
	const entry = `{ "a" : [1,{"b":2}] ,"c\"":"x" }`
	want := []string{`a: [1,{"b":2}]`, `c\": "x"`, entry}
	for text, lists := range map[string]int{" " + entry + " ": 0, "[" + entry + "]": 1, `{"k": ` + entry + `}`: 1, "[[ " + entry + " ],[]]": 2} {
		told := &toldEntries{}
		if _, err := ExamineEntries([]byte(text), 10, lists, told); err != nil || !slices.Equal(told.lines, want) {
			t.Errorf("%s: %q, %v", text, told.lines, err)
		}
	}
	told := &toldEntries{}
	if _, err := ExamineEntries([]byte(`[7, "x", []]`), 10, 1, told); err != nil || !slices.Equal(told.lines, []string{`7`, `"x"`, `[]`}) {
		t.Errorf("%q, %v", told.lines, err)
	}
	if _, err := ExamineEntries([]byte(`[{"a":1},]`), 10, 1, told); !errors.Is(err, ErrSyntax) {
		t.Errorf("%v", err)
	}
	if _, err := ExamineEntries([]byte(`[[[1]]]`), 2, 1, told); !errors.Is(err, ErrDepth) {
		t.Errorf("%v", err)
	}
}

// The walkers take checked text; on anything else they must still stay in range.
func FuzzWalkers(f *testing.F) {
	for _, s := range documents {
		f.Add([]byte(s), 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, i int) {
		if i < 0 || i > len(b) {
			return
		}
		for _, end := range []int{Skip(b, i), SkipString(b, i), SkipSpace(b, i)} {
			if end < i || end > len(b) {
				t.Fatalf("%q from %d to %d", b, i, end)
			}
		}
		AppendUnquoted(nil, b)
		AppendCompact(nil, b)
		StringIs(b, "abc")
		Plain(b)
		Finite(b)
		NextPlaceholder(b, i, 2)
		EachMember(b[i:], func(key, value []byte) {})
		EachElement(b[i:], func(value []byte) {})
	})
}

func TestFloatsAsJavaScript(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{
		0: "0", 1: "1", -1: "-1", 0.1: "0.1", 1e20: "100000000000000000000", 1e21: "1e+21", 1.5e-7: "1.5e-7", 1e-6: "0.000001", 1e-10: "1e-10", 1e100: "1e+100",
		1 << 53: "9007199254740992", 1<<63 - 1: "9223372036854776000", -1.7976931348623157e308: "-1.7976931348623157e+308", 5e-324: "5e-324", 123456789.125: "123456789.125",
		math.Inf(1): "null", math.Inf(-1): "null",
	} {
		if got := string(AppendFloat(nil, f, 64)); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
	if got := string(AppendFloat(nil, math.NaN(), 64)) + string(AppendFloat(nil, math.Copysign(0, -1), 64)); got != "null0" {
		t.Error(got)
	}
}

func TestFinite_AgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		`1e999`, `-1e999`, `1e308`, `1E+309`, `[1,{"a":2e400}]`, `["1e999"]`, `{"1e999":1e-999}`, `1.7976931348623157e308`, `1.7976931348623159e308`,
		strings.Repeat("9", 308), strings.Repeat("9", 309), strings.Repeat("9", 310), "0." + strings.Repeat("9", 400), `"\"1e999"`, `[]`, `null`,
	} {
		var tree any
		want := json.Unmarshal([]byte(s), &tree) == nil
		f, err := Examine([]byte(s), 10)
		if err != nil || Finite([]byte(s)) != want || !want && !f.Wide {
			t.Errorf("%.40s: %+v, finite %v, %v", s, f, Finite([]byte(s)), err)
		}
	}
}

func FuzzFloat(f *testing.F) {
	f.Add(1e21)
	f.Fuzz(func(t *testing.T, v float64) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return
		}
		want, _ := json.Marshal(v) // the same format, but for -0
		if v == 0 {
			want = []byte("0")
		}
		if got := AppendFloat(nil, v, 64); string(got) != string(want) {
			t.Fatalf("%s, want %s", got, want)
		}
		if back, err := strconv.ParseFloat(string(AppendFloat(nil, v, 64)), 64); err != nil || back != v {
			t.Fatalf("%v came back as %v", v, back)
		}
	})
}

func TestDepth(t *testing.T) {
	t.Parallel()
	nested := func(n int) []byte { return []byte(strings.Repeat(`[{"a":`, n) + "1" + strings.Repeat("}]", n)) }
	if _, err := Check(nested(5), 10); err != nil {
		t.Error(err)
	}
	if _, err := Check(nested(5), 9); !errors.Is(err, ErrDepth) {
		t.Error(err)
	}
	if _, err := Check(bytes.Repeat([]byte("["), 5_000_000), math.MaxInt); !errors.Is(err, ErrDepth) {
		t.Error(err)
	}
}

var sample = []byte(`["message",{"id":12345,"room":"lobby","text":"The quick brown fox jumps over the lazy dog, again and again.","tags":["a","b"],"ok":true,"at":1706929362789}]`)

func BenchmarkCheck(b *testing.B) {
	b.SetBytes(int64(len(sample)))
	for b.Loop() {
		if _, err := Check(sample, 32); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodingJSONValid(b *testing.B) {
	b.SetBytes(int64(len(sample)))
	for b.Loop() {
		if !json.Valid(sample) {
			b.Fatal("invalid")
		}
	}
}

func TestEachMember_ReadsAsJSONDoes(t *testing.T) {
	t.Parallel()
	var got []string
	EachMember([]byte(`{ "a" : [1,{"b":"}]"}] ,"c\"":"x\\\"y", "d":-1.5e3,"e":{},"f":null}`), func(k, v []byte) {
		got = append(got, string(k)+"="+string(v))
	})
	want := []string{`a=[1,{"b":"}]"}]`, `c\"="x\\\"y"`, `d=-1.5e3`, `e={}`, `f=null`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestAppendQuoted_IsThatOfJSONStringify(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                      `"plain"`,
		"\"\\\b\f\n\r\t\x01\x1f/<>&": `"\"\\\b\f\n\r\t\u0001\u001f/<>&"`,
		"ü😀\u2028\x7f":               "\"ü😀\u2028\x7f\"",
		"\xff\uFFFDa\xc3":            "\"\uFFFD\uFFFDa\uFFFD\"",
	} {
		if got := string(AppendQuoted(nil, in)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestEachElement_ReadsAsJSONDoes(t *testing.T) {
	t.Parallel()
	var got []string
	EachElement([]byte(`[ 1 ,"]",{"a":[2]}, [], null ]`), func(v []byte) { got = append(got, string(v)) })
	if want := []string{`1`, `"]"`, `{"a":[2]}`, `[]`, `null`}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	for _, other := range []string{``, `{}`, `"[1]"`, `1`, `[`, `[}`} {
		EachElement([]byte(other), func(v []byte) { t.Errorf("%s has the element %s", other, v) })
	}
}
