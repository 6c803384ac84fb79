package adapter_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// command is an operation on a replica, in Go or in Node: see testdata/node/peer.js.
type command struct {
	ID       int            `json:"id"`
	Cmd      string         `json:"cmd"`
	NSP      string         `json:"nsp,omitempty"`
	To       []string       `json:"to,omitempty"`
	Except   []string       `json:"except,omitempty"`
	Volatile bool           `json:"volatile,omitempty"`
	Local    bool           `json:"local,omitempty"`
	Timeout  int            `json:"timeout,omitempty"`
	Args     []any          `json:"args,omitempty"`
	Rooms    []string       `json:"rooms,omitempty"`
	Close    bool           `json:"close"`
	SID      string         `json:"sid,omitempty"`
	Data     map[string]any `json:"data,omitempty"`
	Auth     map[string]any `json:"auth,omitempty"`
	Client   int            `json:"client"`
}

// replica is one server of a cluster. do performs a command and returns its
// result as JSON.
type replica interface {
	do(c command) (string, error)
	connect(t testing.TB, nsp string) client
}

// client is connected to a replica. next returns the next event as
// name + JSON array of arguments.
type client interface {
	id() string
	next(t testing.TB) string
	// answer lets the client acknowledge the next event, if it does not on its own.
	answer(t testing.TB)
}

func must(t testing.TB, r replica, c command) string {
	t.Helper()
	if c.NSP == "" {
		c.NSP = "/"
	}
	result, err := r.do(c)
	if err != nil {
		t.Fatalf("%s: %v", c.Cmd, err)
	}
	return result
}

// bin and date are values that JSON has no form for.
func bin(b ...byte) map[string]any { return map[string]any{"$bin": hex.EncodeToString(b)} }
func date(ms int64) map[string]any { return map[string]any{"$date": ms} }

// A goReplica is a server of this module.
type goReplica struct {
	*sockettest.Server
	serverSide chan string
}

func newGoReplica(t testing.TB, a socketio.NewAdapter, o *socketio.Options) *goReplica {
	t.Helper()
	if o == nil {
		o = &socketio.Options{}
	}
	o.NewAdapter = a
	r := &goReplica{Server: sockettest.NewServer(t, o), serverSide: make(chan string, 16)}
	for _, name := range []string{"/", "/chat"} {
		for _, event := range []string{"hi", "hibin"} {
			r.Of(name).OnServerSideEmit(event, func(e *socketio.ServerSideEvent) {
				r.serverSide <- event + mark(e.Args().String(), attachmentsOf(e.Args()))
				if event == "hibin" {
					_ = e.Ack(map[string]any{"b": []byte{9, 8}})
				} else {
					_ = e.Ack("hello from go")
				}
			})
		}
	}
	return r
}

func attachmentsOf(a socketio.Args) [][]byte {
	for _, v := range a.All() {
		if len(v.Attachments) > 0 {
			return v.Attachments
		}
	}
	return nil
}

// mark replaces placeholders with {"$bin": hex}.
func mark(text string, attachments [][]byte) string {
	for i, b := range attachments {
		text = strings.ReplaceAll(text, `{"_placeholder":true,"num":`+strconv.Itoa(i)+`}`, `{"$bin":"`+hex.EncodeToString(b)+`"}`)
	}
	return text
}

func revive(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if h, ok := v["$bin"].(string); ok {
			b, _ := hex.DecodeString(h)
			return b
		}
		if ms, ok := v["$date"].(int64); ok {
			return time.UnixMilli(ms).UTC()
		}
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = revive(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = revive(x)
		}
		return out
	}
	return v
}

func (r *goReplica) do(c command) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return r.doUntil(ctx, c)
}

func (r *goReplica) doUntil(ctx context.Context, c command) (string, error) {
	n := r.Of(c.NSP)
	op := n.To(c.To...).Except(c.Except...)
	if c.Volatile {
		op = op.Volatile()
	}
	if c.Local {
		op = op.Local()
	}
	if c.Timeout > 0 {
		op = op.Timeout(time.Duration(c.Timeout) * time.Millisecond)
	}
	event, args := "", []any(nil)
	if len(c.Args) > 0 {
		event = c.Args[0].(string)
		args = revive(c.Args[1:]).([]any)
	}
	switch c.Cmd {
	case "emit":
		return "null", op.Emit(event, args...)
	case "unicast":
		return "null", n.Socket(c.SID).Emit(event, args...)
	case "join":
		return "null", n.Socket(c.SID).Join(c.Rooms...)
	case "data":
		for k, v := range c.Data {
			socketio.NewKey[any](k).Set(n.Socket(c.SID), v)
		}
		return "null", nil
	case "socketsJoin":
		return "null", op.SocketsJoin(ctx, c.Rooms...)
	case "socketsLeave":
		return "null", op.SocketsLeave(ctx, c.Rooms...)
	case "disconnectSockets":
		return "null", op.DisconnectSockets(ctx, c.Close)
	case "emitWithAck":
		list, err := op.EmitWithAck(ctx, event, args...)
		return joinArgs(list), err
	case "fetchSockets":
		list, err := op.FetchSockets(ctx)
		return describe(list), err
	case "remoteEmitWithAck":
		list, err := op.FetchSockets(ctx)
		if err != nil {
			return "", err
		}
		answer, err := list[0].EmitWithAck(ctx, event, args...)
		return mark(string(answer.JSON(0)), attachmentsOf(answer)), err
	case "serverSideEmit":
		return "null", n.ServerSideEmit(event, args...)
	case "serverSideEmitWithAck":
		list, err := n.ServerSideEmitWithAck(ctx, event, args...)
		return joinArgs(list), err
	case "nextServerSide":
		select {
		case e := <-r.serverSide:
			return e, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	case "serverCount":
		count, err := n.Adapter().ServerCount(ctx)
		return strconv.Itoa(count), err
	case "allRooms":
		rooms, err := n.Adapter().(interface {
			AllRooms(context.Context) ([]string, error)
		}).AllRooms(ctx)
		b, _ := json.Marshal(rooms)
		return string(b), err
	case "remoteDisconnect":
		return "null", n.Adapter().(interface {
			RemoteDisconnect(context.Context, string, bool) error
		}).RemoteDisconnect(ctx, c.SID, c.Close)
	}
	return "", fmt.Errorf("unknown command %q", c.Cmd)
}

func joinArgs(list []socketio.Args) string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = mark(string(a.JSON(0)), attachmentsOf(a))
	}
	slices.Sort(words)
	return "[" + strings.Join(words, ",") + "]"
}

