package adapter_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
)

// monitor collects the commands that a Redis server runs.
type monitor struct {
	mu   sync.Mutex
	seen [][]string
}

var quotedArg = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

func newMonitor(t testing.TB, rdb redis.UniversalClient) *monitor {
	t.Helper()
	m := &monitor{}
	testenv.Monitor(t, rdb.(*redis.Client).Options().Addr, func(line string) {
		var args []string
		for _, q := range quotedArg.FindAllString(line, -1) {
			arg, err := strconv.Unquote(q) // Redis escapes as Go does
			if err != nil {
				t.Errorf("%s: %v", q, err)
			}
			args = append(args, arg)
		}
		m.mu.Lock()
		m.seen = append(m.seen, args)
		m.mu.Unlock()
	})
	return m
}

// take waits for n commands that match, and returns them and forgets all.
func (m *monitor) take(t testing.TB, n int, match func(cmd []string) bool) (list [][]string) {
	t.Helper()
	testenv.Until(t, 5*time.Second, strconv.Itoa(n)+" commands", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		list = list[:0]
		for _, args := range m.seen {
			if slices.Contains(says, strings.ToLower(args[0])) && !ownChannel.MatchString(args[1]) && match(args) {
				list = append(list, args)
			}
		}
		if len(list) < n {
			return false
		}
		m.seen = nil
		return true
	})
	return list
}

// says are the commands that carry messages.
var says = []string{"publish", "spublish", "xadd"}

// ownChannel are the channels that only Go nodes have.
var ownChannel = regexp.MustCompile(`^[^#]*-(nodes|probe)#`)

// recording is what Node said in one step: see testdata/node/record.js.
func recording(t testing.TB, file, step, from string) (list [][]string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var r struct {
			Step, From string
			Args       []string
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		if r.Step != step || r.From != from || !slices.Contains(says, strings.ToLower(r.Args[0])) {
			continue
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
		list = append(list, r.Args)
	}
	if len(list) == 0 {
		t.Fatalf("no recording of %q", step)
	}
	return list
}

// ids finds what differs from run to run: names of nodes and requests.
var ids = map[string]*regexp.Regexp{
	"classic": regexp.MustCompile(`(\x{a6}|"uid":"|"requestId":"|-response#/#)([\w-]{6})("|\x{a9}requestId|\x{83}\x{a4}type|\x{a4}type|\x{a6}packet|#)`),
	"other":   regexp.MustCompile(`((?:\x{b0}|"uid":"|"requestId":"|#/#|#/chat#))([0-9a-f]{16})()`),
}

// latin1 makes bytes characters, for regular expressions.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i, b := range []byte(s) {
		runes[i] = rune(b)
	}
	return string(runes)
}

// anonymous replaces ids in all arguments.
func anonymous(kind string, cmd []string) string {
	text := latin1(strings.ToLower(cmd[0]) + " " + strings.Join(cmd[1:], " "))
	if kind != "classic" {
		kind = "other"
		text = entryUID.ReplaceAllString(text, "uid I nsp")
	}
	return ids[kind].ReplaceAllString(text, "${1}I${3}")
}

var entryUID = regexp.MustCompile(`uid [0-9a-f]{16} nsp`)

