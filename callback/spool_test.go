package callback_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"posthouse/callback"
	"posthouse/internal/login"
)

// outage is a store that can be away.
type outage struct {
	Store
	away atomic.Bool
}

func (o *outage) err() error {
	if o.away.Load() {
		return fmt.Errorf("%w: gone", login.ErrStoreUnavailable)
	}
	return nil
}

func (o *outage) Claim(ctx context.Context, c login.Claim) (login.Ticket, login.Outcome, error) {
	if err := o.err(); err != nil {
		return login.Ticket{}, "", err
	}
	return o.Store.Claim(ctx, c)
}

func (o *outage) Once(ctx context.Context, key string, lease time.Duration) (login.WebhookStage, []byte, error) {
	if err := o.err(); err != nil {
		return 0, nil, err
	}
	return o.Store.Once(ctx, key, lease)
}

func (o *outage) Finish(ctx context.Context, key string, reply []byte, ttl time.Duration) error {
	if err := o.err(); err != nil {
		return err
	}
	return o.Store.Finish(ctx, key, reply, ttl)
}

// docs/reliability.md §3 row F32: while the store is away a scan is kept in the fsynced spool, and that is
// what "success" promises; the first of two persons still wins afterwards.
func TestSpool_ScanDuringAnOutageIsKept(t *testing.T) {
	t.Parallel()
	spool, err := login.OpenSpool(t.TempDir() + "/spool")
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	store, told := &outage{Store: login.NewMemory()}, &notifier{}
	service, err := login.NewService(&login.ServiceOptions{
		Store: store, Issuer: noTokens{}, QRCodes: oneAccount{}, Notifier: told, Spool: spool,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *callback.Options) { o.Login, o.Dedupe, o.Notifier = service, store, nil })
	s := start(t, service, "")
	store.away.Store(true)
	for _, person := range []string{alice, bob} {
		if got := r.said(t, scanOf(person, s)); got != "success" {
			t.Errorf("%q", got)
		}
	}
	if n := spool.Len(); n != 2 {
		t.Errorf("%d claims in the spool", n)
	}
	store.away.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error)
	go func() { done <- service.Run(ctx) }()
	for spool.Len() > 0 && ctx.Err() == nil {
		<-time.After(5 * time.Millisecond)
	}
	cancel()
	<-done
	if ticket := state(t, store, s); ticket.State != login.Done || ticket.OpenID != alice {
		t.Errorf("%+v", ticket)
	}
}
