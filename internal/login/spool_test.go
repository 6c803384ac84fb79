package login_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/login"
)

func mustSpool(t *testing.T, path string) *login.Spool {
	t.Helper()
	s, err := login.OpenSpool(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func someClaim(n int) login.Claim {
	return login.Claim{AppID: "wx1", Scene: fmt.Sprint("L1.", n), WeChat: fmt.Sprint("w", n), OpenID: fmt.Sprint("o", n),
		UnionID: "u", Confirm: n%2 == 0, Risk: n%2 == 1, At: time.UnixMilli(1_700_000_000_000 + int64(n))}
}

func sameClaim(a, b login.Claim) bool {
	at := a.At.Equal(b.At)
	a.At, b.At = time.Time{}, time.Time{}
	return at && a == b
}

func TestSpoolSurvivesACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "claims")
	s := mustSpool(t, path)
	for n := range 3 {
		if err := s.Append(someClaim(n)); err != nil {
			t.Fatal(err)
		}
	}
	// No Close: the process was killed. The file is complete all the same.
	again := mustSpool(t, path)
	for n := range 3 {
		c, ok := again.First()
		if !ok || !sameClaim(c, someClaim(n)) {
			t.Fatalf("claim %d is %+v", n, c)
		}
		if err := again.Drop(); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("replayed file: %v, %v", info, err)
	}
}

func TestSpoolCutsATornTailAtEveryByte(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "claims")
	s := mustSpool(t, whole)
	var ends []int64
	for n := range 3 {
		if err := s.Append(someClaim(n)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(whole)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(t.TempDir(), "torn")
	for size := range text {
		if err := os.WriteFile(torn, text[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		s := mustSpool(t, torn)
		want := 0
		for _, end := range ends {
			if int64(size) >= end {
				want++
			}
		}
		if s.Len() != want || s.Damaged() != 0 {
			t.Fatalf("%d bytes: %d claims (%d damaged), want %d", size, s.Len(), s.Damaged(), want)
		}
		if err := s.Append(someClaim(9)); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if s = mustSpool(t, torn); s.Len() != want+1 {
			t.Fatalf("%d bytes: what was appended after the torn tail is lost", size)
		}
		s.Close()
	}
}

func TestSpoolSkipsADamagedLineAndKeepsTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "claims")
	s := mustSpool(t, path)
	for n := range 3 {
		s.Append(someClaim(n))
	}
	text, _ := os.ReadFile(path)
	text[len(text)/2] ^= 1
	os.WriteFile(path, text, 0o600)
	again := mustSpool(t, path)
	if again.Len() != 2 || again.Damaged() != 1 {
		t.Errorf("%d claims, %d damaged", again.Len(), again.Damaged())
	}
}

func TestSpoolIsBounded(t *testing.T) {
	s := mustSpool(t, filepath.Join(t.TempDir(), "claims"))
	s.Limit(2)
	for n := range 2 {
		if err := s.Append(someClaim(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Append(someClaim(3)); !errors.Is(err, login.ErrSpoolFull) {
		t.Errorf("a third claim: %v", err)
	}
	s.Drop()
	s.Drop()
	if err := s.Append(someClaim(4)); err != nil {
		t.Errorf("after the replay: %v", err)
	}
}

func TestSpoolRefusesWhenTheDiskFails(t *testing.T) {
	s := mustSpool(t, filepath.Join(t.TempDir(), "claims"))
	s.Close()
	if err := s.Append(someClaim(1)); err == nil {
		t.Error("a claim was accepted without a file")
	}
}

// A disk that is full fails the write, of a spool that is open.
func TestSpool_WriteThatFails_IsTold(t *testing.T) {
	s := mustSpool(t, filepath.Join(t.TempDir(), "claims"))
	if err := s.Append(someClaim(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.FailWrites(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(someClaim(2)); err == nil {
		t.Error("a claim was accepted that could not be written")
	}
}

func TestSpoolTakesConcurrentClaims(t *testing.T) {
	path := filepath.Join(t.TempDir(), "claims")
	s := mustSpool(t, path)
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() {
			if err := s.Append(someClaim(n)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := mustSpool(t, path); got.Len() != 64 {
		t.Errorf("%d claims on disk", got.Len())
	}
}

// docs/reliability.md §3 row F32: the store is away for ten seconds; a webhook accepted meanwhile
// is a login soon after, also when the replica was restarted in between.
func TestSpool_WebhookDuringAnOutageIsALoginAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "claims")
		spool := mustSpool(t, path)
		fix := &fixture{Store: login.NewMemory(), advance: time.Sleep}
		r := newRig(t, fix, func(o *login.ServiceOptions) { o.Spool = spool })
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx) })

		a, b := r.start(t, login.StartRequest{}), r.start(t, login.StartRequest{})
		r.store.away.Store(true)
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeSpooled)
		time.Sleep(10 * time.Second)
		r.store.away.Store(false)
		time.Sleep(time.Second)
		if got := r.now(t, a.Ticket.ID); got.State != login.Done || spool.Len() != 0 {
			t.Fatalf("a second after the outage: %s, %d spooled", got.State, spool.Len())
		}

		r.store.away.Store(true)
		r.mustClaim(t, scan(b.Ticket, "bob"), login.OutcomeSpooled)
		stop()
		running.Wait()
		spool.Close()
		restarted := newRig(t, fix, func(o *login.ServiceOptions) { o.Spool = mustSpool(t, path) })
		ctx, stop = context.WithCancel(t.Context())
		running.Go(func() { restarted.Run(ctx) })
		time.Sleep(time.Second)
		if got := restarted.now(t, b.Ticket.ID); got.State != login.Done || got.OpenID != "bob" {
			t.Errorf("after the restart: %+v", got)
		}
		stop()
		running.Wait()
	})
}

func FuzzSpoolLine(f *testing.F) {
	f.Add(login.SpoolLine(someClaim(1)))
	f.Add([]byte("00000000 {}\n"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		c, ok := login.ReadSpoolLine(line)
		if !ok {
			return
		}
		again, ok := login.ReadSpoolLine(login.SpoolLine(c))
		if !ok || !sameClaim(c, again) {
			t.Fatalf("%+v became %+v", c, again)
		}
	})
}
