package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"posthouse/internal/load"
)

// kind is a server that can be started.
type kind struct {
	name  string
	dir   string
	argv  []string
	env   []string
	cores []int
	// alone says that the server has no adapter for Redis, so that scenarios of
	// several servers leave it out.
	alone bool
	// bare says that it knows no Socket.IO and answers only what scenarios of WebSockets send.
	bare bool
}

// fits reports whether the server can take part in the scenario.
func (k kind) fits(s load.Scenario) bool {
	return !(s.Redis && k.alone) && (s.Bare || !k.bare)
}

func names(kinds []kind) (list []string) {
	for _, k := range kinds {
		list = append(list, k.name)
	}
	return list
}

// prepare finds or builds the servers. The peers' packages must be installed.
func prepare(ctx context.Context, want []string, dir string) (kinds []kind, clean func(), err error) {
	tmp, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, nil, err
	}
	clean = func() { _ = os.RemoveAll(tmp) }
	node, err := filepath.Abs(filepath.Join(dir, "node"))
	if err != nil {
		return nil, clean, err
	}
	for _, name := range want {
		k := kind{name: name, dir: node, cores: []int{runtime.NumCPU() - 1}}
		switch name {
		case "ours", "floor", "configured", "programmed", "admin", "history", "recovery":
			program := map[string]string{"floor": "floor"}[name]
			if program == "" {
				program = "server"
			}
			if name != "ours" && name != "floor" {
				k.env = []string{"BENCH_WITH=" + name}
			}
			k.argv, k.alone, k.bare = []string{filepath.Join(tmp, program)}, program == "floor", program == "floor"
			build := exec.CommandContext(ctx, "go", "build", "-o", k.argv[0], "posthouse/examples/bench/"+program)
			if out, err := build.CombinedOutput(); err != nil {
				clean()
				return nil, nil, fmt.Errorf("building the server: %w\n%s", err, out)
			}
		case "gateway":
			k.argv, k.dir = []string{filepath.Join(tmp, name)}, tmp
			build := exec.CommandContext(ctx, "go", "build", "-o", k.argv[0], "posthouse")
			if out, err := build.CombinedOutput(); err != nil {
				clean()
				return nil, nil, fmt.Errorf("building the gateway: %w\n%s", err, out)
			}
		case "zishang", "gws":
			// A module of its own: posthouse does not require what it compares with.
			k.argv, k.alone, k.bare = []string{filepath.Join(tmp, name)}, true, name == "gws"
			build := exec.CommandContext(ctx, "go", "build", "-o", k.argv[0], ".")
			build.Dir = filepath.Join(dir, name)
			if out, err := build.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "without %s: it cannot be built: %v\n%s", name, err, out)
				continue
			}
		case "node":
			k.argv = []string{"node", "--expose-gc", "node.mjs"}
		case "bun":
			k.argv = []string{filepath.Join("node_modules", ".bin", "bun"), "bun.mjs"}
		default: // NAME=COMMAND: a server of the caller's own, which reads PORT and prints its address
			i := strings.IndexByte(name, '=')
			if i < 0 {
				clean()
				return nil, nil, fmt.Errorf("no server %q", name)
			}
			k.name, k.argv, k.dir = name[:i], strings.Fields(name[i+1:]), "."
		}
		if k.name == "node" || k.name == "bun" {
			if _, err := os.Stat(filepath.Join(node, "node_modules")); err != nil {
				fmt.Fprintf(os.Stderr, "without %s: its packages are missing (npm ci in %s)\n", name, node)
				continue
			}
		}
		kinds = append(kinds, k)
	}
	if len(kinds) == 0 {
		clean()
		return nil, nil, errors.New("no server to measure")
	}
	return kinds, clean, nil
}

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	addr string
}

// start runs the server on its cores and waits until it tells its address.
func (k kind) start(ctx context.Context, env []string) (*process, error) {
	cmd := exec.CommandContext(ctx, k.argv[0], k.argv[1:]...)
	cmd.Dir = k.dir
	cmd.Env = append(append(append(os.Environ(), "PORT=0", "NODE_ENV=production"), k.env...), env...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := load.StartOn(k.cores, cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", k.name, err)
	}
	p := &process{cmd: cmd}
	for s := bufio.NewScanner(out); s.Scan(); {
		if _, addr, ok := strings.Cut(s.Text(), "listening on http://"); ok {
			p.addr = addr
			return p, nil
		}
		if _, addr, ok := strings.Cut(s.Text(), "listening on https://"); ok {
			p.addr = load.TLS + addr
			return p, nil
		}
	}
	p.stop()
	return nil, fmt.Errorf("%s ended without listening", k.name)
}

// stop ends the process and waits for it.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed
}

// startRedis starts a Redis of our own beside the load, if a scenario needs one.
func startRedis(ctx context.Context, scenarios []load.Scenario) (*process, error) {
	if !slices.ContainsFunc(scenarios, func(s load.Scenario) bool { return s.Redis }) {
		return nil, nil
	}
	p, err := launchRedis(ctx)
	if errors.Is(err, exec.ErrNotFound) {
		fmt.Fprintln(os.Stderr, "without cluster: no redis-server")
		return nil, nil
	}
	return p, err
}

// launchRedis starts an empty Redis beside the load.
func launchRedis(ctx context.Context) (*process, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	return launch(ctx, 0, addr, "", nil, path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
}

// flush empties a Redis.
func (p *process) flush() error {
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "FLUSHALL\r\n"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && answer != "+OK\r\n" {
		err = fmt.Errorf("redis: FLUSHALL answered with %.80q", answer)
	}
	return err
}

// freeAddr is an address of the loopback that was free just now.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// waitUntilItListens ends when the address of the process takes connections, after ten
// seconds or when the process is told to end.
func (p *process) waitUntilItListens(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		if nc, err := net.Dial("tcp", p.addr); err == nil {
			return nc.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("nothing listens on %s", p.addr)
}

// launch starts a program on a core and waits until it listens on addr.
func launch(ctx context.Context, core int, addr, dir string, env []string, argv ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), env...), os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := load.StartOn([]int{core}, cmd.Start); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, addr: addr}
	if err := p.waitUntilItListens(ctx); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}
