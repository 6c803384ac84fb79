package doctor

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// FuzzPolling reads what an unknown server answers: a payload is read as it is written.
func FuzzPolling(f *testing.F) {
	for _, s := range []string{"0{\"sid\":\"x\"}\x1e40", "96:0{\"sid\":\"x\"}", "2:40", "3:4é1", "2:😀", "-1:x", "1:", ":", "99999999999999999999:x", "1:x1:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, revision := range []int{3, 4} {
			c := &pollingConn{revision: revision}
			packets, err := c.decode(body)
			if err != nil {
				if len(packets) > 0 && revision == 4 {
					t.Fatalf("%q with %v", packets, err)
				}
				continue
			}
			if len(strings.Join(packets, "")) > len(body) {
				t.Fatalf("%q becomes %q", body, packets)
			}
			if open, err := parseOpen(packets); err == nil && open.SID == "" {
				t.Fatalf("%q opens a session without an id", packets)
			}
			// Revision 3 counts UTF-16 units.
			var written strings.Builder
			for i, p := range packets {
				switch {
				case revision == 3:
					written.WriteString(itoa(len(utf16.Encode([]rune(p)))) + ":" + p)
				case i > 0:
					written.WriteString("\x1e" + p)
				default:
					written.WriteString(p)
				}
			}
			if written.Len() == 0 {
				continue
			}
			again, err := c.decode(written.String())
			if err != nil || !slices.Equal(again, packets) {
				t.Fatalf("revision %d: %q is written %q and read %q, %v", revision, packets, written.String(), again, err)
			}
		}
	})
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// FuzzTarget reads the address that an operator gives.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"https://www.example.com", "localhost:3000", "wss://x/chat", "[::1]:80", "ftp://x", "://", "http://", "x y", "127.0.0.1", "https://user:pw@x:443/a?b#c"} {
		f.Add(s, "/socket.io/")
	}
	f.Add("https://x", "")
	f.Fuzz(func(t *testing.T, text, path string) {
		target, err := parseTarget(Options{URL: text, Path: path})
		if err != nil {
			return
		}
		if s := target.site; s.Scheme != "http" && s.Scheme != "https" || s.Host == "" || s.User != nil || s.Path != "" {
			t.Fatalf("%q is the site %v", text, s)
		}
		if !strings.HasPrefix(target.path, "/") || !strings.HasSuffix(target.path, "/") || target.path == "//" || !strings.HasPrefix(target.namespace, "/") {
			t.Fatalf("%q, %q: path %q, namespace %q", text, path, target.path, target.namespace)
		}
	})
}
