package engineio_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// Connections that end in every phase leave nothing; serveTCP looks at that.
func TestServe_TenThousandAborts_LeaveNothing(t *testing.T) {
	w := serveTCP(t, engineio.Options{PingInterval: time.Second, PingTimeout: time.Second}, nil)
	head := "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n"
	phases := []string{
		"", "G", get(""), get("")[:30], get("") + get(""), get("") + "GET /", post("none", "4x"), post("none", "4x")[:40],
		head, head[:50], head + "\x81", string(appendMasked([]byte(head), "4x")), "GET /page HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n", "\x00",
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range 10_000 / 8 {
				conn, err := net.Dial("tcp", w.addr)
				if err != nil {
					t.Error(err)
					return
				}
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				io.WriteString(conn, phases[random.IntN(len(phases))])
				switch c := conn.(*net.TCPConn); random.IntN(4) {
				case 0:
					c.CloseWrite()
				case 1: // shortly: not every phase has an answer
					c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
					c.Read(make([]byte, 64))
				}
				conn.(*net.TCPConn).SetLinger(0) // also spares ports
				conn.Close()
			}
		})
	}
	all.Wait()
	// The sessions of polls that are not repeated end by the heartbeat.
	eventually(t, "no session is left", func() bool { return w.srv.ClientsCount() == 0 })
}

// Many clients do everything at once, and the server ends meanwhile.
func TestServe_EverythingAtOnce(t *testing.T) {
	w := serveTCP(t, engineio.Options{PerMessageDeflate: &engineio.PerMessageDeflate{}}, func(w *served) {
		mux := http.NewServeMux()
		mux.Handle("/engine.io/", w.srv)
		mux.HandleFunc("/page", func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "page") })
		w.hs.Handler = mux
		w.hs.IdleTimeout, w.hs.ReadHeaderTimeout = 10*time.Second, 10*time.Second
	})
	var ending atomic.Bool
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for n := range 60 {
				if err := w.visit(i + n); err != nil && !ending.Load() {
					t.Errorf("visit %d: %v", (i+n)%4, err)
				}
			}
		})
	}
	for range 400 {
		<-w.peers
	}
	ending.Store(true)
	w.shutdown()
	w.hs.Close()
	all.Wait()
}

// visit is what one client does on one connection; kind says what.
func (w *served) visit(kind int) error {
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	l := &line{w.t, conn, bufio.NewReader(conn)}
	ask := func(text, want string) error {
		io.WriteString(conn, text)
		if r := l.answer(); !strings.Contains(r.body, want) || r.lost {
			return fmt.Errorf("%.40q: got %+v", text, r)
		}
		return nil
	}
	io.WriteString(conn, get(""))
	sid := sidOf(l.answer().body)
	if sid == "" {
		return fmt.Errorf("no session")
	}
	switch kind % 4 {
	case 0: // polls
		for range 5 {
			if err := ask(post(sid, "4a"), "ok"); err != nil {
				return err
			}
			if err := ask(get(sid), "4a"); err != nil {
				return err
			}
		}
		return ask(post(sid, "1"), "ok")
	case 1: // upgrades on the same connection
		head := "GET /engine.io/?EIO=4&transport=websocket&sid=" + sid + " HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n"
		conn.Write(appendMasked(appendMasked(appendMasked([]byte(head), "2probe"), "5"), "4b"))
		res, err := http.ReadResponse(l.br, nil)
		if err != nil || res.StatusCode != 101 {
			return fmt.Errorf("no upgrade: %w", err)
		}
		got := make([]byte, 8+4)
		if _, err := io.ReadFull(l.br, got); err != nil || !strings.HasSuffix(string(got), "4b") {
			return fmt.Errorf("%q, %w", got, err)
		}
		return nil
	case 2: // goes over to net/http
		if err := ask("GET /page HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n", "page"); err != nil {
			return err
		}
		return ask(post(sid, "4a"), "ok")
	default: // leaves while it polls
		io.WriteString(conn, get(sid))
		conn.(*net.TCPConn).SetLinger(kind / 4 % 2 * -1)
		return nil
	}
}

const exhaustionChild = "ENGINEIO_TEST_EXHAUSTION"

// A server without descriptors goes on when it has some again.
func TestServe_DescriptorsRunOut(t *testing.T) {
	if os.Getenv(exhaustionChild) != "" {
		serveWithFewDescriptors()
		return
	}
	if descriptors() == 0 {
		t.Skip("the number of descriptors cannot be known here")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServe_DescriptorsRunOut$")
	cmd.Env = append(os.Environ(), exhaustionChild+"=1")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	var noise strings.Builder
	cmd.Stderr = &noise
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, noise.String())
		}
		if text := noise.String(); strings.Count(text, "too many open files") != 1 || strings.Count(text, "ulimit -n") != 1 {
			t.Errorf("the log does not say once that descriptors are short: %q", text)
		}
	}()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	w := &tcp{t: t, addr: strings.TrimSpace(addr)}
	for range 2 {
		first := w.line()
		first.open()
		upgraded := w.dial()
		var many []*line
		for range 100 {
			many = append(many, w.line())
		}
		for range 10 {
			first.open() // connections that are accepted are served
		}
		// There is no descriptor for a loop of its own, so the WebSocket stays where it is.
		head := "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n"
		upgraded.Write(appendMasked([]byte(head), "4early"))
		s := readSocket(t, upgraded)
		s.recv()
		s.expect(t, "4early")
		s.send("4later")
		s.expect(t, "4later")
		for _, l := range many {
			l.conn.Close()
		}
		w.line().open()
		s.send("4still here")
		s.expect(t, "4still here")
		s.conn.Close()
		first.conn.Close()
	}
}

// serveWithFewDescriptors is the child: it serves until its input ends.
func serveWithFewDescriptors() {
	fail := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	fail(err)
	limit := uint64(descriptors() + 40)
	fail(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: limit}))
	srv := engineio.NewServer(&engineio.Options{Accept: func(s *engineio.Session, _ *http.Request) (engineio.Handler, error) {
		p := &peer{s: s}
		echo(p)
		return p, nil
	}})
	hs := &http.Server{Handler: srv}
	errs := reading{serve: true}.run(srv, lis, hs)
	fmt.Println(lis.Addr())
	io.Copy(io.Discard, os.Stdin)
	fail(srv.Shutdown(context.Background()))
	hs.Close()
	<-errs
}
