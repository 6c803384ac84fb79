package main

import (
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio"
)

// Two people write to each other, with a cut connection in between. With
// POSTHOUSE_TEST_SCREENSHOTS set to a directory the page is photographed.
func TestTwoPeopleInTwoBrowsers(t *testing.T) {
	node := testenv.NodeDir(t, "axe-core")
	testenv.Need(t, "chromium")
	base := serve(t, options())
	wire := newWire(t, strings.TrimPrefix(base, "http://"))
	script := testenv.Start(t, []string{"NODE_PATH=" + filepath.Join(node, "node_modules")}, "node",
		filepath.Join("testdata", "browser.mjs"), "http://"+wire.Addr().String(), base, os.Getenv("POSTHOUSE_TEST_SCREENSHOTS"))
	said := func(word string) bool {
		var failed *exec.ExitError
		if errors.As(script.Wait(0), &failed) {
			t.Fatal(script.Output())
		}
		return strings.Contains(script.Output(), word)
	}
	testenv.Until(t, time.Minute, "the moment to cut", func() bool { return said("cut\n") })
	wire.cut(true)
	testenv.Until(t, time.Minute, "the moment to mend", func() bool { return said("mend\n") })
	wire.cut(false)
	if err := script.Wait(time.Minute); err != nil || !strings.Contains(script.Output(), "ok\n") {
		t.Fatalf("%v\n%s", err, script.Output())
	}
}

// serve runs the whole chat on a free port.
func serve(t *testing.T, o *socketio.Options) (base string) {
	t.Helper()
	sio, err := socketio.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(newHandler(newChat(sio, nil)))
	t.Cleanup(func() {
		if err := sio.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		server.Close()
	})
	return server.URL
}

// wire is a network that can be cut: it passes connections on to the first address that
// takes them.
type wire struct {
	net.Listener
	to []string

	mu    sync.Mutex
	isCut bool
	conns map[net.Conn]bool
	tasks sync.WaitGroup
}

func newWire(t *testing.T, to ...string) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, to: to, conns: map[net.Conn]bool{}}
	w.tasks.Go(w.accept)
	t.Cleanup(func() {
		l.Close()
		w.cut(true)
		w.tasks.Wait()
	})
	return w
}

// cut ends all connections and refuses new ones, or lets them through again.
func (w *wire) cut(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = on
	for c := range w.conns {
		if on {
			c.Close()
		}
	}
}

func (w *wire) accept() {
	for {
		near, err := w.Accept()
		if err != nil {
			return
		}
		far, err := w.dial()
		w.mu.Lock()
		if err != nil || w.isCut {
			near.Close()
			if err == nil {
				far.Close()
			}
			w.mu.Unlock()
			continue
		}
		w.conns[near], w.conns[far] = true, true
		w.mu.Unlock()
		w.tasks.Go(func() { w.pass(near, far) })
		w.tasks.Go(func() { w.pass(far, near) })
	}
}

func (w *wire) dial() (c net.Conn, err error) {
	for _, to := range w.to {
		if c, err = net.Dial("tcp", to); err == nil {
			return c, nil
		}
	}
	return nil, err
}

func (w *wire) pass(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	from.Close()
	to.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, from)
	delete(w.conns, to)
}
