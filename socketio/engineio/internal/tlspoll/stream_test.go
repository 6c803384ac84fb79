//go:build linux

package tlspoll_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStream_Read_RecordsSplitAtEveryByte(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		r := newRig(t, version)
		want := "one" + strings.Repeat("2", 700) + "three"
		for cut := 1; ; cut++ {
			wire := r.records("one", strings.Repeat("2", 700), "three")
			if cut >= len(wire) {
				break
			}
			r.deliver(wire[:cut])
			first, err := r.drain()
			if err != nil {
				t.Fatalf("cut %d: %v", cut, err)
			}
			r.deliver(wire[cut:])
			second, err := r.drain()
			if got := string(first) + string(second); err != nil || got != want {
				t.Fatalf("cut %d: %d bytes, %v", cut, len(got), err)
			}
		}
	})
}

func TestStream_Read_ByteByByte(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		r := newRig(t, version)
		var got []byte
		for _, b := range r.records("hello", "world") {
			r.deliver([]byte{b})
			part, err := r.drain()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, part...)
		}
		if string(got) != "helloworld" {
			t.Fatalf("%q", got)
		}
	})
}

// One read gives what all records carry, so that they are answered together.
func TestStream_Read_PipelinedRecordsTogether(t *testing.T) {
	r := newRig(t, tls.VersionTLS13)
	r.deliver(r.records("a", "b", "c", "d", "e", "f"))
	buf := make([]byte, 64)
	n, drained, err := r.stream.Read(buf)
	if string(buf[:n]) != "abcdef" || !drained || err != nil {
		t.Fatalf("%q, %v, %v", buf[:n], drained, err)
	}
	r.deliver(r.records("123", "456"))
	for _, want := range []string{"1234", "56"} {
		n, drained, err := r.stream.Read(buf[:4])
		if string(buf[:n]) != want || drained != (want == "56") || err != nil {
			t.Fatalf("%q, %v, %v", buf[:n], drained, err)
		}
	}
}

func TestStream_Read_NothingBeforeAnEvent(t *testing.T) {
	r := newRig(t, tls.VersionTLS13)
	r.peer.Conn.Write(r.records("x")) // the read tells
	if got, err := r.drain(); len(got) > 0 || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	r.stream.Readable(false)
	if got, err := r.drain(); string(got) != "x" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestStream_Read_End(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		for name, test := range map[string]struct {
			end  func(r *rig) []byte
			want error
		}{
			"close_notify": {func(r *rig) []byte {
				held := r.peer.hold()
				r.client.CloseWrite() // it is held
				return held()
			}, io.EOF},
			"end of stream":  {func(r *rig) []byte { return nil }, io.EOF},
			"half a record":  {func(r *rig) []byte { return r.records("lost")[:9] }, io.ErrUnexpectedEOF},
			"altered record": {func(r *rig) []byte { b := r.records("lost"); b[7] ^= 1; return b }, nil},
			"no TLS":         {func(r *rig) []byte { return []byte("GET / HTTP/1.1\r\n\r\n") }, nil},
		} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, version)
				r.deliver(append(r.records("last"), test.end(r)...))
				r.peer.Close()
				r.stream.Readable(true)
				got, err := r.drain()
				if string(got) != "last" || err == nil || test.want != nil && !errors.Is(err, test.want) {
					t.Fatalf("%q, %v", got, err)
				}
				if _, again := r.drain(); again == nil {
					t.Error("the error is forgotten")
				}
			})
		}
	})
}

func TestStream_KeyUpdate_BothDirectionsGoOn(t *testing.T) {
	r := newRig(t, tls.VersionTLS13)
	r.deliver(r.records("before"))
	if got, err := r.drain(); string(got) != "before" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	s := r.sender(1)
	wire := append(append(s.record(typeData, "old keys"), s.keyUpdate()...), s.record(typeData, "new keys")...)
	var got []byte
	for _, b := range wire {
		r.deliver([]byte{b})
		part, err := r.drain()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, part...)
	}
	if string(got) != "old keysnew keys" {
		t.Fatalf("%q", got)
	}
	if n, err := r.stream.TryWrite([]byte("answer")); n != 6 || err != nil {
		t.Fatal(n, err)
	}
	buf := make([]byte, 6) // the client has to follow the server's new keys
	if _, err := io.ReadFull(r.client, buf); err != nil || string(buf) != "answer" {
		t.Fatalf("%q, %v", buf, err)
	}
}

// A client that reads nothing cannot make the server keep answers without bound.
func TestStream_KeyUpdate_AnswersAreBounded(t *testing.T) {
	r := newRig(t, tls.VersionTLS13)
	fill(t, r)
	s := r.sender(0)
	var err error
	for i := 0; err == nil; i++ {
		if i == 20000 {
			t.Fatal("the connection lives on")
		}
		r.deliver(append(s.keyUpdate(), s.record(typeData, "x")...))
		_, err = r.drain()
	}
	if n := r.stream.Unsent(); n > 64<<10 {
		t.Fatalf("%d bytes wait", n)
	}
}

