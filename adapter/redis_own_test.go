package adapter

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/iotest"
)

// streamConn is a connection that is only read.
type streamConn struct {
	net.Conn
	io.Reader
}

func (c streamConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// filtered is what a client reads through a filter, and how many messages were left out.
func filtered(t *testing.T, r io.Reader, own string, size int) (text string, seen int) {
	t.Helper()
	f := &ownFilter{Conn: streamConn{Reader: r}, own: []byte(own), seen: func() { seen++ }, buf: make([]byte, size)}
	all, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(all), seen
}

func respMessage(first, pattern, channel, payload string) string {
	return fmt.Sprintf("%s4\r\n$8\r\npmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", first, len(pattern), pattern, len(channel), channel, len(payload), payload)
}

// Whatever else a connection carries, and wherever its reads are cut, the messages of this
// node are left out and every other byte passes.
func TestOwnFilter_LeavesOutOwnMessagesOnly(t *testing.T) {
	t.Parallel()
	const own = "\x93\xa6oYcW10"
	mine := func(first string, n int) string {
		return respMessage(first, "socket.io#/#*", "socket.io#/#room#", own+strings.Repeat("\r\n$1", n))
	}
	others := []string{
		"+OK\r\n", "-ERR no such\r\n", ":12\r\n", "_\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n", "$0\r\n\r\n",
		"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n+proto\r\n:3\r\n",
		"|1\r\n+ttl\r\n:3600\r\n*2\r\n:1\r\n*2\r\n:2\r\n$3\r\nabc\r\n",
		"*3\r\n$10\r\npsubscribe\r\n$3\r\na#*\r\n:1\r\n",
		">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$" + fmt.Sprint(len(own)) + "\r\n" + own + "\r\n",
		respMessage("*", "p#*", "p#r#", "\x93\xa6oYcW11 of another"), respMessage(">", "p#*", "p#r#", "\x93"), respMessage("*", "p#*", "p#r#", ""),
		respMessage("*", "p#*", strings.Repeat("c", 300), own+"behind a channel that is longer than the buffer"),
		"*4\r\n$8\r\npmessage\r\n:1\r\n:2\r\n:3\r\n",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var in, want strings.Builder
		count := 0
		for range 1 + random.IntN(30) {
			if random.IntN(2) == 0 {
				in.WriteString(mine([]string{"*", ">"}[random.IntN(2)], random.IntN(100)))
				count++
				continue
			}
			text := others[random.IntN(len(others))]
			in.WriteString(text)
			want.WriteString(text)
		}
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(in.String()), "by byte": iotest.OneByteReader(strings.NewReader(in.String())), "by half": iotest.HalfReader(strings.NewReader(in.String())),
		} {
			got, seen := filtered(t, r, own, 256)
			if got != want.String() || seen != count {
				t.Fatalf("%s: %.2000q: got %.1000q, want %.1000q; %d left out, want %d", name, in.String(), got, want.String(), seen, count)
			}
		}
	}
}

func FuzzOwnFilter(f *testing.F) {
	f.Add([]byte(respMessage("*", "p", "c", "mine")+"+OK\r\n"), 64)
	f.Add([]byte("*2\r\n$1000000000000\r\n|1\r\n"), 64)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		if size < 64 || size > 1<<16 {
			return
		}
		got, seen := filtered(t, bytes.NewReader(in), "mine", size)
		if seen == 0 && got != string(in) || len(got) > len(in) {
			t.Fatalf("%q became %q", in, got)
		}
	})
}
