package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"posthouse/internal/sleep"
)

// Gateway returns the scenarios of the gateway itself: they log in through a local WeChat
// (docs/login.md §7) and count what that costs the gateway and Redis.
func Gateway() []Scenario {
	return []Scenario{
		{Name: "gateway-login", Servers: 1, Gateway: true, Run: gatewayLogin},
		{Name: "gateway-page", Servers: 1, Gateway: true, Run: gatewayPages},
		{Name: "gateway-open", Servers: 1, Gateway: true, Run: gatewayOpen},
	}
}

// dialLogin opens a connection as a page of the same origin does, and joins /login.
func dialLogin(ctx context.Context, addr string) (*wsConn, error) {
	c, err := dialFrom(ctx, addr, "Origin: http://"+addr+"\r\n")
	if err != nil {
		return nil, err
	}
	if _, err = c.connect("/login"); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// askCode asks for a QR code and returns its ticket.
func (c *wsConn) askCode() (string, error) {
	_ = c.SetDeadline(time.Now().Add(ioTimeout))
	if err := c.send(`42/login,0["qrcode"]`); err != nil {
		return "", err
	}
	for {
		b, err := c.read()
		if err != nil {
			return "", err
		}
		answer, ok := strings.CutPrefix(string(b), `43/login,0`)
		if !ok {
			continue // the event of the same name
		}
		var codes []struct{ Ticket string }
		if err := json.Unmarshal([]byte(answer), &codes); err != nil || len(codes) != 1 || codes[0].Ticket == "" {
			return "", fmt.Errorf("load: qrcode answered with %.120q", answer)
		}
		return codes[0].Ticket, c.SetDeadline(time.Time{})
	}
}

var tokenEvent = regexp.MustCompile(`^42/login,(\d+)\["token","[\w-]+\.[\w-]+\.[\w-]+"\]$`)

// takeToken waits for the token, acknowledges it and waits until the server disconnects.
func (c *wsConn) takeToken() error {
	_ = c.SetDeadline(time.Now().Add(ioTimeout))
	got := false
	for {
		b, err := c.read()
		switch {
		case err != nil && got && (errors.Is(err, errClosedByServer) || errors.Is(err, io.EOF)):
			return nil
		case err != nil:
			return err
		}
		if m := tokenEvent.FindSubmatch(b); m != nil {
			got = true
			if err := c.send("43/login," + string(m[1]) + "[]"); err != nil {
				return err
			}
		}
		if got && string(b) == "41/login," {
			return nil
		}
	}
}

// gatewayLogin is the whole of a login: socket, code, push, token, disconnected.
func gatewayLogin(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	addr := targets[0].Addr
	team := newCrew(ctx)
	var person atomic.Int64
	for range 8 {
		phone, err := dialHTTP(ctx, l.WeChat)
		if err != nil {
			return team.finish(nil, err)
		}
		team.work(phone, func() (int, error) {
			c, err := dialLogin(team.ctx, addr)
			if err != nil {
				return 0, err
			}
			defer func() { _ = c.Close() }()
			stop := context.AfterFunc(team.ctx, func() { _ = c.Close() })
			defer stop()
			ticket, err := c.askCode()
			if err != nil {
				return 0, err
			}
			scan := fmt.Sprintf(`{"person":"p%d","ticket":%q,"follow":true}`, person.Add(1), ticket)
			if _, err := phone.do(http.MethodPost, "/sim/scan", scan); err != nil {
				return 0, err
			}
			return 1, c.takeToken()
		})
	}
	if err := sleep.For(team.ctx, l.Warmup); err != nil {
		return team.finish(nil, err)
	}
	commands, err := redisCommands(ctx, l.Redis)
	if err != nil {
		return team.finish(nil, err)
	}
	cpu := cpuOf(targets)
	ops, err := team.countOps(l.Duration)
	if err != nil {
		return team.finish(nil, err)
	}
	cpu = cpuOf(targets) - cpu
	after, err := redisCommands(ctx, l.Redis)
	return team.finish([]Metric{perEvent("", cpu, ops), {Name: "commands", Unit: "cmd", Value: (after - commands) / float64(ops)}}, err)
}

// openPages opens n login pages, each with a code, and keeps them.
func openPages(ctx context.Context, addr string, n int) ([]*wsConn, error) {
	conns := make([]*wsConn, n)
	err := each(ctx, conns, func(i int, _ *wsConn) error {
		c, err := dialLogin(ctx, addr)
		if err != nil {
			return err
		}
		conns[i] = c
		_, err = c.askCode()
		return err
	})
	if err != nil {
		for _, c := range conns {
			if c != nil {
				_ = c.Close()
			}
		}
		return nil, err
	}
	return conns, nil
}

// gatewayPages is the memory of an idle login page that shows a code.
func gatewayPages(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	t := targets[0]
	warm, err := openPages(ctx, t.Addr, min(l.Idle, 100))
	if err != nil {
		return nil, err
	}
	closeAll(warm)
	heapBefore, err := heapOf(ctx, t)
	if err != nil {
		return nil, err
	}
	before, err := Memory(t.PID)
	if err != nil {
		return nil, err
	}
	conns, err := openPages(ctx, t.Addr, l.Idle)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	heap, err := heapOf(ctx, t)
	if err != nil {
		return nil, err
	}
	after, err := Memory(t.PID)
	n := float64(l.Idle) * 1024
	return []Metric{
		{Name: "live", Unit: "KiB", Value: (heap - heapBefore) / n},
		{Name: "resident", Unit: "KiB", Value: float64(after-before) / n},
	}, err
}

// heapOf is what the gateway's heap and stacks hold after a collection, in bytes.
func heapOf(ctx context.Context, t *Target) (float64, error) {
	var text string
	for range 2 { // what a first collection finds unused may be gone after the second
		h, err := dialHTTP(ctx, t.Debug)
		if err != nil {
			return 0, err
		}
		text, err = h.do(http.MethodGet, "/debug/pprof/heap?gc=1&debug=1", "")
		_ = h.Close()
		if err != nil {
			return 0, err
		}
		if err := sleep.For(ctx, 300*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return heapAndStack(text)
}

var heapLine = regexp.MustCompile(`(?m)^# (HeapAlloc|Stack) = (\d+)`)

func heapAndStack(profile string) (sum float64, err error) {
	found := heapLine.FindAllStringSubmatch(profile, -1)
	if len(found) != 2 {
		return 0, errors.New("load: the heap profile tells no HeapAlloc and Stack")
	}
	for _, m := range found {
		n, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// openTickets is how many the scenario keeps open.
const openTickets = 10_000

// gatewayOpen keeps many tickets open and counts what the gateway does for them: commands
// of Redis and CPU time for each ticket and second, and the memory of all.
func gatewayOpen(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	n := min(openTickets, maxConnections(), l.Idle*10)
	conns, err := openPages(ctx, targets[0].Addr, n)
	if err != nil {
		return nil, err
	}
	team := newCrew(ctx)
	for _, c := range conns {
		team.work(c, func() (int, error) { _, err := c.read(); return 0, err })
	}
	// Two rounds of the poller (docs/reliability.md §3 row F6).
	window := max(6*l.Duration, 12*time.Second)
	before, err := redisCommands(ctx, l.Redis)
	if err != nil {
		return team.finish(nil, err, conns...)
	}
	cpu := cpuOf(targets)
	if err := sleep.For(team.ctx, window); err != nil {
		return team.finish(nil, err, conns...)
	}
	cpu = cpuOf(targets) - cpu
	after, err := redisCommands(ctx, l.Redis)
	if err != nil {
		return team.finish(nil, err, conns...)
	}
	memory, err := Memory(targets[0].PID)
	each := float64(n) * window.Seconds()
	return team.finish([]Metric{
		{Name: "commands a second", Unit: "cmd", Value: (after - before) / each},
		{Name: "a second", Unit: "µs", Value: float64(cpu) / float64(time.Microsecond) / each},
		{Name: "resident", Unit: "KiB", Value: float64(memory) / 1024 / float64(n)},
	}, err, conns...)
}
