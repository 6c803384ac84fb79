package load

import (
	"context"
	"net/http"
	"strings"
)

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
