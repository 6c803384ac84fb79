package adapter_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
)

func TestAdminSessions_SaveAndHas_KeysAreNodes(t *testing.T) {
	addr, _ := testenv.Redis(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { rdb.Close() })
	store := adapter.AdminSessions{Redis: rdb}
	if err := store.Save(t.Context(), "b1f0"); err != nil {
		t.Fatal(err)
	}
	if value := rdb.Get(t.Context(), "socket.io-admin#b1f0").Val(); value != "1" {
		t.Errorf("value %q", value)
	}
	if life := rdb.TTL(t.Context(), "socket.io-admin#b1f0").Val(); life < 23*time.Hour || life > 24*time.Hour {
		t.Errorf("life %v", life)
	}
	for id, want := range map[string]bool{"b1f0": true, "other": false} {
		if known, err := store.Has(t.Context(), id); known != want || err != nil {
			t.Errorf("Has(%q) = %v, %v", id, known, err)
		}
	}
	own := adapter.AdminSessions{Redis: rdb, Prefix: "mine"}
	if known, err := own.Has(t.Context(), "b1f0"); known || err != nil {
		t.Errorf("another prefix knows the session: %v, %v", known, err)
	}
	rdb.Close()
	if _, err := store.Has(t.Context(), "b1f0"); err == nil {
		t.Error("no error without Redis")
	}
}
