package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// patience is how long a program may take to be ready, and to end.
const patience = 20 * time.Second

// program is one process of the cluster.
type program struct {
	name  string
	stage int // programs of the lowest stage end first, together
	cmd   *exec.Cmd
	log   string        // file with what it printed
	done  chan struct{} // closed when it has ended
	err   error         // after done
}

// programs are the processes of the cluster. It is used by one goroutine.
type programs struct {
	dir   string // for logs and configuration
	all   []*program
	ended chan *program // gets each program that ends, asked or not
}

func newPrograms(dir string) *programs {
	return &programs{dir: dir, ended: make(chan *program, 16)}
}

// start runs a program in a process group of its own: a Ctrl-C is for this
// process, which then ends the others in an order that loses nothing.
func (ps *programs) start(stage int, name string, env []string, argv ...string) (*program, error) {
	p := &program{name: name, stage: stage, log: filepath.Join(ps.dir, name+".log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the program has its own descriptor
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = ownGroup()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	ps.all = append(ps.all, p)
	go func() { // ends with the process; stop waits for it
		p.err = p.cmd.Wait()
		close(p.done)
		ps.ended <- p
	}()
	return p, nil
}

// stop ends everything, stage by stage: SIGTERM, and SIGKILL for what stays.
func (ps *programs) stop() error {
	var errs []error
	for stage := 0; stage <= last; stage++ {
		for _, p := range ps.all {
			if p.stage == stage {
				_ = p.cmd.Process.Signal(syscall.SIGTERM)
			}
		}
		deadline := time.After(patience)
		for _, p := range ps.all {
			if p.stage != stage {
				continue
			}
			select {
			case <-p.done:
			case <-deadline:
				errs = append(errs, fmt.Errorf("%s did not end in time and was killed", p.name))
				_ = p.cmd.Process.Kill()
				<-p.done
			}
		}
	}
	return errors.Join(errs...)
}

// failure tells how a program ended and the last of what it printed.
func (p *program) failure() error {
	text, _ := os.ReadFile(p.log)
	if len(text) > 2000 {
		text = text[len(text)-2000:]
	}
	return fmt.Errorf("%s ended: %w\n%s", p.name, p.err, text)
}

// ready waits until try succeeds.
func (p *program) ready(try func() error) error {
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return p.failure()
		case <-deadline:
			return fmt.Errorf("%s is not ready: %w", p.name, err)
		}
	}
}

// answers tries whether url answers 200.
func answers(url string) func() error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return func() error {
		resp, err := client.Get(url)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}
}

// freeAddrs returns loopback addresses that were free a moment ago. They are
// held together until all are known, so that no two are the same.
func freeAddrs(n int) ([]string, error) {
	addrs := make([]string, n)
	for i := range addrs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		addrs[i] = l.Addr().String()
	}
	return addrs, nil
}

// addrOf is the loopback address of a port the user named, or free.
func addrOf(port int, free string) string {
	if port == 0 {
		return free
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
