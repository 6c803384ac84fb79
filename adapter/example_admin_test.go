package adapter_test

import (
	"os"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/socketio"
	"posthouse/socketio/admin"
)

func ExampleAdminSessions() {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379"})
	io := socketio.NewServer(&socketio.Options{NewAdapter: adapter.Redis(rdb, nil)})
	a, err := admin.Instrument(io, &admin.Options{
		PasswordHash: os.Getenv("ADMIN_PASSWORD_HASH"),
		Store:        adapter.AdminSessions{Redis: rdb}, // a log-in counts on every node
	})
	if err != nil {
		panic(err)
	}
	defer a.Close()
}
