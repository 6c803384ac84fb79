package ws_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"posthouse/socketio/engineio/internal/ws"
)

// recorder notes what a Reader delivers.
type recorder struct{ got []string }

func (r *recorder) Message(op ws.Opcode, p []byte) error {
	r.got = append(r.got, fmt.Sprintf("%x:%s", byte(op), p))
	return nil
}

func (r *recorder) Control(op ws.Opcode, p []byte) error { return r.Message(op, p) }

func TestFeedDeliversTheSameHoweverTheBytesAreCut(t *testing.T) {
	t.Parallel()
	key := [4]byte{1, 2, 3, 4}
	var stream []byte
	stream = ws.AppendMaskedFrame(stream, ws.Text, []byte("héllo"), key)
	stream = ws.AppendMaskedFrame(stream, ws.Ping, []byte("p"), key)
	stream = ws.AppendMaskedFrame(stream, ws.Binary, []byte(strings.Repeat("x", 70000)), key)
	stream = ws.AppendMaskedFrame(stream, ws.Close, []byte("\x03\xe8bye"), key)
	want := []string{"1:héllo", "9:p", "2:" + strings.Repeat("x", 70000), "8:\x03\xe8bye"}
	for _, step := range []int{1, 2, 3, 7, 100, 4096, len(stream)} {
		rd := ws.NewReader(ws.NewFormat(nil), nil)
		var rec recorder
		var err error
		rest := append([]byte(nil), stream...)
		for len(rest) > 0 {
			n := min(step, len(rest))
			if _, err = rd.Feed(rest[:n], &rec); err != nil {
				break
			}
			rest = rest[n:]
		}
		if !errors.Is(err, ws.ErrPeerClosed) {
			t.Fatalf("step %d: err = %v, want ErrPeerClosed", step, err)
		}
		if fmt.Sprint(rec.got) != fmt.Sprint(want) {
			t.Errorf("step %d: delivered %.80q", step, rec.got)
		}
	}
}
