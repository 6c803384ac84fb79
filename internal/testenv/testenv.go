// Package testenv is the surroundings of tests: it starts the real things that they need
// (the built gateway, Node scripts, redis-server), finds free ports, waits for what
// another goroutine or process is about to do, and knows of the race detector.
// Everything listens on loopback and ends with the test.
package testenv

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Need skips the test loudly when a program is missing; with POSTHOUSE_TEST_ALL
// set, as `make test` does, it fails instead.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			Missing(t, p)
		}
	}
}

// Missing skips the test loudly because of what a test needs and cannot have; with
// POSTHOUSE_TEST_ALL set it fails.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("POSTHOUSE_TEST_ALL") != "" {
		t.Fatalf("%s is not installed (make deps installs it)", what)
	}
	t.Skipf("SKIP: needs %s (make test installs it)", what)
}

// Root is the module's root directory.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// NodeDir is where the npm packages are installed; packages are those the test needs
// beside socket.io-client.
func NodeDir(t testing.TB, packages ...string) string {
	t.Helper()
	Need(t, "node")
	dir := filepath.Join(Root(), "internal", "interop", "node")
	for _, p := range append(packages, "socket.io-client") {
		if _, err := os.Stat(filepath.Join(dir, "node_modules", p)); err != nil {
			Missing(t, "the npm package "+p+" of internal/interop/node")
		}
	}
	return dir
}

// Node runs a script to its end with the npm packages in reach and returns what
// it printed; a script that fails or takes longer than limit fails the test.
func Node(t testing.TB, limit time.Duration, script string, args ...string) string {
	t.Helper()
	dir := NodeDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{script}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("node %s: %v\n%s", filepath.Base(script), err, out.String())
	}
	return out.String()
}

var binaries sync.Map // package → func() (string, error)

// TypeScript runs the compiler on the project in dir, strictly and with the npm packages in
// reach; it returns what the compiler found, "" for nothing. args are further options
// and files.
func TypeScript(t testing.TB, dir string, args ...string) string {
	t.Helper()
	node := NodeDir(t, "typescript")
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Lstat(modules); err != nil {
		if err := os.Symlink(filepath.Join(node, "node_modules"), modules); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{filepath.Join(node, "node_modules", "typescript", "bin", "tsc"),
		"--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("tsc: %v", err)
	}
	return string(out)
}

// ProgramVariable is the environment variable that names a gateway that stands already:
// Binary returns it and builds none.
const ProgramVariable = "POSTHOUSE_TEST_PROGRAM"

// Binary builds a package of the module once and returns the program's path.
func Binary(t testing.TB, pkg string) string {
	t.Helper()
	if program := os.Getenv(ProgramVariable); program != "" && pkg == "." {
		return program
	}
	build, _ := binaries.LoadOrStore(pkg, sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "posthouse-bin-")
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, filepath.Base(pkg)+".bin")
		cmd := exec.Command("go", "build", "-o", path, pkg)
		cmd.Dir = Root()
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w\n%s", err, out)
		}
		return path, nil
	}))
	path, err := build.(func() (string, error))()
	if err != nil {
		t.Fatalf("build %s: %v", pkg, err)
	}
	return path
}

// RemoveBinaries deletes what Binary built; call it at the end of TestMain.
func RemoveBinaries() {
	binaries.Range(func(_, build any) bool {
		if path, err := build.(func() (string, error))(); err == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
		return true
	})
}

// Process is a running program. Its output is kept and shown when the test fails.
type Process struct {
	*exec.Cmd
	out  Buffer
	done chan struct{}
	err  error
}

// Output is what the program has printed so far.
func (p *Process) Output() string { return p.out.String() }

// Wait waits for the end of the program, at most limit.
func (p *Process) Wait(limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.err
	case <-timer.C:
		return fmt.Errorf("still running after %v", limit)
	}
}

// Stop sends SIGTERM and waits for the end; a program that stays is killed.
func (p *Process) Stop(limit time.Duration) error {
	_ = p.Process.Signal(syscall.SIGTERM)
	err := p.Wait(limit)
	if err != nil {
		select {
		case <-p.done:
		default: // a Go program tells what it does
			_ = p.Process.Signal(syscall.SIGQUIT)
			_ = p.Wait(time.Second)
		}
	}
	select {
	case <-p.done:
	default:
		_ = p.Process.Kill()
		<-p.done
	}
	return err
}

// Kill ends the program at once (SIGKILL).
func (p *Process) Kill() {
	_ = p.Process.Kill()
	<-p.done
}

// Start runs a program until the test ends.
func Start(t testing.TB, env []string, name string, args ...string) *Process {
	t.Helper()
	return StartWith(t, nil, env, name, args...)
}

// StartWith is Start with files that the program has as descriptors 3 and following.
func StartWith(t testing.TB, files []*os.File, env []string, name string, args ...string) *Process {
	t.Helper()
	p := &Process{Cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.Env, p.ExtraFiles = append(os.Environ(), env...), files
	p.Stdout, p.Stderr = &p.out, &p.out
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.Cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.Stop(15 * time.Second)
		if t.Failed() {
			t.Logf("output of %s:\n%s", filepath.Base(name), p.Output())
		}
	})
	return p
}

// Gateway starts the built gateway on a free port and waits until it is ready.
func Gateway(t testing.TB, env ...string) (base string, p *Process) {
	t.Helper()
	port := FreePort(t)
	return GatewayAt(t, port, env...)
}

// GatewayAt is Gateway on a given port.
func GatewayAt(t testing.TB, port int, env ...string) (base string, p *Process) {
	t.Helper()
	p = Start(t, append(env, "POSTHOUSE_ADDR=127.0.0.1:"+strconv.Itoa(port)), Binary(t, "."))
	base = "http://127.0.0.1:" + strconv.Itoa(port)
	p.Ready(t, base+"/readyz")
	return base, p
}

// Ready waits until url answers 200.
func (p *Process) Ready(t testing.TB, url string) {
	t.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	Until(t, 20*time.Second, "ready: "+url, func() bool {
		select {
		case <-p.done:
			t.Fatalf("ended before it was ready: %v\n%s", p.err, p.Output())
		default:
		}
		resp, err := client.Get(url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// Redis starts a redis-server that keeps nothing and returns its address.
func Redis(t testing.TB, args ...string) (addr string, p *Process) {
	t.Helper()
	Need(t, "redis-server")
	port := FreePort(t)
	addr = "127.0.0.1:" + strconv.Itoa(port)
	p = Start(t, nil, "redis-server", append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--dir", t.TempDir()}, args...)...)
	Until(t, 10*time.Second, "redis", func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = c.Write([]byte("PING\r\n"))
		answer := make([]byte, 7)
		n, _ := c.Read(answer)
		return strings.HasPrefix(string(answer[:n]), "+PONG")
	})
	return addr, p
}

// Until polls for what another goroutine or process is about to do.
func Until(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("gave up after %v: %s", limit, what)
		}
	}
}

// Buffer is a bytes.Buffer that several goroutines write and read, such as a log.
type Buffer struct {
	mu sync.Mutex // guards what follows
	b  bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String is what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
