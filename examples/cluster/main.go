// Cluster runs the topology of docker-compose.yml without containers, and Node in
// the same cluster: Redis, a local WeChat, three gateways behind nginx, a Go replica
// made with the library, a Node replica, and a Node process that only emits. It
// prints where everything is and ends all of it on Ctrl-C.
//
//	go run ./examples/cluster
//
// This process owns every other one; see programs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	port := flag.Int("port", 8080, "port of nginx; 0 takes a free one")
	demo := flag.Int("demo", 8081, "port of the Go replica and the demo page; 0 takes a free one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err := run(ctx, os.Stdout, *port, *demo); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// run returns when ctx has ended, or a program ended by itself, and everything is gone.
func run(ctx context.Context, out io.Writer, port, demoPort int) (err error) {
	root, err := findRoot(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "posthouse-cluster-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o711); err != nil { // for nginx's workers, which run as another user than root
		return err
	}
	where, err := chooseAddresses(port, demoPort)
	if err != nil {
		return err
	}
	ps := newPrograms(dir)
	defer func() { err = errors.Join(err, ps.stop()) }()
	t := &topology{addresses: where, ps: ps, root: root}
	fmt.Fprint(out, "\n  starting …\n")
	if err := t.up(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C while starting
		}
		return err
	}
	r, err := startReplica(where.demo, where.redis, strings.NewReplacer(
		"{{gateway}}", "http://"+where.nginx, "{{go}}", "http://"+where.demo, "{{node}}", "http://"+where.node))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	banner(out, where)
	select {
	case <-ctx.Done():
		fmt.Fprint(out, "\n  ending …\n")
		return nil
	case p := <-ps.ended:
		return p.failure()
	}
}

func banner(out io.Writer, a addresses) {
	line := func(name, address, what string) { fmt.Fprintf(out, "  %-9s %-29s %s\n", name, address, what) }
	fmt.Fprint(out, "\n  驿站 Go and Node replicas in one cluster; Ctrl-C ends everything\n\n")
	line("demo", "http://"+a.demo+"/", "what one says, browsers on every replica hear")
	line("login", "http://"+a.nginx+"/login", "on any of the gateways")
	line("phone", "http://"+a.sim+"/sim", "the local WeChat: scan and follow here")
	fmt.Fprintln(out)
	line("nginx", "http://"+a.nginx, "round robin over the gateways, no sticky sessions")
	for i, addr := range a.gateways {
		line(fmt.Sprintf("gw%d", i+1), "http://"+addr, "")
	}
	line("go", "http://"+a.demo, "a replica made with the library")
	line("node", "http://"+a.node, "a replica made with socket.io and @socket.io/redis-adapter")
	line("emitter", "-", "Node, @socket.io/redis-emitter: news every two seconds")
	line("redis", "redis://"+a.redis, "")
	fmt.Fprintln(out)
}
