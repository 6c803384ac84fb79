// Package cluster_test runs examples/cluster as people do, drives it with the real
// client and ends it with Ctrl-C; it runs whole clusters of the built gateway
// (replicas, Redis, nginx or HAProxy as shipped, a stand-alone WeChat: the topology of
// docker-compose.yml without containers) and kills their parts while people log in.
package cluster_test

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.RemoveBinaries()
	os.Exit(code)
}

// example is the running example and what its banner says.
type example struct {
	*testenv.Process
	banner string
}

func startExample(t *testing.T, env ...string) *example {
	t.Helper()
	testenv.NodeDir(t)
	testenv.Need(t, "redis-server", "nginx")
	temp := t.TempDir()
	e := &example{Process: testenv.Start(t, append(env, "TMPDIR="+temp), testenv.Binary(t, "./examples/cluster"), "-port", "0", "-demo", "0")}
	testenv.Until(t, time.Minute, "the banner", func() bool {
		if e.Wait(0) == nil || strings.Contains(e.Output(), "cluster:") {
			t.Fatal(e.Output())
		}
		e.banner = e.Output()
		return strings.Contains(e.banner, "  redis ")
	})
	return e
}

// address is what the banner says about name.
func (e *example) address(t *testing.T, name string) string {
	t.Helper()
	match := regexp.MustCompile(`(?m)^  ` + name + ` +(\S+)`).FindStringSubmatch(e.banner)
	if match == nil {
		t.Fatalf("no %s in\n%s", name, e.banner)
	}
	return strings.TrimSuffix(match[1], "/")
}

// interrupt is Ctrl-C; nothing may be left, neither processes nor files.
func (e *example) interrupt(t *testing.T) {
	t.Helper()
	family := descendants(e.Process.Process.Pid)
	if runtime.GOOS == "linux" && len(family) < 8 { // redis, wxsim, 3 gateways, nginx and workers, 2 of Node
		t.Errorf("%d processes: %v", len(family), family)
	}
	began := time.Now()
	_ = e.Process.Process.Signal(syscall.SIGINT)
	if err := e.Wait(30 * time.Second); err != nil {
		t.Errorf("Ctrl-C: %v\n%s", err, e.Output())
	}
	t.Logf("%d processes ended after %v", len(family), time.Since(began).Round(10*time.Millisecond))
	for pid, command := range family {
		if processes()[pid].command == command {
			t.Errorf("%d %s is left", pid, command)
		}
	}
	for _, kv := range e.Env {
		if dir, ok := strings.CutPrefix(kv, "TMPDIR="); ok && strings.HasPrefix(filepath.Base(filepath.Dir(dir)), "Test") {
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
				t.Errorf("files are left: %v", left)
			}
		}
	}
}

type process struct {
	parent  int
	command string
}

// processes reads the process table; it is empty elsewhere than on Linux.
func processes() map[int]process {
	table := map[int]process{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[0] == "Z" {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		table[pid] = process{parent, strings.ReplaceAll(string(command), "\x00", " ")}
	}
	return table
}

// descendants are the processes below pid, with their command lines.
func descendants(pid int) map[int]string {
	table, family := processes(), map[int]string{}
	for grown := true; grown; {
		grown = false
		for p, info := range table {
			_, known := family[p]
			_, child := family[info.parent]
			if !known && (info.parent == pid || child) {
				family[p], grown = info.command, true
			}
		}
	}
	return family
}

// Events of Go, Node and an emitter reach the clients of all; both logins work.
func TestGoAndNodeInOneCluster(t *testing.T) {
	e := startExample(t)
	out := testenv.Node(t, time.Minute, filepath.Join("testdata", "drive.cjs"),
		e.address(t, "nginx"), e.address(t, "go"), e.address(t, "node"), e.address(t, "phone"))
	t.Log("\n" + out)
	for _, promise := range []string{"emitter", "go", "node", "who", "login", "login by Node"} {
		if !strings.Contains(out, promise+": ok") {
			t.Errorf("%s is missing", promise)
		}
	}
	e.interrupt(t)
}

// A program that ends by itself ends the rest, and the reason is shown.
func TestOneEndEndsAll(t *testing.T) {
	e := startExample(t)
	family := descendants(e.Process.Process.Pid)
	for pid, command := range family {
		if strings.Contains(command, "emitter.cjs") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if err := e.Wait(30 * time.Second); err == nil || !strings.Contains(e.Output(), "emitter ended: signal: killed") {
		t.Errorf("%v\n%s", err, e.Output())
	}
	for pid, command := range family {
		if processes()[pid].command == command {
			t.Errorf("%d %s is left", pid, command)
		}
	}
}
