package load

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

// deflating and takingOver are what the address begins with of a server to which
// WebSockets are opened with an offer of permessage-deflate: one that forbids a context
// between messages, so that all servers can compress equally well, or that of browsers.
const (
	deflating  = "deflate:"
	takingOver = "takeover:"
)

// deflateOffers are header lines.
var deflateOffers = map[string]string{
	deflating:  "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n",
	takingOver: "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
}

// cutOffer takes the prefix of an offer off addr.
func cutOffer(addr string) (rest, offer string) {
	for prefix, offer := range deflateOffers {
		if rest, ok := strings.CutPrefix(addr, prefix); ok {
			return rest, offer
		}
	}
	return addr, ""
}

// inflater is the client's half of permessage-deflate (RFC 7692). It allows a server to
// keep its context from one message to the next.
type inflater struct {
	r      io.ReadCloser
	window []byte // the last 32 KiB of what came
	wire   int    // bytes of compressed messages
	plain  int    // of the same messages, inflated
}

// inflate returns the message in body.
func (f *inflater) inflate(body []byte) ([]byte, error) {
	in := io.MultiReader(bytes.NewReader(body), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))
	if f.r == nil {
		f.r = flate.NewReader(in)
	} else if err := f.r.(flate.Resetter).Reset(in, f.window); err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(f.r, 1<<24))
	f.wire, f.plain = f.wire+len(body), f.plain+len(out)
	f.window = append(f.window, out...)
	f.window = f.window[max(0, len(f.window)-1<<15):]
	return out, err
}

// deflated adds a compressed text frame to what flush writes.
func (c *wsConn) deflated(s string) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.DefaultCompression)
	_, _ = io.WriteString(w, s)
	_ = w.Flush()
	c.frame(0xc1, string(bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))))
}

func deflateScenarios() []Scenario {
	env := []string{"BENCH_DEFLATE=1"}           // Node compresses with level 6, ours with 1
	context := append(env, "BENCH_CONTEXT=8192") // Node keeps a context without being asked
	answers := []string{"BENCH_COMPRESS=1"}      // of polls: ours compresses them unless told not to, as Node does
	return []Scenario{
		{Name: "deflate-echo-1k", Servers: 1, Env: env, Extra: true, Run: deflateEcho(deflating, 1200)},
		{Name: "deflate-echo-10k", Servers: 1, Env: env, Extra: true, Run: deflateEcho(deflating, 10<<10)},
		{Name: "deflate-echo-10k-level5", Servers: 1, Env: append(env, "BENCH_DEFLATE_LEVEL=5"), Extra: true, Run: deflateEcho(deflating, 10<<10)},
		{Name: "takeover-echo-1k", Servers: 1, Env: context, Extra: true, Run: deflateEcho(takingOver, 1200)},
		{Name: "takeover-echo-4k", Servers: 1, Env: context, Extra: true, Run: deflateEcho(takingOver, 4<<10)},
		{Name: "deflate-fanout-4k", Servers: 1, Env: env, Extra: true, Run: deflateFanout(4<<10, 200)},
		{Name: "compress-polling-1k", Servers: 1, Env: answers, Extra: true, Run: compressedPolling(1200)},
		{Name: "compress-polling-10k", Servers: 1, Env: answers, Extra: true, Run: compressedPolling(10 << 10)},
		{Name: "deflate-idle", Servers: 1, Env: env, Extra: true, Run: deflateIdle(deflating)},
		{Name: "takeover-idle", Servers: 1, Env: context, Extra: true, Run: deflateIdle(takingOver)},
	}
}

// records is JSON of about n bytes as servers send it: objects of the same shape with
// different values, written as JavaScript writes them again.
func records(n, seed int) string {
	var b strings.Builder
	b.WriteByte('[')
	x := uint32(n + seed)
	for i := 0; b.Len() < n; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		x = x*1664525 + 1013904223
		fmt.Fprintf(&b, `{"id":%d,"name":"user-%x","online":%t,"score":%d.%02d7}`, x>>8, x>>20, x&64 == 0, x>>22, x>>12&63)
	}
	b.WriteByte(']')
	return b.String()
}

func withOffer(prefix string, targets []*Target) []*Target {
	t := *targets[0]
	t.Addr = prefix + t.Addr
	return []*Target{&t}
}