func describe(list []*socketio.RemoteSocket) string {
	slices.SortFunc(list, func(a, b *socketio.RemoteSocket) int { return strings.Compare(a.ID(), b.ID()) })
	words := make([]string, len(list))
	for i, s := range list {
		rooms := slices.Sorted(slices.Values(s.Rooms()))
		b, _ := json.Marshal(rooms)
		words[i] = fmt.Sprintf(`{"id":%q,"rooms":%s,"data":%s,"query":%q,"auth":%s}`, s.ID(), b, s.Data(), s.Handshake().Query["q"], s.Handshake().Auth)
	}
	return "[" + strings.Join(words, ",") + "]"
}

type goClient struct {
	*sockettest.Client
	last *sockettest.Message
}

func (r *goReplica) connect(t testing.TB, nsp string) client {
	c, err := r.TryConnect(nsp, map[string]any{}, &sockettest.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &goClient{Client: c}
}

func (c *goClient) id() string { return c.ID }

func (c *goClient) next(t testing.TB) string {
	t.Helper()
	c.last = c.Client.Next()
	return c.last.Name + mark(c.last.Args.String(), c.last.Args.Attachments)
}

func (c *goClient) answer(t testing.TB) {
	t.Helper()
	m := c.Client.Next()
	for m.Name == "maybe" { // it may be dropped, so no test waits for it, and others overtake it
		m = c.Client.Next()
	}
	if m.Name == "askbin" {
		m.Ack([]byte{1, 2, 3}, "ignored")
	} else {
		m.Ack("answer of "+strings.Trim(m.Args.JSON(0), `"`), "ignored")
	}
}

// A nodeReplica is a Node process that runs testdata/node/peer.js.
type nodeReplica struct {
	mu      sync.Mutex
	in      io.Writer
	lastID  int
	waiting map[int]chan nodeAnswer
}

type nodeAnswer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

type nodeConfig struct {
	Kind    string         `json:"kind"`
	Where   map[string]any `json:"where"`
	Library string         `json:"library,omitempty"`
	Opts    map[string]any `json:"opts,omitempty"`
	Server  map[string]any `json:"server,omitempty"`
}

func newNodeReplica(t testing.TB, config nodeConfig) *nodeReplica {
	t.Helper()
	testenv.NodeDir(t)
	b, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join("testdata", "node", "peer.js"), string(b))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &nodeReplica{in: in, waiting: map[int]chan nodeAnswer{0: make(chan nodeAnswer, 1)}}
	ready := r.waiting[0]
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			var a nodeAnswer
			if json.Unmarshal(lines.Bytes(), &a) != nil {
				continue
			}
			r.mu.Lock()
			if ch := r.waiting[a.ID]; ch != nil {
				delete(r.waiting, a.ID)
				ch <- a
			}
			r.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		in.Close() // the script ends with its input
		stop := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		<-done
		_ = cmd.Wait()
		stop.Stop()
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("node: %s", stderr.String())
		}
	})
	select {
	case <-ready:
	case <-time.After(15 * time.Second):
		t.Fatal("node replica does not start")
	}
	return r
}

func (r *nodeReplica) do(c command) (string, error) {
	ch := make(chan nodeAnswer, 1)
	r.mu.Lock()
	r.lastID++
	c.ID = r.lastID
	r.waiting[c.ID] = ch
	b, err := json.Marshal(c)
	if err == nil {
		_, err = r.in.Write(append(b, '\n'))
	}
	r.mu.Unlock()
	if err != nil {
		return "", err
	}
	select {
	case a := <-ch:
		if a.Error != "" {
			return "", fmt.Errorf("node: %s", a.Error)
		}
		if c.Cmd == "nextServerSide" || c.Cmd == "next" {
			var e struct {
				Name string
				Args json.RawMessage
			}
			if err := json.Unmarshal(a.Result, &e); err != nil {
				return "", err
			}
			return e.Name + string(e.Args), nil
		}
		return string(a.Result), nil
	case <-time.After(15 * time.Second):
		return "", fmt.Errorf("node does not answer to %s", c.Cmd)
	}
}

type nodeClient struct {
	r      *nodeReplica
	Client int
	SID    string
}

func (r *nodeReplica) connect(t testing.TB, nsp string) client {
	t.Helper()
	c := &nodeClient{r: r}
	if err := json.Unmarshal([]byte(must(t, r, command{Cmd: "connect", NSP: nsp})), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *nodeClient) id() string { return c.SID }

func (c *nodeClient) next(t testing.TB) string {
	t.Helper()
	return must(t, c.r, command{Cmd: "next", Client: c.Client})
}

func (c *nodeClient) answer(t testing.TB) {
	t.Helper()
	c.next(t) // has acknowledged it already
}
