package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"posthouse/internal/login"
)

// With every ticket one command a read (below), these are the commands a login costs.
func TestPollPlan_ReadsAreRareWhileMessagesArriveAndFrequentWhileTheyMayNot(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	for name, c := range map[string]struct {
		proof       func(now time.Time) time.Time // nil: not known
		least, most int                           // reads in a minute
	}{
		"proved":    {func(now time.Time) time.Time { return now.Add(-400 * time.Millisecond) }, 9, 11},
		"never":     {func(time.Time) time.Time { return time.Time{} }, 59, 61},
		"not known": {nil, 59, 61},
		"stopped":   {func(now time.Time) time.Time { return start.Add(30 * time.Second) }, 34, 37},
		"comes, goes": {func(now time.Time) time.Time {
			return now.Add(-time.Duration(now.UnixMilli()/250%2) * time.Second)
		}, 59, 121},
	} {
		t.Run(name, func(t *testing.T) {
			now, reads := start, 0
			p := pollPlan{now: func() time.Time { return now }}
			if c.proof != nil {
				p.lastProof = func() time.Time {
					if name == "stopped" && now.Before(start.Add(30*time.Second)) {
						return now
					}
					return c.proof(now)
				}
			}
			for ; now.Before(start.Add(time.Minute)); now = now.Add(pollTick) {
				if p.readDue(false) {
					reads++
				}
			}
			if reads < c.least || reads > c.most {
				t.Errorf("%d reads in a minute", reads)
			}
		})
	}
}

// A partition of the subscription alone: the first read comes as soon as a proof is late.
func TestPollPlan_ProofIsLate_ReadsAtOnce(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	last := now
	p := pollPlan{now: func() time.Time { return now }, lastProof: func() time.Time { return last }}
	p.readDue(false)
	for range 3 {
		now = now.Add(pollTick)
		last = now
		p.readDue(false)
	}
	for range 4 {
		if now = now.Add(pollTick); p.readDue(false) {
			if since := now.Sub(last); since > time.Second {
				t.Errorf("read after %v", since)
			}
			return
		}
	}
	t.Error("no read within a second")
}

// The subscription is made again right after a read: what was said in between is found
// by one more read, however soon messages are trusted.
func TestPollPlan_TrustComesBackRightAfterARead_ReadsOnceMore(t *testing.T) {
	for after := range 4 {
		now := time.Unix(1_700_000_000, 0)
		last := now
		p := pollPlan{now: func() time.Time { return now }, lastProof: func() time.Time { return last }}
		var back time.Time
		for n, left := 0, 4+after; n < 80; n++ {
			now = now.Add(pollTick)
			if n < 20 || !back.IsZero() {
				last = now
			}
			read := p.readDue(false)
			if !back.IsZero() && read {
				if now.Sub(back) > time.Second {
					t.Errorf("read %v after the subscription was back", now.Sub(back))
				}
				back = time.Time{}
				break
			}
			if n > 20 && back.IsZero() {
				if left--; left == 0 {
					back = now
				}
			}
		}
		if !back.IsZero() {
			t.Error("no read after the subscription was back")
		}
	}
}

// A subscription that was cut and made again between two proofs has lost messages too.
func TestPollPlan_SubscriptionIsCutShortly_ReadsWhenItIsProvedAgain(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	cuts, last := uint64(0), now
	p := pollPlan{now: func() time.Time { return now }, lastProof: func() time.Time { return last }, subscriptionsMade: func() uint64 { return cuts }}
	for n := range 20 { // in the middle between two reads
		now = now.Add(pollTick)
		if p.readDue(false) && n > 1 {
			t.Fatal("a read without a reason")
		}
		last = now
	}
	cuts++
	cut := now
	var reads []time.Duration // after the cut
	for n := range 16 {
		now = now.Add(pollTick)
		if n%2 == 1 {
			last = now // proved again, in time for the plan to notice no silence
		}
		if p.readDue(false) {
			reads = append(reads, now.Sub(cut))
		}
	}
	if len(reads) != 2 || reads[0] > pollTick || reads[1] < 2*pollTick || reads[1] > time.Second {
		t.Errorf("reads %v after the cut, want one at once and one when messages arrive again", reads)
	}
}