// ratio is how many bytes on the wire stand for a hundred of the message.
func ratio(conns []*wsConn) Metric {
	wire, plain := 0, 0
	for _, c := range conns {
		if c.deflate != nil {
			wire, plain = wire+c.deflate.wire, plain+c.deflate.plain
		}
	}
	return Metric{Name: "size", Unit: "%", Value: 100 * float64(wire) / float64(max(plain, 1))}
}

var errPlain = errors.New("load: the server compresses nothing")

// deflateEcho sends an acknowledged event of about n bytes of JSON, compressed, and
// takes the same back.
func deflateEcho(offer string, n int) func(context.Context, Load, []*Target) ([]Metric, error) {
	return func(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
		l = l.withDefaults()
		var conns []*wsConn
		m, err := roundTrips(ctx, l, withOffer(offer, targets), func(c *wsConn) func() (int, error) {
			conns = append(conns, c)
			// So many different ones that a window has forgotten the first by the last.
			var frames [][]byte
			var answers []string
			for i := range 1 + 64<<10/n {
				payload := records(n, i)
				c.deflated(`421["echo",` + payload + `]`)
				frames = append(frames, bytes.Clone(c.out))
				answers = append(answers, `431[`+payload+`]`)
				c.out = c.out[:0]
			}
			c.out = nil
			i := 0
			return func() (int, error) {
				i = (i + 1) % len(frames)
				if _, err := c.Write(frames[i]); err != nil {
					return 0, err
				}
				return 1, c.expect(answers[i])
			}
		})
		r := ratio(conns)
		if err == nil && r.Value == 0 {
			err = errPlain
		}
		return append(m, r), err
	}
}

// deflateFanout relays an event of n bytes to a room, again and again.
func deflateFanout(n, members int) func(context.Context, Load, []*Target) ([]Metric, error) {
	return func(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
		l = l.withDefaults()
		if l.Members > 0 {
			members = l.Members
		}
		addr := withOffer(deflating, targets)[0].Addr
		conns, err := dialAll(ctx, addr, members, func(_ int, c *wsConn) error {
			if err := c.send(`420["join","r"]`); err != nil {
				return err
			}
			return c.expect(`430[]`)
		})
		if err != nil {
			return nil, err
		}
		team := newCrew(ctx)
		payload := records(n, 0)
		var delivered atomic.Int64
		complete := make(chan struct{}, 1)
		for _, c := range conns {
			team.work(c, func() (int, error) {
				if err := c.expect(`42["msg",` + payload + `]`); err != nil {
					return 0, err
				}
				if delivered.Add(1)%int64(members) == 0 {
					complete <- struct{}{}
				}
				return 1, nil
			})
		}
		driver, err := dialAll(ctx, addr, 1, nil)
		if err != nil {
			return team.finish(nil, err, conns...)
		}
		driver[0].deflated(`42["relay","r",` + payload + `]`)
		frame := driver[0].out
		team.work(driver[0], func() (int, error) {
			if _, err := driver[0].Write(frame); err != nil {
				return 0, err
			}
			select {
			case <-complete:
				return 0, nil
			case <-team.ctx.Done():
				return 0, context.Cause(team.ctx)
			}
		})
		m, err := team.measure(l, "µs", targets)
		m, err = team.finish(m, err, append(conns, driver...)...)
		return append(m, ratio(conns)), err
	}
}

// deflateIdle measures the memory of connections that have sent and received a
// compressed message and wait now.
func deflateIdle(offer string) func(context.Context, Load, []*Target) ([]Metric, error) {
	return func(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
		l = l.withDefaults()
		payload := records(4<<10, 0)
		addr := withOffer(offer, targets)[0].Addr
		once := func(_ int, c *wsConn) error {
			c.deflated(`421["echo",` + payload + `]`)
			if err := c.flush(); err != nil {
				return err
			}
			_ = c.SetReadDeadline(time.Now().Add(ioTimeout))
			err := c.expect(`431[` + payload + `]`)
			_ = c.SetReadDeadline(time.Time{})
			c.deflate = nil // the load's own memory
			return err
		}
		conns, err := dialAll(ctx, addr, min(l.Idle, 100), once)
		if err != nil {
			return nil, err
		}
		closeAll(conns)
		before, err := settled(ctx, targets[0])
		if err != nil {
			return nil, err
		}
		if conns, err = dialAll(ctx, addr, l.Idle, once); err != nil {
			return nil, err
		}
		defer closeAll(conns)
		after, err := settled(ctx, targets[0])
		return []Metric{{Name: "memory", Unit: "KiB", Value: float64(after-before) / 1024 / float64(l.Idle)}}, err
	}
}
