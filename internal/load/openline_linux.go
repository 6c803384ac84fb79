package load

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The measured part of the connections is read at once; the others are background, drained
// every drainEvery in one read, so that the load costs less than the server. A random part
// of Poisson arrivals sees the same server as all of them.
const (
	measuredPart = 5 // one in five
	drainEvery   = 5 * time.Millisecond
	firstID      = 1_000_000 // all ids have the same number of digits
)

// openLine sends acknowledged events over raw descriptors: one thread, one epoll instance.
type openLine struct {
	clock   func() time.Duration
	epfd    int
	conns   []openConn
	of      []uint16 // the connection of each event
	frame   []byte   // masked; the digits of the id stand at digits
	digits  int
	plain   []byte // what follows the id in an answer
	in      []byte
	events  [64]unix.EpollEvent
	drained time.Duration
	waiting int
}

type openConn struct {
	fd   int
	rest []byte // of a frame that is not complete
}

// newOpenLine takes the descriptors of the connections over.
func newOpenLine(conns []*wsConn) (*openLine, error) {
	l := &openLine{in: make([]byte, 256<<10)}
	args := `{"id":12345,"name":"someone","text":"` + strings.Repeat("x", 30) + `"}]`
	l.plain = []byte("[" + args)
	var c wsConn
	c.text(fmt.Sprintf(`42%d["echo",%s`, firstID, args))
	l.frame, l.digits = c.out, 2+4+len("42")
	var err error
	if l.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for i, c := range conns {
		fd, err := duplicate(c)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, openConn{fd: fd})
		if i%measuredPart != 0 {
			continue
		}
		if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

// duplicate takes the descriptor from under the connection, without the runtime's poller.
func duplicate(c *wsConn) (fd int, err error) {
	if c.r.Buffered() > 0 {
		return 0, errors.New("load: a connection has read ahead")
	}
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return 0, errors.New("load: a connection without a descriptor")
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var dup error
	if err := rc.Control(func(raw uintptr) { fd, dup = unix.FcntlInt(raw, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return 0, err
	}
	return fd, errors.Join(dup, c.Close())
}

// close ends all connections.
func (l *openLine) close() {
	for _, c := range l.conns {
		_ = unix.Close(c.fd)
	}
	_ = unix.Close(l.epfd)
}

// prepare chooses a connection for each of n events of the next run.
func (l *openLine) prepare(n int, seed uint64, clock func() time.Duration) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	l.clock, l.drained, l.waiting = clock, 0, 0
	l.of = make([]uint16, n)
	for i := range l.of {
		l.of[i] = uint16(rnd.IntN(len(l.conns)))
	}
}

func (l *openLine) pending() int { return l.waiting }

func (l *openLine) send(i int) error {
	id := strconv.AppendInt(nil, int64(firstID+i), 10)
	for j, d := range id {
		l.frame[l.digits+j] = d ^ mask[(len("42")+j)&3]
	}
	l.waiting++
	return l.write(l.conns[l.of[i]].fd, l.frame)
}

// write waits for a socket that is full: that is the server's fault, and counts.
func (l *openLine) write(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch {
		case errors.Is(err, unix.EAGAIN):
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(patience/time.Millisecond)); err != nil && !errors.Is(err, unix.EINTR) {
				return err
			}
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		default:
			b = b[n:]
		}
	}
	return nil
}

// receive spins rather than sleeps: being woken takes longer than what is measured.
func (l *openLine) receive(until time.Duration, got func(int)) error {
	for {
		n, err := unix.EpollWait(l.epfd, l.events[:], 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		for _, e := range l.events[:max(n, 0)] {
			if err := l.read(int(e.Fd), got); err != nil {
				return err
			}
		}
		now := l.clock()
		if now-l.drained >= drainEvery {
			l.drained = now
			for i := range l.conns {
				if i%measuredPart == 0 {
					continue
				}
				if err := l.read(i, nil); err != nil {
					return err
				}
			}
			return nil
		}
		if n > 0 || now >= until {
			return nil
		}
	}
}

// read takes what has come on a connection.
func (l *openLine) read(i int, got func(int)) error {
	c := &l.conns[i]
	kept := copy(l.in, c.rest)
	n, err := unix.Read(c.fd, l.in[kept:])
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return err
	case n == 0:
		return errClosedByServer
	}
	b := l.in[:kept+n]
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		if b[0] != 0x81 || b[1] >= 126 {
			return fmt.Errorf("load: frame header % x", b[:2])
		}
		if err := l.message(c.fd, b[2:2+int(b[1])], got); err != nil {
			return err
		}
		b = b[2+int(b[1]):]
	}
	c.rest = append(c.rest[:0], b...)
	return nil
}

func (l *openLine) message(fd int, m []byte, got func(int)) error {
	if string(m) == "2" {
		var pong wsConn
		pong.text("3")
		return l.write(fd, pong.out)
	}
	id, rest, _ := bytes.Cut(bytes.TrimPrefix(m, []byte("43")), []byte("["))
	i, err := strconv.Atoi(string(id))
	if i -= firstID; err != nil || i < 0 || i >= len(l.of) || !bytes.Equal(rest, l.plain[1:]) {
		return fmt.Errorf("load: echoed %.80q", m)
	}
	l.waiting--
	if got != nil {
		got(i)
	}
	return nil
}