// deafRecipient is the recipient of a test: it hears nothing.
type deafRecipient string

func (n deafRecipient) id() string                                  { return string(n) }
func (deafRecipient) sendState(stateAnswer)                         {}
func (deafRecipient) sendResult(context.Context, login.Result) bool { return false }
func (deafRecipient) disconnect()                                   {}

// commands are all that the server has counted, those inside of scripts included.
func (s *redisServer) commands(t *testing.T) (calls int) {
	t.Helper()
	rdb, err := newRedis([]string{"redis://" + s.addr()}, redisFiles{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	info, err := rdb.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		var n int
		if _, rest, ok := strings.Cut(line, ":calls="); ok {
			fmt.Sscanf(rest, "%d", &n)
			calls += n
		}
	}
	return calls
}

func TestPoll_ManyWaitingTickets_OneCommandEach(t *testing.T) {
	const waiting, rounds = 1800, 5
	server := startRedis(t)
	r := redisReplica(t, server.addr(), nil)
	for n := range waiting {
		b := deafRecipient(fmt.Sprint("socket-", n))
		s, err := r.loginService.Start(t.Context(), login.StartRequest{Account: "default", SocketID: b.id()})
		if err != nil {
			t.Fatal(err)
		}
		r.bindTicket(t.Context(), s.Ticket, b, qrcodeAnswer{})
	}
	before := server.commands(t)
	for range rounds {
		r.pollTickets(t.Context())
	}
	each := float64(server.commands(t)-before) / waiting / rounds
	if each < 0.99 || each > 1.3 { // the replica's own round may fall among these
		t.Errorf("%.3f commands a ticket and read", each)
	}
	t.Logf("%.3f commands a ticket and read, %.3f a second while messages arrive", each, each/pollTrusted.Seconds())
}

// Every adapter proves that its messages arrive, so that reads are as rare with one as
// with another.
func TestPollPlan_EveryAdapter_TrustsItsMessages(t *testing.T) {
	server := startRedis(t)
	for _, kind := range []string{"redis", "sharded", "streams"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := redisReplicaOf(t, kind, server.addr(), nil)
			p := r.pollPlan()
			if p.lastProof == nil {
				t.Fatal("the adapter gives no proof")
			}
			tick := time.NewTicker(proofEvery / 10)
			defer tick.Stop()
			proofs := map[time.Time]struct{}{}
			trusted := false
			for range 80 { // fewer than the probes that every adapter has are apart
				p.readDue(false)
				proofs[p.lastProof()] = struct{}{}
				if trusted = trusted || !p.wasSuspect; trusted && len(proofs) > 3 {
					return
				}
				<-tick.C
			}
			t.Errorf("%d proofs, trusted: %v", len(proofs), trusted)
		})
	}
}

// Redis cuts every subscription again and again: hints are lost, and people wait no longer
// than docs/reliability.md §3 row F6 allows.
func TestLogin_SubscriptionsAreCut_TokensArriveInTime(t *testing.T) {
	for _, kind := range []string{"redis", "sharded", "streams"} {
		t.Run(kind, func(t *testing.T) { t.Parallel(); tokensArriveWhileSubscriptionsAreCut(t, kind) })
	}
}

func tokensArriveWhileSubscriptionsAreCut(t *testing.T, kind string) {
	server := startRedis(t)
	here, there := redisReplicaOf(t, kind, server.addr(), nil), redisReplicaOf(t, kind, server.addr(), nil)
	rdb, err := newRedis([]string{"redis://" + server.addr()}, redisFiles{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // ends with stop
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			rdb.ClientKillByFilter(ctx, "TYPE", "pubsub")
			<-tick.C
		}
	}()
	defer func() {
		stop()
		<-ended
	}()
	for n := range 6 {
		p := here.page(t)
		q := p.qrcode()
		began := time.Now()
		there.scan(t, q, fmt.Sprint("person-", n))
		p.expectState(login.Done)
		_, m := expect[string](p, "token")
		// The claim is found by a read that does not wait for the next one of a node
		// that hears its messages; how much faster is the machine's.
		if took := time.Since(began); took >= pollTrusted {
			t.Errorf("a token after %v", took)
		}
		m.Ack()
		p.Disconnected()
		p.Close()
	}
}
