package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/callback"
	"posthouse/internal/login"
	"posthouse/internal/wxsim"
	"posthouse/socketio"
)

// App is one replica of the gateway. New builds the whole graph, top to bottom,
// and binds the listen address; Run serves.
type App struct {
	cfg      Config
	log      *slog.Logger
	listener net.Listener
	replica  string // an opaque name, made anew at each start unless configured

	redis    redis.UniversalClient // nil without Redis
	router   *adapter.Router       // nil without Redis
	io       *socketio.Server
	accounts *accounts
	issuer   *login.Issuer
	keyShelf login.KeyShelf // of the development key; nil without Redis or with a key of its own
	service  *login.Service
	login    *loginNamespace
	webhook  *callback.Handler
	sim      *wxsim.Sim // nil unless the local WeChat runs in this process
	admit    *admission
	health   *health
	metrics  *metrics
	handler  http.Handler
	warnings []string // for the banner
}

// New checks the configuration, binds its address and builds everything. It
// serves nothing yet and starts no goroutine. Its errors name the setting and
// the fix.
func New(cfg Config) (*App, error) {
	if err := cfg.Normalize(); err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, log: slog.Default(), replica: cmp.Or(cfg.Replica, newReplicaName())}
	if err := a.build(); err != nil {
		a.release()
		return nil, err
	}
	return a, nil
}

func (a *App) build() (err error) {
	if a.listener, err = net.Listen("tcp", a.cfg.Addr); err != nil {
		return fmt.Errorf("gateway: listen: %w", err)
	}
	if len(a.cfg.RedisURL) > 0 {
		if a.redis, err = newRedis(a.cfg.RedisURL, a.log); err != nil {
			return err
		}
		if a.router, err = a.newRouter(); err != nil {
			return err
		}
	}
	a.metrics = newMetrics(func() float64 {
		if a.io == nil {
			return 0
		}
		return float64(a.io.Engine().ClientsCount())
	})
	if a.router != nil {
		a.metrics.registry.MustRegister(&clusterCollector{app: a})
	}
	a.health = &health{redis: a.redis, replica: a.replica}
	a.admit = newAdmission(&a.cfg, a.metrics)
	if a.cfg.AllowNull {
		const danger = "POSTHOUSE_ALLOW_NULL_ORIGIN is set: every site can use this gateway from a sandboxed frame"
		a.warnings = append(a.warnings, danger)
		a.log.Warn("gateway: " + danger)
	}
	if a.io, err = newSocketIO(&a.cfg, a.redis, a.router, a.admit, a.log); err != nil {
		return err
	}
	if err := a.buildLogin(); err != nil {
		return err
	}
	return a.buildRoutes()
}

func (a *App) buildLogin() (err error) {
	if err := a.useSimulator(); err != nil {
		return err
	}
	if a.accounts, err = newAccounts(&a.cfg, a.redis, a.metrics, a.log); err != nil {
		return err
	}
	a.metrics.knowAccounts(a.accounts.list)
	a.health.problems = a.accounts.problems
	if a.issuer, err = a.newIssuer(); err != nil {
		return err
	}
	var store login.Store = login.NewMemory()
	var spool *login.Spool
	if a.redis != nil {
		o := &login.RedisOptions{Accounts: a.accounts.names(), Counter: a.metrics, Logger: a.log}
		if store, err = login.NewRedis(a.redis, o); err != nil {
			return err
		}
		if spool, err = login.OpenSpool(a.spoolPath()); err != nil {
			return err
		}
		if n := spool.Damaged(); n > 0 {
			a.log.Warn("gateway: some claims of the spool could not be read", "file", a.spoolPath(), "lines", n)
		}
	}
	a.health.key = a.issuer.Ready
	a.login, err = newLoginNamespace(loginDeps{
		io: a.io, cfg: &a.cfg, accounts: a.accounts, admit: a.admit, metrics: a.metrics, log: a.log,
	}, login.ServiceOptions{
		Store: store, Issuer: a.issuer, QRCodes: a.accounts, UnionIDs: a.accounts, Spool: spool,
		Life: time.Duration(a.cfg.TicketTTL), TokenTTL: time.Duration(a.cfg.JWTTTL),
		Counter: a.metrics, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.service = a.login.service
	a.webhook, err = newWebhook(&a.cfg, a.accounts, a.service, store, a.admit, a.metrics, a.log)
	return err
}

func (a *App) spoolPath() string {
	if a.cfg.Spool != "" {
		return a.cfg.Spool
	}
	_, port, _ := net.SplitHostPort(a.listener.Addr().String())
	return filepath.Join(os.TempDir(), "posthouse-"+port+".spool")
}

// localURL is where this process reaches itself.
func (a *App) localURL() string {
	return "http://127.0.0.1:" + strconv.Itoa(a.listener.Addr().(*net.TCPAddr).Port)
}

// Handler returns the whole application, for tests and for embedding.
func (a *App) Handler() http.Handler { return a.handler }

// Addr is the bound listen address.
func (a *App) Addr() net.Addr { return a.listener.Addr() }

// release frees what New bound, for apps that never ran.
func (a *App) release() {
	if a.listener != nil {
		a.listener.Close()
	}
	if a.sim != nil {
		a.sim.Close()
	}
	if a.redis != nil {
		if err := a.redis.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			a.log.Warn("gateway: close redis", "error", err)
		}
	}
}