// fill writes until the socket takes no more.
func fill(t *testing.T, r *rig) (written int) {
	t.Helper()
	r.stream.Readable(false)
	for {
		n, err := r.stream.TryWrite(pattern(written, 50000))
		if err != nil {
			t.Fatal(err)
		}
		written += n
		if n == 0 {
			return written
		}
	}
}

// pattern returns bytes that tell where they stand in the whole.
func pattern(from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((from + i) * 2654435761 >> 13)
	}
	return b
}

func TestStream_TryWrite_SlowPeerGetsEveryByteOnce(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		r := newRig(t, version)
		syscall.SetsockoptInt(r.fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 8<<10) // a bigger buffer tests less
		rnd := rand.New(rand.NewPCG(1, uint64(version)))
		const total = 1 << 20
		received := make(chan []byte, 1)
		go func() {
			got, _ := io.ReadAll(r.client) // the comparison tells
			received <- got
		}()
		for written := 0; written < total; {
			p := pattern(written, min(1+rnd.IntN(90<<10), total-written))
			for len(p) > 0 {
				n, err := r.stream.TryWrite(p)
				if err != nil || n > len(p) {
					t.Fatal(n, err)
				}
				p, written = p[n:], written+n
				if n == 0 {
					r.awaitRoom()
				}
				if rnd.IntN(3) == 0 {
					r.stream.Flush()
				}
			}
		}
		r.stream.CloseWrite()
		for r.stream.Unsent() > 0 {
			r.awaitRoom()
			r.stream.Flush()
		}
		if got := <-received; !bytes.Equal(got, pattern(0, total)) {
			t.Fatalf("%d bytes of %d, or others", len(got), total)
		}
	})
}

func TestStream_CloseWrite_BehindWhatWaits(t *testing.T) {
	r := newRig(t, tls.VersionTLS13)
	written := fill(t, r)
	r.stream.CloseWrite()
	done := make(chan int)
	go func() {
		b, err := io.ReadAll(r.client) // needs the close_notify
		if err != nil {
			t.Error(err)
		}
		done <- len(b)
	}()
	for r.stream.Unsent() > 0 {
		r.awaitRoom()
		r.stream.Flush()
	}
	if n := <-done; n < written {
		t.Errorf("%d bytes of %d", n, written)
	}
}

func TestStream_Idle_KeepsNoRecords(t *testing.T) {
	r := newRig(t, tls.VersionTLS13)
	go io.Copy(io.Discard, r.client) // until it is closed
	p := pattern(0, 300<<10)
	for len(p) > 0 {
		n, err := r.stream.TryWrite(p)
		if err != nil {
			t.Fatal(err)
		}
		if p = p[n:]; n == 0 {
			r.awaitRoom()
		}
	}
	if n := r.stream.Unsent(); n != 0 {
		t.Errorf("%d bytes wait", n)
	}
	r.peer.Close()
}

// Whatever the sizes of records and the places where they are cut, what comes out is
// what went in; and what is no record ends the stream.
func FuzzStream_Read(f *testing.F) {
	f.Add([]byte("hello"), []byte{1, 200, 3}, false)
	f.Add(bytes.Repeat([]byte("x"), 8000), []byte{255, 255, 0, 9}, true)
	f.Fuzz(func(t *testing.T, data, cuts []byte, garbage bool) {
		if len(data) > 8<<10 || len(cuts) > 1<<10 {
			return
		}
		r := newRig(t, tls.VersionTLS13)
		var parts []string
		for i := 0; i < len(data); {
			n := len(data) - i
			if len(cuts) > 0 {
				n = min(n, 1+17*int(cuts[i%len(cuts)]))
			}
			parts = append(parts, string(data[i:i+n]))
			i += n
		}
		var got []byte
		wire := r.records(parts...)
		for i, j := 0, 0; i < len(wire); j++ {
			n := len(wire) - i
			if len(cuts) > 0 {
				n = min(n, 1+31*int(cuts[j%len(cuts)]))
			}
			r.deliver(wire[i : i+n])
			i += n
			part, err := r.drain()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, part...)
		}
		if !bytes.Equal(got, data) {
			t.Fatalf("%d bytes of %d, or others", len(got), len(data))
		}
		if garbage && len(cuts) > 0 {
			r.deliver(cuts)
			part, _ := r.drain() // an error is right, and a wait for the rest too
			if len(part) > 0 {
				t.Fatalf("%q out of nothing", part)
			}
		}
	})
}
