package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// The stages in which the programs end: first those that talk, then the servers
// that say goodbye to their clients, then what stands around them.
const (
	talkers = iota
	servers
	around
	store
	last = store
)

// gateways is how many replicas of the gateway run.
const gateways = 3

// addresses of everything, all on loopback.
type addresses struct {
	nginx, demo, node, redis, sim string
	gateways                      [gateways]string
}

func chooseAddresses(port, demoPort int) (addresses, error) {
	free, err := freeAddrs(5 + gateways)
	if err != nil {
		return addresses{}, err
	}
	a := addresses{
		nginx: addrOf(port, free[0]), demo: addrOf(demoPort, free[1]),
		node: free[2], redis: free[3], sim: free[4],
	}
	copy(a.gateways[:], free[5:])
	return a, nil
}

// topology starts what docker-compose.yml starts, and two Node processes.
type topology struct {
	addresses
	ps   *programs
	root string // of the module
}

// findRoot asks the Go tool where the module is, and whether all programs are there.
func findRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "posthouse").Output()
	if err != nil {
		return "", errors.New("run this inside the module, with Go installed")
	}
	root := strings.TrimSpace(string(out))
	for _, program := range []string{"redis-server", "nginx", "node"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("needs %s: `make deps` installs it", program)
		}
	}
	if _, err := os.Stat(filepath.Join(nodeModules(root), "socket.io")); err != nil {
		return "", errors.New("needs the npm packages of internal/interop/node: `make npm` installs them")
	}
	return root, nil
}

func nodeModules(root string) string {
	return filepath.Join(root, "internal", "interop", "node", "node_modules")
}

// up starts everything and returns when all of it is ready.
func (t *topology) up(ctx context.Context) error {
	binary := filepath.Join(t.ps.dir, "posthouse")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir = t.root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	for _, step := range []func() error{
		t.startRedis,
		func() error { return t.startSimulator(binary) },
		func() error { return t.startGateways(binary) },
		t.startNginx,
		t.startNode,
	} {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// startRedis keeps data as production should: AOF, and no eviction of tickets.
func (t *topology) startRedis() error {
	_, port, _ := net.SplitHostPort(t.redis)
	p, err := t.ps.start(store, "redis", nil, "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", t.ps.dir,
		"--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction")
	if err != nil {
		return err
	}
	rdb := redis.NewClient(&redis.Options{Addr: t.redis, MaxRetries: -1})
	defer func() { _ = rdb.Close() }()
	return p.ready(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return rdb.Ping(ctx).Err()
	})
}

// startSimulator pushes to the gateways in turn: the webhook is usually
// elsewhere than the socket.
func (t *topology) startSimulator(binary string) error {
	var callbacks []string
	for _, addr := range t.addresses.gateways {
		callbacks = append(callbacks, "http://"+addr+"/callback/wechat")
	}
	_, port, _ := net.SplitHostPort(t.sim)
	p, err := t.ps.start(around, "wxsim", nil, binary, "wxsim", "--port", port, "--callback", strings.Join(callbacks, ","))
	if err != nil {
		return err
	}
	return p.ready(answers("http://" + t.sim + "/sim/log"))
}

func (t *topology) startGateways(binary string) error {
	var started []*program
	for i, addr := range t.addresses.gateways {
		name := "gw" + strconv.Itoa(i+1)
		p, err := t.ps.start(servers, name, []string{
			"POSTHOUSE_REPLICA=" + name,
			"POSTHOUSE_ADDR=" + addr,
			"POSTHOUSE_ADVERTISE=" + addr,
			"POSTHOUSE_REDIS_URL=redis://" + t.redis,
			"POSTHOUSE_WECHAT_SIMULATOR=http://" + t.sim,
			"POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32",
			"POSTHOUSE_ORIGINS=http://" + t.demo,
			"POSTHOUSE_SPOOL=" + filepath.Join(t.ps.dir, name+".spool"),
		}, binary)
		if err != nil {
			return err
		}
		started = append(started, p)
	}
	for i, p := range started {
		if err := p.ready(answers("http://" + t.addresses.gateways[i] + "/readyz")); err != nil {
			return err
		}
	}
	return nil
}

// startNginx runs the shipped configuration; only addresses and paths differ.
func (t *topology) startNginx() error {
	conf, err := os.ReadFile(filepath.Join(t.root, "examples", "deploy", "nginx.conf"))
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(string(conf), "listen 80;", "listen "+t.nginx+";")
	for i, addr := range t.addresses.gateways {
		text = strings.ReplaceAll(text, "gateway"+strconv.Itoa(i+1)+":3000", addr)
	}
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		text = strings.Replace(text, "http {", "http {\n    "+kind+"_temp_path "+filepath.Join(t.ps.dir, kind)+";", 1)
	}
	text = "daemon off;\nerror_log stderr warn;\npid " + filepath.Join(t.ps.dir, "nginx.pid") + ";\n" + text
	file := filepath.Join(t.ps.dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	p, err := t.ps.start(around, "nginx", nil, "nginx", "-c", file, "-p", t.ps.dir, "-e", "stderr")
	if err != nil {
		return err
	}
	return p.ready(answers("http://" + t.nginx + "/healthz"))
}

// startNode runs a Node replica in the same cluster, and a Node process without
// sockets that emits into it.
func (t *topology) startNode() error {
	here := filepath.Join(t.root, "examples", "cluster")
	env := []string{
		"NODE_PATH=" + nodeModules(t.root), "REDIS_URL=redis://" + t.redis,
		"ADDR=" + t.node, "ORIGIN=http://" + t.demo,
	}
	p, err := t.ps.start(servers, "node", env, "node", filepath.Join(here, "replica.cjs"))
	if err != nil {
		return err
	}
	if err := p.ready(answers("http://" + t.node + "/healthz")); err != nil {
		return err
	}
	_, err = t.ps.start(talkers, "emitter", env, "node", filepath.Join(here, "emitter.cjs"))
	return err
}
