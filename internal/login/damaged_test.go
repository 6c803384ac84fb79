package login_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"posthouse/internal/login"
)

// damagedFixture is a rig whose store reports damage to its ledger.
func damagedFixture(t *testing.T) (*rig, *fixture) {
	t.Helper()
	s := redisFixture(t, redisClient(t, []string{single(t)}, false))
	r := newRig(t, s, nil)
	store, err := login.NewRedis(s.rdb, &login.RedisOptions{Prefix: s.prefix, Accounts: []string{"main"}, Counter: r.ledger})
	if err != nil {
		t.Fatal(err)
	}
	r.store.Store = store
	return r, s
}

// key is the key of a kind that the fixture has exactly one of.
func (s *fixture) key(t *testing.T, kind string) string {
	t.Helper()
	keys, err := s.rdb.Keys(t.Context(), s.prefix+kind+":*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("%s: %q, %v", kind, keys, err)
	}
	return keys[0]
}

func TestRedis_FieldThatNoReplicaWrote_IsDamagedAndUnknown(t *testing.T) {
	long := strings.Repeat("a", 5000)
	for name, c := range map[string]struct{ field, value, reported string }{
		"account, no UTF-8":      {"acc", "\xff", "acc"},
		"account, long":          {"acc", long, "acc"},
		"account, another":       {"acc", "other", "acc"},
		"appid, a line break":    {"app", "wx\n1", "app"},
		"WeChat's ticket, long":  {"wx", long, "wx"},
		"state, unknown":         {"st", "winning", "st"},
		"socket, no UTF-8":       {"sid", "\xc3\x28", "sid"},
		"openid, none":           {"oid", "", "oid"},
		"openid, a line break":   {"oid", "a\nb", "oid"},
		"unionid, long":          {"uid", long, "uid"},
		"jti, none":              {"jti", "", "oid"},
		"jti, no UTF-8":          {"jti", "\xff", "jti"},
		"issued, no number":      {"iat", "soon", "iat"},
		"issued, below 1970":     {"iat", "-5", "iat"},
		"end, far":               {"exp", "253402300799999", "exp"},
		"end, beyond all":        {"exp", "99999999999999999999", "exp"},
		"agent, a control":       {"ag", "a\x1bb", "ag"},
		"network, no UTF-8":      {"net", "\xff", "net"},
		"number, three digits":   {"num", "123", "num"},
		"delivered, a word":      {"del", "yes", "del"},
		"revoked, a word":        {"rev", "no", "rev"},
		"exchanged, no number":   {"xat", "x", "xat"},
		"resume secret, no hash": {"rh", "\x00", "rh"},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := damagedFixture(t)
			a := r.start(t, login.StartRequest{})
			r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
			if err := s.rdb.HSet(t.Context(), s.key(t, "t"), c.field, c.value).Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Ticket(t.Context(), a.Ticket.ID); !errors.Is(err, login.ErrDamaged) || !errors.Is(err, login.ErrUnauthorized) {
				t.Errorf("error %v", err)
			}
			if got, err := r.Tickets(t.Context(), []string{a.Ticket.ID}); err != nil || len(got) != 0 {
				t.Errorf("tickets %+v, %v", got, err)
			}
			if n := r.ledger.count("damaged " + c.reported); n == 0 {
				t.Errorf("not counted as %s: %v", c.reported, r.ledger.counts)
			}
		})
	}
}

// A reason that a newer version writes is no damage, and no new label either.
func TestRedis_ReasonOfAnotherVersion_ReadsOther(t *testing.T) {
	r, s := damagedFixture(t)
	a := r.start(t, login.StartRequest{})
	if err := s.rdb.HSet(t.Context(), s.key(t, "t"), "why", "\xff").Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Ticket(t.Context(), a.Ticket.ID); err != nil || got.Reason != "other" {
		t.Errorf("reason %q, %v", got.Reason, err)
	}
}

