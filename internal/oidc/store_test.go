package oidc_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/oidc"
	"posthouse/internal/testenv"
)

func eachStore(t *testing.T, f func(t *testing.T, s oidc.Store)) {
	t.Run("memory", func(t *testing.T) { f(t, oidc.NewMemory()) })
	t.Run("redis", func(t *testing.T) {
		addr, _ := testenv.Redis(t)
		rdb := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
		t.Cleanup(func() { rdb.Close() })
		f(t, oidc.NewRedis(rdb))
	})
}

func TestStore_SaveIsACompareAndSwap(t *testing.T) {
	eachStore(t, func(t *testing.T, s oidc.Store) {
		ctx := t.Context()
		if e, err := s.Load(ctx, "g:a"); err != nil || e.Version != 0 || time.Since(e.Now).Abs() > time.Minute {
			t.Fatalf("nothing is there: %+v %v", e, err)
		}
		if err := s.Save(ctx, "g:a", []byte("one\x00\xff"), 1, time.Minute); !errors.Is(err, oidc.ErrConflict) {
			t.Errorf("version 1 of nothing: %v", err)
		}
		if err := s.Save(ctx, "g:a", []byte("one\x00\xff"), 0, time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := s.Save(ctx, "g:a", []byte("other"), 0, time.Minute); !errors.Is(err, oidc.ErrConflict) {
			t.Errorf("a second first: %v", err)
		}
		e, err := s.Load(ctx, "g:a")
		if err != nil || string(e.Data) != "one\x00\xff" || e.Version != 1 {
			t.Fatalf("loaded %+v %v", e, err)
		}
		if err := s.Save(ctx, "g:a", []byte("two"), 1, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		testenv.Until(t, 5*time.Second, "the record ends", func() bool {
			e, err := s.Load(ctx, "g:a")
			return err == nil && e.Version == 0
		})
		if err := s.Save(ctx, "g:a", []byte("new"), 0, time.Minute); err != nil {
			t.Errorf("after its end: %v", err)
		}
		if err := s.Delete(ctx, "g:a"); err != nil {
			t.Fatal(err)
		}
		if e, err := s.Load(ctx, "g:a"); err != nil || e.Version != 0 {
			t.Errorf("deleted: %+v %v", e, err)
		}
	})
}

func TestStore_MarksKeepTheLatest(t *testing.T) {
	eachStore(t, func(t *testing.T, s oidc.Store) {
		ctx := t.Context()
		early, late := time.UnixMilli(1_700_000_000_123), time.UnixMilli(1_700_000_100_456)
		for _, at := range []time.Time{late, early} {
			if err := s.Mark(ctx, "p:a", at, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Mark(ctx, "p:now", time.Time{}, time.Minute); err != nil {
			t.Fatal(err)
		}
		marks, err := s.Marks(ctx, "p:a", "p:none", "p:now")
		if err != nil || !marks[0].Equal(late) || !marks[1].IsZero() || time.Since(marks[2]).Abs() > time.Minute {
			t.Errorf("marks %v %v", marks, err)
		}
	})
}

func TestKeys_RefuseWhatIsWeakOrOfAnotherKind(t *testing.T) {
	for name, text := range map[string]string{
		"empty":   "",
		"junk":    "junk",
		"public":  "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
		"ed25519": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----",
		"rsa1024": weakRSA,
	} {
		if keys, err := oidc.ParseKeys(text); err == nil {
			t.Errorf("%s: %v", name, keys)
		}
	}
	keys := testKeys(t)
	if len(keys) != 1 || keys[0].Algorithm() != "RS256" {
		t.Errorf("keys %v", keys)
	}
}

const weakRSA = `-----BEGIN PRIVATE KEY-----
MIICdQIBADANBgkqhkiG9w0BAQEFAASCAl8wggJbAgEAAoGBAJZWBY4ZiW5OuJU7
ktS45Z4LmMh/3vnHuXADPrZlot6sUakA9Zz5JT43xgH+MG0XtEvM4M65lT6wv+Ku
fAmCrDjnTINifS1BmKwbRhd2ctUulnlxuwQGisYJpxAI0755h4yMcfRmjpVL4aXF
T1f0ivod2y/89wcJoF0HYTtQrPWPAgMBAAECgYBmumtbWanmnZZWK3o/MAV/xO7m
+zHzvv3BRAZjfvoXbOr0MHqlhD5l0JjWncqbkVobfemUeY45Y3ALxy1tFkT2JTZK
WXNK3Nga4wO7i9HnOV7ELfnHeAIFRkTp5U+qVURDSKEithzcpFylQGRLuA3uusnM
+HRg7koscWSnr8XuOQJBAMgLgbVyPWlo9I7YYumh8bzdQBkn3Z17KE5O0bolmKPK
WMST9rApv3Na4ECShcuIA2FWzG77V8Q2DXDviQWm/+UCQQDAYwoDE9GHgp/QKjyJ
IFRsNQuExlDDy6VYL52X+TN/ZPLQV549lDzSHGbnvlLgKEg1euJArukT7WV9aUUb
OABjAkAMBf0GzdX5FvDUARd42V3xLw8iM+4y/+r9QemDGa1h8tCBCC+kiO3T3htq
ZiQahpNFb3UcGok85s7KAeunZlEtAkBNFmIooYRPnBOVQZdICuBJC2g2J5CtI6h5
EXtALeZooXZ57OHHIuLL/f1t1mE22G02oKqP6IYUKgeEnO3H3kSpAkBobQSWwoiz
s/ywAyii7m/CZ4H32zChSYMXonwPaf/XxloNBr3bgdIA7JZfou3cS0muy7/hkiHZ
qeut/Rhh8qvj
-----END PRIVATE KEY-----`