// TestAdapters_SayWhatNodeSays performs on a Go replica what record.js performed on a Node
// replica, and compares what Redis was told, byte for byte.
func TestAdapters_SayWhatNodeSays(t *testing.T) {
	t.Parallel()
	type step struct {
		name  string
		c     command
		after func(c client) // on the client of the answering node
	}
	ask := func(c client) { c.answer(t) }
	steps := []step{
		{"emit", command{Cmd: "emit", Args: []any{"hello", 1, "2", map[string]any{"a": []any{true}}}}, nil},
		{"emit to one room", command{Cmd: "emit", To: []string{"room1"}, Args: []any{"hello", "x"}}, nil},
		{"emit to rooms except", command{Cmd: "emit", To: []string{"room1", "room2"}, Except: []string{"room3"}, Args: []any{"hello", "x"}}, nil},
		{"emit binary", command{Cmd: "emit", Args: []any{"bin", bin(1, 2, 3), map[string]any{"deep": []any{bin('a', 'b', 'c')}}}}, nil},
		{"emit numbers", command{Cmd: "emit", Args: []any{"n", 0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 9007199254740991,
			-1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -9007199254740991, 1.5, 0.1, 5e-324}}, nil},
		{"emit values", command{Cmd: "emit", Args: []any{"v", nil, true, false, "", "ü€😀", []any{}, map[string]any{}, map[string]any{"y": nil}, []any{nil},
			strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("x", 256)}}, nil},
		{"emit chat", command{Cmd: "emit", NSP: "/chat", Args: []any{"hello", "x"}}, nil},
		{"broadcast with ack", command{Cmd: "emitWithAck", To: nil, Timeout: 500, Args: []any{"ask", "q"}}, ask},
		{"broadcast with ack nobody", command{Cmd: "emitWithAck", To: []string{"nowhere"}, Timeout: 300, Args: []any{"ask", "q"}}, nil},
		{"fetchSockets", command{Cmd: "fetchSockets"}, nil},
		{"fetchSockets in rooms", command{Cmd: "fetchSockets", To: []string{"room1", "room2"}, Except: []string{"room3"}}, nil},
		{"socketsJoin", command{Cmd: "socketsJoin", To: []string{"room1"}, Rooms: []string{"room9"}}, nil},
		{"socketsJoin many", command{Cmd: "socketsJoin", To: []string{"room1", "room2"}, Except: []string{"room3"}, Rooms: []string{"room8", "room7"}}, nil},
		{"socketsLeave", command{Cmd: "socketsLeave", Rooms: []string{"room9"}}, nil},
		{"serverSideEmit", command{Cmd: "serverSideEmit", Args: []any{"hi", "world", 1}}, nil},
		{"serverSideEmit with ack", command{Cmd: "serverSideEmitWithAck", Args: []any{"hi", "world"}}, nil},
		{"serverSideEmit binary with ack", command{Cmd: "serverSideEmitWithAck", Args: []any{"hibin", bin(7)}}, nil},
		{"allRooms", command{Cmd: "allRooms"}, nil},
		{"disconnectSockets", command{Cmd: "disconnectSockets", To: []string{"room1"}}, nil},
		{"disconnectSockets close", command{Cmd: "disconnectSockets", Close: true}, nil},
	}
	adapters := map[string]func(rdb redis.UniversalClient) socketio.NewAdapter{
		"classic": func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.Redis(rdb, nil) },
		"classic-specific": func(rdb redis.UniversalClient) socketio.NewAdapter {
			return adapter.Redis(rdb, &adapter.RedisOptions{Key: "custom", PublishOnSpecificResponseChannel: true})
		},
		"sharded": func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.ShardedRedis(rdb, nil) },
		"sharded-static": func(rdb redis.UniversalClient) socketio.NewAdapter {
			return adapter.ShardedRedis(rdb, &adapter.ShardedOptions{SubscriptionMode: adapter.Static})
		},
		"sharded-private": func(rdb redis.UniversalClient) socketio.NewAdapter {
			return adapter.ShardedRedis(rdb, &adapter.ShardedOptions{SubscriptionMode: adapter.DynamicPrivate, ChannelPrefix: "custom"})
		},
		"streams": func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.RedisStreams(rdb, nil) },
	}
	for name, makeAdapter := range adapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind, _, _ := strings.Cut(name, "-")
			rdb, where := newRedis(t)
			a := newGoReplica(t, makeAdapter(rdb), nil)
			// A Node replica answers, so that the Go replica does not sign for a Go one.
			opts := map[string]map[string]any{
				"classic-specific": {"key": "custom", "publishOnSpecificResponseChannel": true},
				"sharded-static":   {"subscriptionMode": "static"},
				"sharded-private":  {"subscriptionMode": "dynamic-private", "channelPrefix": "custom"},
			}[name]
			if opts == nil {
				opts = map[string]any{}
			}
			b := newNodeReplica(t, nodeConfig{Kind: kind, Where: where, Opts: opts})
			c := b.connect(t, "/")
			testenv.Until(t, 5*time.Second, "both", func() bool { return must(t, a, command{Cmd: "serverCount"}) == "2" })
			m := newMonitor(t, rdb)
			for _, s := range steps {
				if s.name == "allRooms" && kind != "classic" {
					continue
				}
				want := recording(t, name, s.name, "A")
				s.c.NSP = cmpOr(s.c.NSP, "/")
				result := background(func() (string, error) { return a.do(s.c) })
				if s.after != nil {
					s.after(c)
				}
				result(t)
				got := m.take(t, len(want), func(cmd []string) bool { return !isAnswer(kind, cmd) })
				if len(got) != len(want) {
					t.Errorf("%s: %d commands, want %d: %q", s.name, len(got), len(want), got)
					continue
				}
				for i := range want {
					if g, w := anonymous(kind, got[i]), anonymous(kind, want[i]); g != w {
						t.Errorf("%s:\n got %q\nwant %q", s.name, g, w)
					}
				}
			}
		})
	}
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