// A broken ticket must not look like a store that is away: its claim would be spooled,
// and the spool would wait for it before every later claim.
func TestClaim_DamagedTicket_DoesNotBlockTheSpool(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, s *fixture){
		"end is no number": func(t *testing.T, s *fixture) { s.rdb.HSet(t.Context(), s.key(t, "t"), "gone", "x") },
		"end is infinite":  func(t *testing.T, s *fixture) { s.rdb.HSet(t.Context(), s.key(t, "t"), "exp", "inf") },
		"ticket is a list": func(t *testing.T, s *fixture) {
			key := s.key(t, "t")
			s.rdb.Del(t.Context(), key)
			s.rdb.RPush(t.Context(), key, "x")
		},
		"index is a list": func(t *testing.T, s *fixture) {
			key := s.key(t, "w")
			s.rdb.Del(t.Context(), key, s.key(t, "t"))
			s.rdb.RPush(t.Context(), key, "x")
		},
		"index leads to bytes": func(t *testing.T, s *fixture) {
			s.rdb.Del(t.Context(), s.key(t, "t"))
			s.rdb.Set(t.Context(), s.key(t, "w"), "\xff\xfe", 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := damagedFixture(t)
			spool, err := login.OpenSpool(t.TempDir() + "/claims")
			if err != nil {
				t.Fatal(err)
			}
			defer spool.Close()
			r = newRigOn(t, r, func(o *login.ServiceOptions) { o.Spool = spool })
			a := r.start(t, login.StartRequest{})
			damage(t, s)
			if _, o, err := r.Claim(t.Context(), scan(a.Ticket, "ana")); err != nil || o != login.OutcomeUnknown && o != login.OutcomeExpired {
				t.Errorf("claim: %s, %v", o, err)
			}
			if n := spool.Len(); n != 0 {
				t.Errorf("%d claims wait", n)
			}
		})
	}
}

// newRigOn is a rig on the store and ledger of another one.
func newRigOn(t *testing.T, r *rig, change func(*login.ServiceOptions)) *rig {
	t.Helper()
	return newRig(t, &fixture{Store: r.store}, func(o *login.ServiceOptions) {
		o.Counter, o.Notifier = r.ledger, r.ledger
		change(o)
	})
}

// A person's own index of another type is made anew: this login and the next work.
func TestClaim_PersonsIndexOfAnotherType_IsMadeAnew(t *testing.T) {
	for _, kind := range []string{"p", "j"} {
		t.Run(kind, func(t *testing.T) {
			r, s := damagedFixture(t)
			a := r.start(t, login.StartRequest{})
			r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
			key := s.key(t, kind)
			s.rdb.Del(t.Context(), key)
			s.rdb.HSet(t.Context(), key, "a", "b")
			b := r.start(t, login.StartRequest{})
			r.mustClaim(t, scan(b.Ticket, "ana"), login.OutcomeClaimed)
			if _, o, err := r.Deny(t.Context(), "wx-main", "ana", time.Time{}); err != nil || o != login.OutcomeDenied {
				t.Errorf("deny: %s, %v", o, err)
			}
		})
	}
}

func TestRevoked_BytesThatAreNoJTI_AreLeftOut(t *testing.T) {
	r, s := damagedFixture(t)
	a := r.start(t, login.StartRequest{})
	claimed := r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
	if _, _, err := r.Deny(t.Context(), "wx-main", "ana", time.Time{}); err != nil {
		t.Fatal(err)
	}
	far := float64(time.Now().Add(time.Hour).UnixMilli())
	for _, member := range []string{"\xff\xfe", strings.Repeat("j", 5000), "a b"} {
		if err := s.rdb.ZAdd(t.Context(), s.prefix+"revoked", zOf(far, member)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Revoked(t.Context(), 100)
	if err != nil || !slices.Equal(got, []string{claimed.JTI}) {
		t.Errorf("revoked %q, %v", got, err)
	}
}

func TestOnce_ReplyThatNoReplicaWrote_IsAnError(t *testing.T) {
	r, s := damagedFixture(t)
	if err := r.store.Finish(t.Context(), "event", []byte("x"), time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, reply := range []string{"\xff", strings.Repeat("r", 200<<10)} {
		if err := s.rdb.HSet(t.Context(), s.key(t, "e"), "reply", reply).Err(); err != nil {
			t.Fatal(err)
		}
		if _, got, err := r.store.Once(t.Context(), "event", time.Minute); !errors.Is(err, login.ErrDamaged) {
			t.Errorf("reply %q, %v", got, err)
		}
	}
}
