package admin_test

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"

	"posthouse/socketio"
	"posthouse/socketio/admin"
)

func ExampleInstrument() {
	io := socketio.NewServer(nil)
	a, err := admin.Instrument(io, &admin.Options{
		Username:     "admin",
		PasswordHash: "$2b$10$heqvAkYMez.Va6Et2uXInOnkCT6/uQj1brkrbyG3LpopDklcq7ZOS", // posthouse admin hash
		Mode:         admin.Production,                                               // statistics only
		ReadOnly:     true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	fmt.Println(a.Stats().Administrators)
	// Output: 0
}

func ExampleOptions() {
	io := socketio.NewServer(nil)
	a, err := admin.Instrument(io, &admin.Options{
		Namespace:         "/ops",
		NoAuth:            true, // for development only
		Mode:              admin.Mode(cmp.Or(os.Getenv("MODE"), "development")),
		ServerID:          "eu-1",
		PrivateNamespaces: []string{"/login"},
		PrivateEvents:     []string{"auth", "pay"},
		Budget:            200,  // messages a second
		MaxSockets:        5000, // above that statistics only
		Logger:            slog.New(slog.DiscardHandler),
	})
	fmt.Println(err)
	defer a.Close()
	// Output: <nil>
}

func ExampleSessionStore() {
	// adapter.AdminSessions{Redis: rdb} is a store that all nodes share.
	var shared admin.SessionStore
	_ = admin.Options{PasswordHash: "$2b$10$…", Store: shared}
	fmt.Println(admin.SessionLife)
	// Output: 24h0m0s
}
