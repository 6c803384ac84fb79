package access

import (
	"regexp"
	"strings"
	"testing"
)

func TestPattern_Match(t *testing.T) {
	claims := map[string]string{"sub": "a*", "empty": "", "long": strings.Repeat("x", 256)}
	claim := func(name string) (string, bool) { v, ok := claims[name]; return v, ok }
	for _, test := range []struct {
		pattern, room string
		want          bool
	}{
		{"topic:*", "topic:1", true}, {"topic:*", "topic:", false}, {"topic:*", "topic", false}, {"topic:*", "xtopic:1", false},
		{"topic:*", "topic:a:b/c", true}, {"lobby", "lobby", true}, {"lobby", "lobby2", false},
		{"doc:{sub}:*", "doc:a*:1", true}, {"doc:{sub}:*", "doc:abc:1", false}, {"doc:{sub}:*", "doc:a*:", false},
		{"doc:{empty}:*", "doc::1", false}, {"doc:{absent}:*", "doc::1", false}, {"doc:{long}:*", "doc:" + strings.Repeat("x", 256) + ":1", false},
		{"a*b*c", "a1b2c", true}, {"a*b*c", "abbc", false}, {"a*b*c", "a1bb2c", true}, {"a*b*c", "a1bc", false},
		{"a*aa", "aaa", false}, {"a*aa", "aaaa", true}, {"**", "é", false}, {"**", "éé", true},
		{"*", "anything", true}, {"*", "AAAAAAAAAAAAAAAAAAAA", false}, {"*", "/app#x", false}, {"*:x", "AAAAAAAAAAAAAAAAAA:x", true},
	} {
		p, err := parsePattern(test.pattern, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.match(test.room, claim); got != test.want {
			t.Errorf("%s allows %s: %t", test.pattern, test.room, got)
		}
	}
}

func TestMatching(t *testing.T) {
	fits, err := Matching("topic:*", "team-*", "a*b*c", "one")
	if err != nil {
		t.Fatal(err)
	}
	for room, want := range map[string]bool{
		"topic:1": true, "topic:": false, "one": true, "ones": false, "": false,
		"team-aaaaaaaaaaaaaaa": true, // as long as a socket's own room
		"a1b2c":                true, "abc": false, "a1bc": false, "ab2c": false, "a1b2": false, "axc": false,
	} {
		if fits(room) != want {
			t.Errorf("%q: %v", room, !want)
		}
	}
	if none, err := Matching(); err != nil || none("topic:1") {
		t.Errorf("no pattern: %v", err)
	}
	for _, text := range []string{"", "{sub}", "a{", "a}", "a{}", "a{b*}"} {
		if _, err := Matching("topic:*", text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("doc:{sub}:*", "doc:a:1", "a")
	f.Add("a*b**c{sub}", "axbyyc*", "*")
	f.Fuzz(func(t *testing.T, text, room, sub string) {
		p, err := parsePattern(text, true)
		if err != nil || strings.ToValidUTF8(text+room+sub, "") != text+room+sub {
			return
		}
		claim := func(string) (string, bool) { return sub, true }
		var model strings.Builder
		model.WriteString(`(?s)\A`)
		usable := true
		for _, part := range p {
			if part.star {
				model.WriteString(".+")
				continue
			}
			v, ok := part.value(claim)
			usable = usable && ok
			model.WriteString(regexp.QuoteMeta(v))
		}
		re, err := regexp.Compile(model.String() + `\z`)
		if err != nil {
			return
		}
		want := usable && re.MatchString(room)
		if got := p.match(room, claim); got != want && !(want && private(room)) {
			t.Fatalf("%q allows %q for %q: %t", text, room, sub, got)
		}
	})
}
