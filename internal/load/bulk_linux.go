package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"posthouse/internal/sleep"
)

// Bulks returns all of them.
func Bulks() []Bulk {
	return []Bulk{
		{"fanout-5000", bulkFanout},
		{"echo", bulkEcho},
		{"polling", bulkPolling},
		{"handshakes", bulkHandshakes},
		{"login", bulkLogin},
	}
}

const (
	bulkConnections = 1000
	bulkRounds      = 8 // measured ones
	bulkWarm        = 2 // before them
)

// inbox is a connection on which so many bytes are to come.
type inbox struct {
	fd   int
	want int // 0: at least one
}

func inboxOf(conn net.Conn, want int) (inbox, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return inbox{}, errors.New("load: not a TCP connection")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return inbox{}, err
	}
	in := inbox{want: want}
	return in, raw.Control(func(fd uintptr) { in.fd = int(fd) })
}

func inboxesOf[C net.Conn](conns []C, plain func(C) net.Conn, want int) ([]inbox, error) {
	list := make([]inbox, len(conns))
	for i, c := range conns {
		var err error
		if list[i], err = inboxOf(plain(c), want); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// come returns how many bytes wait.
func (in inbox) come() int {
	n, err := unix.IoctlGetInt(in.fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// drop forgets what waits, in the kernel.
func (in inbox) drop() {
	var target [1 << 16]byte // of which MSG_TRUNC leaves every byte alone
	for {
		if n, _, err := unix.Recvfrom(in.fd, target[:], unix.MSG_TRUNC|unix.MSG_DONTWAIT); n <= 0 || err != nil {
			return
		}
	}
}

const (
	lookEvery = 250 * time.Microsecond
	bulkLimit = 20 * time.Second // for one round
)

// await waits until everything has come.
func await(ctx context.Context, list []inbox) error {
	limit := time.Now().Add(bulkLimit)
	for i, in := range list {
		for in.come() < max(in.want, 1) {
			if time.Now().After(limit) {
				return fmt.Errorf("load: %d of %d bytes came on connection %d of %d", in.come(), in.want, i, len(list))
			}
			if err := sleep.For(ctx, lookEvery); err != nil {
				return err
			}
		}
	}
	return nil
}

// stopped runs queue while the process of t is stopped.
func (t *Target) stopped(ctx context.Context, queue func() error) error {
	if err := unix.Kill(t.PID, unix.SIGSTOP); err != nil {
		return err
	}
	defer unix.Kill(t.PID, unix.SIGCONT) //nolint:errcheck // the process is gone, then
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.PID))
		if err != nil {
			return err
		}
		if i := bytes.LastIndexByte(stat, ')'); bytes.HasPrefix(stat[i+1:], []byte(" T")) {
			return queue()
		}
		if err := sleep.For(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// timed lets the server do what queue writes, and adds to the cost what it took.
func (c *BulkCost) timed(ctx context.Context, t *Target, operations int, list func() []inbox, queue func() error) error {
	if err := t.stopped(ctx, queue); err != nil { // its end lets the process go on
		return err
	}
	begin := time.Now()
	cpu, err := CPU(t.PID)
	if err == nil {
		err = await(ctx, list())
	}
	if err != nil {
		return err
	}
	c.Wall += time.Since(begin)
	after, err := CPU(t.PID)
	c.CPU += after - cpu
	c.Operations += operations
	return err
}

// rounds runs step, whose first calls count nothing.
func rounds(step func(c *BulkCost) error) (cost BulkCost, err error) {
	for i := range bulkWarm + bulkRounds {
		var one BulkCost
		if err := step(&one); err != nil {
			return cost, err
		}
		if i >= bulkWarm {
			cost.Operations += one.Operations
			cost.Wall += one.Wall
			cost.CPU += one.CPU
		}
	}
	return cost, nil
}

func plainWS(c *wsConn) net.Conn     { return c.Conn }
func plainHTTP(c *httpConn) net.Conn { return c.Conn }

// bulkFanout broadcasts to a room; the operation is a delivery.
func bulkFanout(ctx context.Context, l Load, t *Target) (BulkCost, error) {
	members := 5000
	if l.Members > 0 {
		members = l.Members
	}
	conns, err := dialAll(ctx, t.Addr, members, func(_ int, c *wsConn) error {
		if err := c.send(`420["join","r"]`); err != nil {
			return err
		}
		return c.expect(`430[]`)
	})
	if err != nil {
		return BulkCost{}, err
	}
	defer closeAll(conns)
	driver, err := dialHTTP(ctx, t.Addr)
	if err != nil {
		return BulkCost{}, err
	}
	defer driver.Close()
	list, err := inboxesOf(conns, plainWS, len(`42["msg",{"i":0,"pad":""}]`)+48+2)
	if err != nil {
		return BulkCost{}, err
	}
	return rounds(func(c *BulkCost) error {
		err := c.timed(ctx, t, members, func() []inbox { return list }, func() error {
			return driver.request(http.MethodGet, "/bench/broadcast?room=r&n=1", "")
		})
		if err != nil {
			return err
		}
		_, err = driver.answer()
		for _, in := range list {
			in.drop()
		}
		return err
	})
}

// bulkEcho sends one acknowledged event on each connection.
func bulkEcho(ctx context.Context, l Load, t *Target) (BulkCost, error) {
	conns, err := dialAll(ctx, t.Addr, 4*bulkConnections, nil)
	if err != nil {
		return BulkCost{}, err
	}
	defer closeAll(conns)
	args := `{"id":12345,"name":"someone","text":"` + strings.Repeat("x", 40) + `"}]`
	list, err := inboxesOf(conns, plainWS, len(`430[`+args)+2)
	if err != nil {
		return BulkCost{}, err
	}
	return rounds(func(c *BulkCost) error {
		err := c.timed(ctx, t, len(conns), func() []inbox { return list }, func() error {
			for _, conn := range conns {
				if err := conn.send(`420["echo",` + args); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, conn := range conns {
			if err := conn.expect(`430[` + args); err != nil {
				return err
			}
		}
		return nil
	})
}

// bulkPolling has a GET and a POST with an acknowledged event for each session.
func bulkPolling(ctx context.Context, l Load, t *Target) (BulkCost, error) {
	var gets, posts []*httpConn
	var paths []string
	defer func() {
		for _, c := range append(gets, posts...) {
			_ = c.Close()
		}
	}()
	for range bulkConnections {
		get, err := dialHTTP(ctx, t.Addr)
		if err != nil {
			return BulkCost{}, err
		}
		gets = append(gets, get)
		path, err := openPolling(get)
		if err != nil {
			return BulkCost{}, err
		}
		paths = append(paths, path)
		post, err := dialHTTP(ctx, t.Addr)
		if err != nil {
			return BulkCost{}, err
		}
		posts = append(posts, post)
	}
	list, err := inboxesOf(append(append([]*httpConn(nil), posts...), gets...), plainHTTP, 0)
	if err != nil {
		return BulkCost{}, err
	}
	return rounds(func(c *BulkCost) error {
		err := c.timed(ctx, t, len(paths), func() []inbox { return list }, func() error {
			for i, path := range paths {
				err := errors.Join(gets[i].request(http.MethodGet, path, ""), posts[i].request(http.MethodPost, path, `421["echo","hello",{"n":1}]`))
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i := range paths {
			_, errPost := posts[i].answer()
			got, errGet := gets[i].answer()
			if err := errors.Join(errPost, errGet); err != nil {
				return err
			}
			if got != `431["hello",{"n":1}]` {
				return fmt.Errorf("load: polled %.80q", got)
			}
		}
		return nil
	})
}

// openBulk connects n WebSockets to a namespace in one round. Connections, requests and
// CONNECT packets wait for the server.
func openBulk(ctx context.Context, c *BulkCost, t *Target, namespace string, n, operations int) (conns []*wsConn, err error) {
	sample, err := dialWS(ctx, t.Addr) // tells how long answers are
	if err != nil {
		return nil, err
	}
	defer sample.Close()
	answer, err := sample.connect(namespace)
	if err != nil {
		return nil, err
	}
	prefix := "40"
	if namespace != "/" {
		prefix += namespace + ","
	}
	want := sample.headSize + 2 + len(prefix+`{"sid":"`+answer)
	list := func() (l []inbox) {
		l, err = inboxesOf(conns, plainWS, want)
		return l
	}
	timedErr := c.timed(ctx, t, operations, list, func() error {
		for range n {
			conn, err := dialPlain(ctx, t.Addr)
			if err != nil {
				return err
			}
			conns = append(conns, conn)
			conn.out = append(conn.out, upgradeRequest(t.Addr, "")...)
			conn.text(prefix)
			if err := conn.flush(); err != nil {
				return err
			}
		}
		return nil
	})
	if err = errors.Join(timedErr, err); err != nil {
		return conns, err
	}
	for _, conn := range conns {
		if err := conn.opened(); err != nil {
			return conns, err
		}
		if got, err := conn.read(); err != nil || !strings.HasPrefix(string(got), prefix+`{"sid":"`) {
			return conns, fmt.Errorf("load: CONNECT answered with %.80q, %w", got, err)
		}
	}
	return conns, nil
}

func bulkHandshakes(ctx context.Context, l Load, t *Target) (BulkCost, error) {
	return rounds(func(c *BulkCost) error {
		conns, err := openBulk(ctx, c, t, "/", bulkConnections, bulkConnections)
		closeAll(conns)
		return errors.Join(err, sleep.For(ctx, 100*time.Millisecond)) // the ends of the sessions are not measured
	})
}

// bulkLogin is the flow of login in three rounds: handshakes, tickets, webhooks.
func bulkLogin(ctx context.Context, l Load, t *Target) (BulkCost, error) {
	webhooks := make([]*httpConn, bulkConnections/2)
	for i := range webhooks {
		h, err := dialHTTP(ctx, t.Addr)
		if err != nil {
			return BulkCost{}, err
		}
		defer h.Close()
		webhooks[i] = h
	}
	return rounds(func(c *BulkCost) error {
		conns, err := openBulk(ctx, c, t, "/login", len(webhooks), 0)
		defer closeAll(conns)
		if err != nil {
			return err
		}
		const ticketLength = 26 // of crypto/rand.Text
		tickets := make([]string, len(conns))
		list, err := inboxesOf(conns, plainWS, 2+len(`43/login,0[{"ticket":""}]`)+ticketLength)
		if err != nil {
			return err
		}
		err = c.timed(ctx, t, 0, func() []inbox { return list }, func() error {
			for _, conn := range conns {
				if err := conn.send(`42/login,0["ticket"]`); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i, conn := range conns {
			answer, err := conn.read()
			if err != nil {
				return err
			}
			tickets[i] = strings.TrimSuffix(strings.TrimPrefix(string(answer), `43/login,0[{"ticket":"`), `"}]`)
			list[i].want = 2 + len(`42/login,["token",{"token":"tok-"}]`) + ticketLength
		}
		err = c.timed(ctx, t, len(conns), func() []inbox { return list }, func() error {
			for i, h := range webhooks {
				if err := h.request(http.MethodPost, "/bench/callback?ticket="+tickets[i], ""); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i, conn := range conns {
			if _, err := webhooks[i].answer(); err != nil {
				return err
			}
			if err := conn.expect(`42/login,["token",{"token":"tok-` + tickets[i] + `"}]`); err != nil {
				return err
			}
		}
		return nil
	})
}
