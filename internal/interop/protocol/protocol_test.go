package protocol

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"posthouse/internal/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.RemoveBinaries()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// urls are the fixtures of one server, by name.
type urls map[string]string

// outcome is what one check of a script asserted and saw.
type outcome struct {
	Name  string          `json:"name"`
	Seen  json.RawMessage `json:"seen"`
	Error *string         `json:"error"`
}

func (o outcome) String() string {
	if o.Error != nil {
		return "error: " + *o.Error
	}
	return string(o.Seen)
}

// scripts are those that run against every server.
var scripts = []string{"eio4", "eio3", "sio5", "sioclient", "eioclient", "behaviours"}

// rounds is how often a difference must be seen to count: both servers time their
// heartbeats against clients that a busy machine delays.
const rounds = 4

func TestProtocol(t *testing.T) {
	if testing.Short() {
		t.Skip("scripts of Node: not with -short")
	}
	modules := filepath.Join(testenv.NodeDir(t), "node_modules")
	ours, process := startConformance(t)
	maps.Copy(ours, startExtras(t))
	twin := startTwin(t, modules)
	for _, script := range scripts {
		t.Run(script, func(t *testing.T) {
			compare(t, modules, script, ours, twin)
		})
	}
	t.Run("limits", func(t *testing.T) {
		for name, o := range runScript(t, modules, "limits", ours, nil) {
			if o.Error != nil {
				t.Errorf("%s: %s", name, o)
			}
		}
	})
	alive(t, ours["sio5"], process)
}

// alive demands that nothing that the scripts sent ended or hurt the process.
func alive(t *testing.T, at string, p *testenv.Process) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	if resp, err := client.Get(at); err != nil {
		t.Errorf("the server ended: %v", err)
	} else {
		_ = resp.Body.Close()
	}
	if out := p.Output(); strings.Contains(out, "panic") || strings.Contains(out, "level=ERROR") {
		t.Errorf("the server complains:\n%s", out)
	}
}

// startConformance builds and starts the fixture server.
func startConformance(t *testing.T) (urls, *testenv.Process) {
	t.Helper()
	program := testenv.Binary(t, "./examples/conformance")
	for range 20 { // five ports in a row must be free; below 32768 the kernel gives none away
		p := testenv.Start(t, []string{fmt.Sprintf("PORT=%d", 20000+5*rand.IntN(2000))}, program)
		found := urls{}
		testenv.Until(t, 20*time.Second, "the fixture server", func() bool {
			for line := range strings.Lines(p.Output()) {
				if name, at, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
					if u, err := url.Parse(at); err == nil && u.Host != "" {
						found[name] = "http://" + u.Host
					}
				}
			}
			return len(found) == 5 || p.Wait(0) == nil || strings.Contains(p.Output(), "address already in use")
		})
		if len(found) == 5 {
			return found, p
		}
	}
	t.Fatal("no five free ports in a row")
	return nil, nil
}

// startTwin starts the same fixtures on the Node server.
func startTwin(t *testing.T, modules string) urls {
	t.Helper()
	return startPeer(t, modules, "node", "testdata/twin.js")
}

// startPeer starts a program that prints the URLs of its fixtures as a line of JSON
// and ends with its standard input.
func startPeer(t *testing.T, modules, name string, args ...string) urls {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends with its input
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	found := urls{}
	if err := json.Unmarshal(line, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// compare runs a script against both servers. Differences that are not wanted must
// show in every round to fail the test; wanted ones must show in the first.
func compare(t *testing.T, modules, script string, ours, twin urls) {
	t.Helper()
	var names []string // nil: all
	for round := 1; ; round++ {
		var theirs map[string]outcome
		var both sync.WaitGroup
		both.Go(func() { theirs = runScript(t, modules, script, twin, names) })
		mine := runScript(t, modules, script, ours, names)
		both.Wait()
		if t.Failed() {
			return
		}
		names = nil
		for name := range mine {
			if !settled(script+": "+name, mine[name], theirs[name]) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		if len(names) == 0 {
			return
		}
		if round == rounds {
			for _, name := range names {
				t.Errorf("%s\n ours: %s\n node: %s", name, mine[name], theirs[name])
			}
			return
		}
	}
}

// settled reports whether ours passed and looks as it should beside Node's.
func settled(name string, ours, node outcome) bool {
	if ours.Error != nil {
		return false
	}
	same := node.Error == nil && bytes.Equal(ours.Seen, node.Seen)
	_, wanted := differences[name]
	return same != wanted
}

// runScript runs the checks of a script, all or those named, by name; more is its
// environment beside this process's.
func runScript(t *testing.T, modules, script string, at urls, names []string, more ...string) map[string]outcome {
	t.Helper()
	where, err := json.Marshal(at)
	if err != nil {
		t.Error(err)
		return nil
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", script+".js"), string(where))
	cmd.Env = append(append(os.Environ(), "NODE_PATH="+modules), more...)
	if names != nil {
		list, _ := json.Marshal(names) // strings only
		cmd.Env = append(cmd.Env, "POSTHOUSE_CHECKS="+string(list))
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v\n%s%s", script, err, stderr.String(), out)
		return nil
	}
	results := map[string]outcome{}
	for line := range bytes.Lines(out) {
		var o outcome
		if err := json.Unmarshal(line, &o); err != nil {
			t.Errorf("%s: %v\n%s", script, err, line)
			return nil
		}
		results[o.Name] = o
	}
	return results
}
