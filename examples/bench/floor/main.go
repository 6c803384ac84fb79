//go:build linux

// Command floor is no server but a measure: it answers what the load of the
// WebSocket scenarios sends with the bytes that are expected, and does nothing
// else, neither checks nor knows anything. One thread, one epoll instance, the
// fewest system calls: what it costs is what the kernel costs, and no server in
// any language can do with less. `go run ./examples/bench -servers ours,floor`
// shows how far ours is from it.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conn is a connection: HTTP until its request for a WebSocket has come.
type conn struct {
	fd     int
	ws     bool
	member bool
	due    time.Time // the next ping
	rest   []byte    // of a frame that is not complete
}

// floor is the whole state.
type floor struct {
	epfd     int
	conns    map[int]*conn
	interval time.Duration
	in, out  []byte
}

func main() {
	fmt.Fprintln(os.Stderr, "floor:", run())
	os.Exit(1)
}

// run ends only with an error.
func run() error {
	f := &floor{conns: map[int]*conn{}, interval: 25 * time.Second, in: make([]byte, 64<<10)}
	if ms, err := strconv.Atoi(os.Getenv("PING_INTERVAL")); err == nil {
		f.interval = time.Duration(ms) * time.Millisecond
	}
	port, _ := strconv.Atoi(os.Getenv("PORT"))
	ln, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(ln, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.Listen(ln, 4096); err != nil {
		return err
	}
	at, err := unix.Getsockname(ln)
	if err != nil {
		return err
	}
	if f.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if err := unix.EpollCtl(f.epfd, unix.EPOLL_CTL_ADD, ln, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(ln)}); err != nil {
		return err
	}
	fmt.Printf("listening on http://127.0.0.1:%d\n", at.(*unix.SockaddrInet4).Port)
	events := make([]unix.EpollEvent, 128)
	step := f.interval / 16
	tick := time.Now().Add(step)
	for {
		n, err := unix.EpollWait(f.epfd, events, max(int(time.Until(tick).Milliseconds()), 0))
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			if int(e.Fd) == ln {
				f.accept(ln)
			} else if c := f.conns[int(e.Fd)]; c != nil {
				f.read(c)
			}
		}
		if now := time.Now(); now.After(tick) {
			f.ping(now.Add(step))
			tick = now.Add(step)
		}
	}
}

func (f *floor) accept(ln int) {
	for {
		fd, _, err := syscall.Accept4(ln, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		_ = unix.EpollCtl(f.epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)})
		f.conns[fd] = &conn{fd: fd}
	}
}

func (f *floor) read(c *conn) {
	n, err := syscall.Read(c.fd, f.in)
	if n <= 0 {
		if err != syscall.EAGAIN {
			delete(f.conns, c.fd)
			_ = syscall.Close(c.fd)
		}
		return
	}
	f.out = f.out[:0]
	if c.ws {
		f.frames(c, f.in[:n])
	} else {
		f.request(c, string(f.in[:n]))
	}
	if len(f.out) > 0 {
		_, _ = syscall.Write(c.fd, f.out)
	}
}

func (f *floor) request(c *conn, text string) {
	line, _, _ := strings.Cut(text, "\r\n")
	target := strings.Fields(line)[1]
	if strings.HasPrefix(target, "/socket.io/") {
		c.ws, c.due = true, time.Now().Add(f.interval)
		f.out = append(f.out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"...)
		f.text(`0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`)
		return
	}
	body := "ok"
	if target == "/bench/pid" {
		body = strconv.Itoa(os.Getpid())
	}
	if _, query, _ := strings.Cut(target, "broadcast?"); query != "" {
		values, _ := url.ParseQuery(query)
		n, _ := strconv.Atoi(values.Get("n"))
		f.broadcast(n)
	}
	f.out = append(f.out[:0], "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body...)
}

func (f *floor) broadcast(n int) {
	f.out = f.out[:0]
	for i := range n {
		f.text(`42["msg",{"i":` + strconv.Itoa(i) + `,"pad":"` + strings.Repeat("x", 48) + `"}]`)
	}
	for _, c := range f.conns {
		if c.member {
			_, _ = syscall.Write(c.fd, f.out)
		}
	}
}

func (f *floor) ping(before time.Time) {
	for _, c := range f.conns {
		if c.ws && c.due.Before(before) {
			c.due = c.due.Add(f.interval)
			_, _ = syscall.Write(c.fd, []byte("\x81\x012"))
		}
	}
}

// frames answers the frames of one read together.
func (f *floor) frames(c *conn, p []byte) {
	if len(c.rest) > 0 {
		p = append(c.rest, p...)
	}
	for len(p) >= 6 {
		n, head := int(p[1]&0x7f), 2
		if n == 126 {
			n, head = int(binary.BigEndian.Uint16(p[2:])), 4
		}
		if len(p) < head+4+n {
			break
		}
		mask, payload := p[head:head+4], p[head+4:head+4+n]
		for i := range payload {
			payload[i] ^= mask[i&3]
		}
		f.answer(c, p[0]&0x0f, payload)
		p = p[head+4+n:]
	}
	c.rest = append(c.rest[:0], p...)
}

func (f *floor) answer(c *conn, op byte, p []byte) {
	switch {
	case op == 2:
		f.frame(0x82, p)
	case bytes.HasPrefix(p, []byte("40")):
		f.text(`40{"sid":"BBBBBBBBBBBBBBBBBBBB"}`)
	case bytes.HasPrefix(p, []byte("451-7")):
		f.text(`461-7[{"_placeholder":true,"num":0}]`)
	case bytes.HasPrefix(p, []byte(`420["join"`)):
		c.member = true
		f.text(`430[]`)
	case bytes.HasPrefix(p, []byte("42")):
		if i := bytes.Index(p, []byte(`["echo",`)); i > 0 {
			p[1] = '3'
			copy(p[len(`"echo",`):], p[:i+1])
			f.frame(0x81, p[len(`"echo",`):])
		}
	}
}

func (f *floor) text(s string) { f.frame(0x81, []byte(s)) }

func (f *floor) frame(op byte, p []byte) {
	f.out = append(f.out, op)
	if len(p) < 126 {
		f.out = append(f.out, byte(len(p)))
	} else {
		f.out = binary.BigEndian.AppendUint16(append(f.out, 126), uint16(len(p)))
	}
	f.out = append(f.out, p...)
}
