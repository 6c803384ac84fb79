package gateway_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"posthouse/internal/testenv"
)

// systemd is what a unit sees of its manager: the socket of sd_notify.
type systemd struct {
	path string

	mu    sync.Mutex // guards heard
	heard []string
}

func newSystemd(t *testing.T, abstract bool) *systemd {
	t.Helper()
	s := &systemd{path: filepath.Join(t.TempDir(), "notify")}
	if abstract {
		s.path = "@posthouse-" + strconv.Itoa(os.Getpid()) + "-" + t.Name()
	}
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with l
		buf := make([]byte, 1024)
		for {
			n, err := l.Read(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.heard = append(s.heard, string(buf[:n]))
			s.mu.Unlock()
		}
	}()
	return s
}

// count is how many messages began with a text.
func (s *systemd) count(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, message := range s.heard {
		if strings.HasPrefix(message, prefix) {
			n++
		}
	}
	return n
}

func (s *systemd) await(t *testing.T, prefix string, times int) {
	t.Helper()
	testenv.Until(t, 20*time.Second, prefix, func() bool { return s.count(prefix) >= times })
}

// The built gateway under the manager of a Type=notify unit: ready, alive, reloading, and
// stopping before its sockets have ended.
func TestSystemd_Notify_OfTheBuiltGateway(t *testing.T) {
	t.Parallel()
	for _, abstract := range []bool{false, true} {
		name := "file"
		if abstract {
			name = "abstract"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystemd(t, abstract)
			file := filepath.Join(t.TempDir(), "posthouse.yaml")
			if err := os.WriteFile(file, []byte("log-level: info\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, p := testenv.Gateway(t, "NOTIFY_SOCKET="+s.path, "WATCHDOG_USEC=400000", "POSTHOUSE_CONFIG="+file)
			s.await(t, "READY=1", 1)
			s.await(t, "WATCHDOG=1", 3)
			if err := p.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			s.await(t, "RELOADING=1\nMONOTONIC_USEC=", 1)
			s.await(t, "READY=1", 2)
			if s.count("STOPPING=1") != 0 {
				t.Error("it is stopping already")
			}
			if err := p.Stop(20 * time.Second); err != nil {
				t.Error(err)
			}
			s.await(t, "STOPPING=1", 1)
		})
	}
}

// A watchdog of another process is not this one's.
func TestSystemd_Watchdog_OfAnotherProcess_IsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newSystemd(t, false)
	_, p := testenv.Gateway(t, "NOTIFY_SOCKET="+s.path, "WATCHDOG_USEC=2000", "WATCHDOG_PID=1")
	s.await(t, "READY=1", 1)
	if err := p.Stop(20 * time.Second); err != nil {
		t.Error(err)
	}
	s.await(t, "STOPPING=1", 1)
	if n := s.count("WATCHDOG=1"); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// activate starts the built gateway with sockets as systemd hands them over: descriptors from
// 3 on, and the variables with its process id.
func activate(t *testing.T, files []*os.File, env ...string) *testenv.Process {
	t.Helper()
	script := `LISTEN_PID=$$ LISTEN_FDS=` + strconv.Itoa(len(files)) + ` exec "$0"`
	p := testenv.StartWith(t, files, env, "sh", "-c", script, testenv.Binary(t, "."))
	for _, f := range files {
		_ = f.Close() // the process has its own
	}
	return p
}

// A socket of systemd is the main address, whatever POSTHOUSE_ADDR says: polling and
// WebSockets are served there, and connections that came before the start too.
func TestSystemd_SocketActivation(t *testing.T) {
	t.Parallel()
	type listener interface {
		net.Listener
		File() (*os.File, error)
	}
	testenv.Binary(t, ".") // built before requests wait for it
	unixPath := filepath.Join(t.TempDir(), "p.sock")
	for name, listen := range map[string]func() (net.Listener, error){
		"tcp":  func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") },
		"unix": func() (net.Listener, error) { return net.Listen("unix", unixPath) },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := listen()
			if err != nil {
				t.Fatal(err)
			}
			addr := l.Addr()
			file, err := l.(listener).File()
			if err != nil {
				t.Fatal(err)
			}
			if u, ok := l.(*net.UnixListener); ok {
				u.SetUnlinkOnClose(false)
			}
			_ = l.Close() // the duplicate listens on
			httpClient := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, addr.Network(), addr.String())
			}}}
			defer httpClient.CloseIdleConnections()
			early := make(chan string, 1)
			go func() { // its connection waits in the socket until the gateway runs
				resp, err := httpClient.Get("http://gateway/socket.io/?EIO=4&transport=polling")
				if err != nil {
					early <- err.Error()
					return
				}
				defer resp.Body.Close()
				body, _ := io.ReadAll(resp.Body)
				early <- string(body)
			}()
			taken := testenv.FreePort(t)
			p := activate(t, []*os.File{file}, "POSTHOUSE_ADDR=127.0.0.1:"+strconv.Itoa(taken))
			if body := <-early; !strings.HasPrefix(body, `0{"sid"`) {
				t.Errorf("the request that came first: %s", body)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			ws, _, err := websocket.Dial(ctx, "http://gateway/socket.io/?EIO=4&transport=websocket", &websocket.DialOptions{HTTPClient: &http.Client{Transport: httpClient.Transport}})
			if err != nil {
				t.Fatal(err)
			}
			defer ws.CloseNow()
			if _, text, err := ws.Read(ctx); err != nil || !bytes.HasPrefix(text, []byte(`0{"sid"`)) {
				t.Errorf("WebSocket: %s %v", text, err)
			}
			if c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(taken)); err == nil {
				_ = c.Close()
				t.Error("POSTHOUSE_ADDR is served as well")
			}
			if err := p.Stop(20 * time.Second); err != nil {
				t.Error(err)
			}
			if name == "unix" {
				if _, err := os.Stat(unixPath); err != nil {
					t.Errorf("the file of systemd's socket is gone: %v", err)
				}
			}
		})
	}
	t.Run("no socket", func(t *testing.T) {
		file, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		p := activate(t, []*os.File{file})
		if err := p.Wait(20 * time.Second); err == nil || !strings.Contains(p.Output(), "the socket of systemd") {
			t.Errorf("%v: %s", err, p.Output())
		}
	})
}
