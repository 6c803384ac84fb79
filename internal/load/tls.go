package load

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"time"
)

// TLS is what the address of a server begins with that speaks TLS.
const TLS = "tls:"

// clientTLS accepts any certificate: the benchmark makes its own. Only X25519 is
// offered, so that all servers do the same work: not every one of them has the hybrid key
// exchange that Go's client would rather use.
var clientTLS = &tls.Config{
	InsecureSkipVerify: true,
	CurvePreferences:   []tls.CurveID{tls.X25519},
	ServerName:         "localhost",
}

// dial opens a connection to addr, with a TLS handshake when addr begins with TLS.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	return dialTLS(ctx, addr, clientTLS)
}

func dialTLS(ctx context.Context, addr string, config *tls.Config) (net.Conn, error) {
	var d net.Dialer
	hostPort, secure := strings.CutPrefix(addr, TLS)
	nc, err := d.DialContext(ctx, "tcp", hostPort)
	if err != nil || !secure {
		return nc, err
	}
	c := tls.Client(nc, config)
	if err := c.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

// tlsScenarios are scenarios over TLS. Handshakes are measured with and without
// resumption of an earlier session.
func tlsScenarios() []Scenario {
	env := []string{"BENCH_TLS=1"}
	return []Scenario{
		{Name: "tls-echo-1", Servers: 1, Env: env, Extra: true, Run: echo(1)},
		{Name: "tls-echo-16", Servers: 1, Env: env, Extra: true, Run: echo(16)},
		{Name: "tls-fanout-1000", Servers: 1, Env: env, Extra: true, Run: fanout(1000, 1)},
		{Name: "tls-fanout-bursts", Servers: 1, Env: env, Extra: true, Run: fanout(1000, 10)},
		{Name: "tls-handshake", Servers: 1, Env: env, Extra: true, Run: tlsHandshakes(false)},
		{Name: "tls-resumed", Servers: 1, Env: env, Extra: true, Run: tlsHandshakes(true)},
		{Name: "tls-idle", Servers: 1, Env: env, Extra: true, Run: idle},
	}
}

// tlsHandshakes opens a connection, asks one thing over HTTP and closes it, again and
// again: the answer shows that the server has finished its half of the handshake, and
// brings the tickets of the next one.
func tlsHandshakes(resume bool) func(context.Context, Load, []*Target) ([]Metric, error) {
	return func(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
		l = l.withDefaults()
		config := clientTLS.Clone()
		if resume {
			config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
		team := newCrew(ctx)
		for range 4 {
			conn := &nothing{}
			team.work(conn, func() (int, error) {
				nc, err := dialTLS(team.ctx, targets[0].Addr, config)
				if err != nil {
					return 0, stopped(team.ctx, err)
				}
				defer func() { _ = nc.Close() }()
				h := newHTTPConn(nc, targets[0].Addr)
				_ = nc.SetDeadline(time.Now().Add(ioTimeout))
				if _, err := h.do(http.MethodGet, "/bench/pid", ""); err != nil {
					return 0, stopped(team.ctx, err)
				}
				return 1, nil
			})
		}
		m, err := team.measure(l, "µs", targets)
		return team.finish(m, err)
	}
}

// nothing is closed in place of connections that a step opens itself.
type nothing struct{}

// Close implements io.Closer.
func (*nothing) Close() error { return nil }

// stopped returns the reason why ctx ended, if it has, and err otherwise.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
