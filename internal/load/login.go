package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// login is the flow this gateway is for: open a WebSocket, join /login, ask for a
// ticket, receive the token that a webhook brings, and be disconnected.
func login(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	addr := targets[0].Addr
	team := newCrew(ctx)
	for range 8 {
		webhook, err := dialHTTP(ctx, addr)
		if err != nil {
			return team.finish(nil, err)
		}
		team.work(webhook, func() (int, error) { return 1, loginOnce(team.ctx, addr, webhook) })
	}
	m, err := team.measure(l, "µs", targets)
	return team.finish(m, err)
}

func loginOnce(ctx context.Context, addr string, webhook *httpConn) error {
	c, err := dialWS(ctx, addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if _, err := c.connect("/login"); err != nil {
		return err
	}
	if err := c.send(`42/login,0["ticket"]`); err != nil {
		return err
	}
	answer, err := c.read()
	if err != nil {
		return err
	}
	ticket, ok := strings.CutPrefix(string(answer), `43/login,0[{"ticket":"`)
	ticket, ok2 := strings.CutSuffix(ticket, `"}]`)
	if !ok || !ok2 {
		return fmt.Errorf("load: ticket answered with %.80q", answer)
	}
	if _, err := webhook.do(http.MethodPost, "/bench/callback?ticket="+ticket, ""); err != nil {
		return err
	}
	if err := c.expect(`42/login,["token",{"token":"tok-` + ticket + `"}]`); err != nil {
		return err
	}
	for { // until the connection ends: the disconnect of the namespace may be seen first
		if _, err := c.read(); err != nil {
			if errors.Is(err, errClosedByServer) || errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
