package gateway

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/login"
)

// onlyTicketKey is the key of the one ticket that the server holds.
func onlyTicketKey(t *testing.T, rdb redis.UniversalClient) string {
	t.Helper()
	keys, err := rdb.Keys(t.Context(), "posthouse:login:t:*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("tickets %q, %v", keys, err)
	}
	return keys[0]
}

// A writer of Redis breaks a ticket while its page waits. The replica says that the
// code is over, serves the next one, and no label of a metric comes from Redis.
func TestLogin_TicketDamagedInRedis_ExpiresAndTheProcessLives(t *testing.T) {
	for name, field := range map[string][2]string{
		"account is no UTF-8":        {"acc", "\xff\xfe"},
		"account of 5000 bytes":      {"acc", strings.Repeat("a", 5000)},
		"account that is not known":  {"acc", "someone"},
		"state is no UTF-8":          {"st", "\xff"},
		"state that does not exist":  {"st", "winning"},
		"state of a kind":            {"st", "moved"},
		"secret is no UTF-8":         {"rh", "\xff\xff"},
		"end is no number":           {"exp", "soon"},
		"end is not a number at all": {"gone", "nan"},
		"end is infinite":            {"gone", "inf"},
		"type of the key":            {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := startRedis(t)
			r := redisReplica(t, server.addr(), nil)
			rdb, err := newRedis([]string{"redis://" + server.addr()}, redisFiles{}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer rdb.Close()
			p := r.page(t)
			q := p.qrcode()
			key := onlyTicketKey(t, rdb)
			if field[0] == "" {
				err = rdb.Set(t.Context(), key, "a string", 0).Err()
			} else {
				err = rdb.HSet(t.Context(), key, field[0], field[1]).Err()
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, o := r.scan(t, q, "ana"); o != login.OutcomeUnknown {
				t.Errorf("the scan of a damaged ticket: %s", o)
			}
			p.expectState(login.Expired)

			fresh := p.qrcode()
			if _, o := r.scan(t, fresh, "ana"); o != login.OutcomeClaimed {
				t.Errorf("the scan after it: %s", o)
			}
			p.expectState(login.Done)
			expect[string](p, "token")
		})
	}
}
