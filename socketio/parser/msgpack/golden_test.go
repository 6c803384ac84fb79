package msgpack_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"posthouse/socketio/parser/msgpack"
)

// Recorded from notepack.io 3.0.1 and @msgpack/msgpack by ../testdata/record.mjs.
type recorded struct {
	Op       string
	JSON     string
	Bin      []string
	Hex      string
	Official string
	OK       bool
	MS       int64
}

func recordings(t testing.TB) (list []recorded) {
	b, err := os.ReadFile("../testdata/notepack.json")
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	if err != nil || len(list) == 0 {
		t.Fatal(err)
	}
	return list
}

func unhex(t testing.TB, list ...string) (out [][]byte) {
	for _, s := range list {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// differs are the values that notepack.io writes as another value: integers of
// more than 64 bits, of which it keeps the last 64.
var differs = map[string]bool{"100000000000000000000": true, "1e+21": true, "1e+300": true, "1.7976931348623157e+308": true}

// refused is what notepack.io reads and the Reader does not: binary keys.
var refused = map[string]bool{"81c40161a161": true}

func TestValuesAsNotepack(t *testing.T) {
	t.Parallel()
	for _, g := range recordings(t) {
		switch g.Op {
		case "encode":
			bin := unhex(t, g.Bin...)
			got, err := msgpack.AppendValue(nil, []byte(g.JSON), bin)
			if err != nil || (hex.EncodeToString(got) == g.Hex) == differs[g.JSON] {
				t.Errorf("%.80s: %x, %v; Node %.80s", g.JSON, got, err, g.Hex)
			}
			for _, b := range append(unhex(t, g.Official), got) {
				text, back, err := msgpack.JSON(b)
				if err != nil || string(text) != g.JSON || !reflect.DeepEqual(back, bin) {
					t.Errorf("%x: %s, %x, %v; want %s", b, text, back, err, g.JSON)
				}
			}
		case "date":
			at := time.UnixMilli(g.MS)
			got := msgpack.AppendTime(nil, at)
			if hex.EncodeToString(got) != g.Hex {
				t.Errorf("%v: %x, Node %s", at, got, g.Hex)
			}
			if back, err := msgpack.NewReader(got).Time(); err != nil || !back.Equal(at) {
				t.Errorf("%v: read as %v, %v", at, back, err)
			}
		case "decode":
			text, bin, err := msgpack.JSON(unhex(t, g.Hex)[0])
			switch {
			case (err == nil) != (g.OK && !refused[g.Hex]):
				t.Errorf("%s: %s, %v; Node ok=%v %s", g.Hex, text, err, g.OK, g.JSON)
			case err == nil && (!sameJSON(text, g.JSON) || !reflect.DeepEqual(bin, unhex(t, g.Bin...))):
				t.Errorf("%s: %s, %x; Node %s, %s", g.Hex, text, bin, g.JSON, g.Bin)
			}
		}
	}
}

func sameJSON(got []byte, want string) bool {
	var g, w any
	return string(got) == want || json.Unmarshal(got, &g) == nil && json.Unmarshal([]byte(want), &w) == nil && reflect.DeepEqual(g, w)
}
