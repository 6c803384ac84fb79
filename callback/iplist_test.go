package callback_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/callback"
)

// moodySource fails at first.
type moodySource struct {
	asked atomic.Int32
	fails int32
}

func (s *moodySource) CallbackIPs(context.Context) ([]netip.Prefix, error) {
	if s.asked.Add(1) <= s.fails {
		return nil, errors.New("away")
	}
	return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, nil
}

func TestIPList_IsKeptFresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &moodySource{fails: 2}
		l := callback.NewIPList(s, &callback.IPListOptions{Every: 20 * time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { l.Run(ctx); close(done) }()
		for _, want := range []struct {
			after time.Duration
			asked int32
		}{{0, 1}, {time.Hour, 2}, {time.Hour, 3}, {19 * time.Hour, 3}, {time.Hour, 4}} {
			<-time.After(want.after)
			synctest.Wait()
			if n := s.asked.Load(); n != want.asked {
				t.Errorf("asked %d times, want %d", n, want.asked)
			}
		}
		cancel()
		<-done
	})
}

func TestIPList_BrokenFileIsNoList(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/ips.json"
	if err := os.WriteFile(file, []byte(`["10.0.0.0/8", "junk`), 0o600); err != nil {
		t.Fatal(err)
	}
	l := callback.NewIPList(&moodySource{}, &callback.IPListOptions{File: file})
	if err := l.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil || string(raw) != `["10.0.0.0/8"]` {
		t.Errorf("%s %v", raw, err)
	}
	l = callback.NewIPList(&moodySource{}, &callback.IPListOptions{File: "/nowhere/ips.json"})
	if err := l.Refresh(t.Context()); err == nil {
		t.Error("written nowhere")
	}
}
