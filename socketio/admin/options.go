package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Mode says how much administrators see.
type Mode string

// The modes, with Node's names.
const (
	Development Mode = "development" // sockets, rooms and events
	Production  Mode = "production"  // statistics only
)

// Options configures Instrument. Either PasswordHash or NoAuth must be set; the zero
// value of every other field means its default.
type Options struct {
	// Namespace is where administrators connect, default "/admin". "/" is refused: every
	// client would get what is meant for administrators.
	Namespace string
	// Username and PasswordHash are what an administrator logs in with. The hash is
	// bcrypt's ($2a$, $2b$ or $2y$). Username defaults to "admin".
	Username     string
	PasswordHash string
	// NoAuth lets every client in as an administrator. It is refused in production.
	NoAuth bool
	// ReadOnly refuses all commands.
	ReadOnly bool
	// ServerID names this server in the page, default host#pid. Servers with the same
	// id overwrite each other there.
	ServerID string
	// Store keeps session ids, so that a reloaded page needs no password. Default: in
	// memory. adapter.AdminSessions shares them with all nodes.
	Store SessionStore
	// Mode is Development unless set.
	Mode Mode
	// PrivateNamespaces are shown with the names of events only: without arguments and
	// without data of sockets. Of the commands they take only the disconnection, since a
	// socket that is put into another one's room gets what is sent to that.
	PrivateNamespaces []string
	// PrivateEvents are names of events that are shown without arguments in every
	// namespace. Nil means "auth", with which package auth renews tokens.
	PrivateEvents []string
	// Budget is how many messages about sockets, rooms and events this node sends to
	// administrators in a second, default 500. A fifth of it is kept for sockets and
	// rooms. What is above is dropped and counted in Stats.
	Budget int
	// MaxSockets is the number of sockets above which a page gets statistics only, as in
	// production, default 1000; negative: no limit.
	MaxSockets int
	// Logger gets refused log-ins and every command. Default slog.Default().
	Logger *slog.Logger
}

func (o *Options) withDefaults() (Options, error) {
	var v Options
	if o != nil {
		v = *o
	}
	orDefault(&v.Namespace, "/admin")
	orDefault(&v.Username, "admin")
	orDefault(&v.Mode, Development)
	orDefault(&v.Budget, 500)
	orDefault(&v.MaxSockets, 1000)
	orDefault(&v.Logger, slog.Default())
	if !strings.HasPrefix(v.Namespace, "/") {
		v.Namespace = "/" + v.Namespace
	}
	if v.PrivateEvents == nil {
		v.PrivateEvents = []string{"auth"}
	}
	if v.ServerID == "" {
		v.ServerID = fmt.Sprintf("%s#%d", hostname(), os.Getpid())
	}
	if v.Store == nil {
		v.Store = newMemoryStore()
	}
	return v, v.check()
}

func (o *Options) check() error {
	switch {
	case o.Namespace == "/":
		return errors.New(`socketio/admin: Options.Namespace = "/": every client would get the traffic of administrators; use another one, such as /admin`)
	case o.Mode != Development && o.Mode != Production:
		return fmt.Errorf("socketio/admin: Options.Mode = %q: use %q or %q", o.Mode, Development, Production)
	case o.NoAuth && o.PasswordHash != "":
		return errors.New("socketio/admin: Options.NoAuth is set beside PasswordHash: leave one of them out")
	case o.NoAuth && o.Mode == Production:
		return errors.New("socketio/admin: Options.NoAuth is for development: set PasswordHash in production")
	case o.NoAuth:
		return nil
	case o.PasswordHash == "":
		return errors.New("socketio/admin: set Options.PasswordHash, or NoAuth to let every client in")
	}
	if _, err := bcrypt.Cost([]byte(o.PasswordHash)); err != nil {
		return errors.New("socketio/admin: Options.PasswordHash is not a bcrypt hash; it begins with $2a$, $2b$ or $2y$")
	}
	return nil
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}
