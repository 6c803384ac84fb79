package adapter

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorded is one Redis command of a real Node process; see
// testdata/node/record.js.
type recorded struct {
	Step string   `json:"step"`
	From string   `json:"from"` // A asks, B answers, E is the emitter
	Args []string `json:"args"`
}

func readRecorded(t testing.TB, name string) []recorded {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var list []recorded
	for line := range bytes.Lines(b) {
		var r recorded
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		for i, a := range r.Args {
			if raw, ok := strings.CutPrefix(a, "hex:"); ok {
				b, err := hex.DecodeString(raw)
				if err != nil {
					t.Fatal(err)
				}
				r.Args[i] = string(b)
			}
		}
		r.Args[0] = strings.ToLower(r.Args[0])
		list = append(list, r)
	}
	return list
}

// differs are the steps whose messages Go understands but would not write so.
var differs = map[string]string{
	"emit date":          "dates travel as the ISO strings that clients see",
	"emit huge numbers":  "the reference truncates integers of 2^64 and more",
	"emit compress true": "compress(true) is the default, and not sent",
}

func TestClassic_RecordingsOfNodeAreReadAndWrittenAlike(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, key string }{
		{"classic", "socket.io"},
		{"classic-specific", "custom"},
		{"old", "socket.io"},
		{"emitter", "socket.io"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checked := 0
			for _, r := range readRecorded(t, tt.name) {
				if r.Args[0] != "publish" {
					continue
				}
				got, err := rewriteClassic(tt.key, r.Args[1], []byte(r.Args[2]), r.From == "E")
				if err != nil {
					t.Errorf("%s: %v", r.Step, err)
					continue
				}
				if tt.name == "old" && r.Step == "emit values" {
					continue // wrote undefined as an extension
				}
				if differs[r.Step] == "" && !bytes.Contains(got, []byte(`"handshake"`)) && string(got) != r.Args[2] {
					t.Errorf("%s:\n got %q\nwant %q", r.Step, got, r.Args[2])
				}
				checked++
			}
			if checked < 10 {
				t.Fatalf("only %d messages checked", checked)
			}
		})
	}
}

// rewriteClassic decodes a message of the classic adapter and encodes it again.
func rewriteClassic(key, channel string, payload []byte, emitter bool) ([]byte, error) {
	order := adapterOrder
	if emitter {
		order = emitterOrder
	}
	switch {
	case strings.HasPrefix(channel, key+"#"):
		uid, p, o, err := decodeClassicBroadcast(payload)
		if err != nil {
			return nil, err
		}
		return appendClassicBroadcast(nil, uid, p, &o, order)
	case strings.HasPrefix(channel, key+"-request#") && payload[0] == '{':
		req, err := decodeClassicJSON[classicRequest](payload)
		if err != nil {
			return nil, err
		}
		return marshalJSON(req)
	case strings.HasPrefix(channel, key+"-request#"):
		req, err := decodeClassicAckRequest(payload)
		if err != nil {
			return nil, err
		}
		return req.appendTo(nil)
	case payload[0] == '{':
		res, err := decodeClassicJSON[classicResponse](payload)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(res.Sockets, []byte(`"handshake"`)) {
			list, err := socketsFromJSON(res.Sockets)
			if err != nil {
				return nil, err
			}
			if res.Sockets, err = socketsToJSON(list); err != nil {
				return nil, err
			}
		}
		return marshalJSON(res)
	default:
		id, v, err := decodeClassicAck(payload)
		if err != nil {
			return nil, err
		}
		return appendClassicAck(nil, id, v)
	}
}

func TestSharded_RecordingsOfNodeAreReadAndWrittenAlike(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sharded", "sharded-static", "sharded-private"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checked := 0
			for _, r := range readRecorded(t, name) {
				if r.Args[0] != "spublish" {
					continue
				}
				m, err := decodeCluster([]byte(r.Args[2]))
				if err != nil {
					t.Errorf("%s: %v", r.Step, err)
					continue
				}
				got, err := m.encodeSharded()
				if err != nil {
					t.Errorf("%s: %v", r.Step, err)
				}
				if r.Step != "emit compress true" && string(got) != r.Args[2] {
					t.Errorf("%s:\n got %q\nwant %q", r.Step, got, r.Args[2])
				}
				checked++
			}
			if checked < 30 {
				t.Fatalf("only %d messages checked", checked)
			}
		})
	}
}

func TestStreams_RecordingsOfNodeAreReadAndWrittenAlike(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"streams", "streams-recovery"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries, messages := 0, 0
			for _, r := range readRecorded(t, name) {
				switch r.Args[0] {
				case "publish":
					m, err := decodeCluster([]byte(r.Args[2]))
					if err != nil {
						t.Errorf("%s: %v", r.Step, err)
						continue
					}
					got, err := m.encodeEphemeral()
					if err != nil {
						t.Errorf("%s: %v", r.Step, err)
					}
					if string(got) != r.Args[2] {
						t.Errorf("%s:\n got %q\nwant %q", r.Step, got, r.Args[2])
					}
					messages++
				case "xadd":
					fields := make(map[string]any)
					for i := 6; i+1 < len(r.Args); i += 2 {
						fields[r.Args[i]] = r.Args[i+1]
					}
					m, err := decodeEntry(fields)
					if err != nil {
						t.Errorf("%s: %v", r.Step, err)
						continue
					}
					got, err := m.entryArgs("socket.io", 10000)
					if err != nil {
						t.Errorf("%s: %v", r.Step, err)
					}
					if text := joinArgs(got); r.Step != "emit compress true" && text != strings.Join(r.Args, " ") {
						t.Errorf("%s:\n got %q\nwant %q", r.Step, text, strings.Join(r.Args, " "))
					}
					entries++
				}
			}
			if entries < 15 || messages < 10 {
				t.Fatalf("only %d entries and %d messages checked", entries, messages)
			}
		})
	}
}

func joinArgs(args []any) string {
	words := make([]string, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case []byte:
			words[i] = string(a)
		case string:
			words[i] = a
		}
	}
	return strings.Join(words, " ")
}
