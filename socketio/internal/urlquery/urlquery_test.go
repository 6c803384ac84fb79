package urlquery

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"testing"
	"unicode/utf8"
)

func values(raw string) map[string]string {
	all := map[string]string{}
	for {
		key, value, rest, ok := Next(raw)
		if !ok {
			return all
		}
		all[Unescape(key)], raw = Unescape(value), rest
	}
}

func TestQuery_ValuesAreNodes(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/queries.json") // testdata/queries.mjs tells how it was made
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct {
		Query  string
		Values map[string]string
	}
	if err := json.Unmarshal(data, &golden); err != nil || len(golden) < 50 {
		t.Fatalf("%d recorded queries, error %v", len(golden), err)
	}
	for _, g := range golden {
		if got := values(g.Query); !maps.Equal(got, g.Values) {
			t.Errorf("%q: %q, Node says %q", g.Query, got, g.Values)
		}
	}
}

// FuzzQuery_AgreesWithNetURL: what net/url can read, this parser reads in the same
// way, and it reads all the rest to valid UTF-8 as well.
func FuzzQuery_AgreesWithNetURL(f *testing.F) {
	for _, seed := range []string{"a=1&b=%20+c", "a=%zz", "x=a;b", "a=%ff%e4%bd", "&&=&a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := values(raw)
		for key, value := range got {
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				t.Errorf("%q=%q is not UTF-8", key, value)
			}
		}
		std, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		for key, all := range std {
			last := all[len(all)-1]
			if !utf8.ValidString(key) || !utf8.ValidString(last) {
				continue
			}
			if got[key] != last {
				// Two invalid keys may have become one valid one.
				if value, ok := got[key]; !ok || len(got) == len(std) {
					t.Errorf("%q: %q=%q, net/url says %q", raw, key, value, last)
				}
			}
		}
	})
}