var answerTypes = regexp.MustCompile(`^\{"type":(8|10|11|12),|^\x{84}\x{a4}type[\x08\x0a\x0b\x0c]`)

func isAnswer(kind string, cmd []string) bool {
	if kind == "classic" {
		return strings.Contains(cmd[1], "-response#")
	}
	return strings.ToLower(cmd[0]) != "xadd" && answerTypes.MatchString(latin1(cmd[2]))
}

// TestAdapters_AnswerAsNodeAnswers asks from a Node replica, and compares the answers of a Go
// replica with those of a Node one.
func TestAdapters_AnswerAsNodeAnswers(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "sharded", "streams"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			rdb, where := newRedis(t)
			b := newGoReplica(t, map[string]socketio.NewAdapter{
				"classic": adapter.Redis(rdb, nil), "sharded": adapter.ShardedRedis(rdb, nil), "streams": adapter.RedisStreams(rdb, nil),
			}[kind], nil)
			for _, event := range []string{"hi", "hibin"} {
				b.OnServerSideEmit(event, func(*socketio.ServerSideEvent) {})
			}
			a := newNodeReplica(t, nodeConfig{Kind: kind, Where: where})
			c1, c2 := b.connect(t, "/"), b.connect(t, "/")
			testenv.Until(t, 5*time.Second, "both", func() bool { return must(t, a, command{Cmd: "serverCount"}) == "2" })
			m := newMonitor(t, rdb)
			compare := func(name string, c command, clients ...client) {
				t.Helper()
				c.NSP = "/"
				want := recording(t, kind, name, "B")
				result := background(func() (string, error) { return a.do(c) })
				for _, client := range clients {
					client.answer(t)
				}
				result(t)
				var got, wanted []string
				for _, cmd := range m.take(t, len(want), func(cmd []string) bool { return isAnswer(kind, cmd) }) {
					got = append(got, anonymous(kind, cmd))
				}
				for _, cmd := range want {
					wanted = append(wanted, anonymous(kind, cmd))
				}
				if !slices.Equal(got, wanted) {
					t.Errorf("%s:\n got %q\nwant %q", name, got, wanted)
				}
			}
			compare("broadcast with ack", command{Cmd: "emitWithAck", Timeout: 500, Args: []any{"ask", "q"}}, c1, c2)
			compare("broadcast with ack nobody", command{Cmd: "emitWithAck", Timeout: 300, To: []string{"nowhere"}, Args: []any{"ask", "q"}})
			compare("serverSideEmit binary with ack", command{Cmd: "serverSideEmitWithAck", Args: []any{"hibin", bin(7)}})
		})
	}
}
