package gateway

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/callback"
	"posthouse/internal/login"
	"posthouse/internal/oidc"
	"posthouse/internal/wxsim"
	"posthouse/socketio"
	"posthouse/socketio/admin"
	"posthouse/socketio/api"
)

// App is one replica of the gateway. New builds the whole graph, top to bottom,
// and binds the listen address; Run serves.
type App struct {
	config      Config
	log         *slog.Logger
	listener    net.Listener
	inner       net.Listener      // plain HTTP for the simulator and other replicas; nil: listener serves them
	certificate certificateSource // nil: the main address speaks plain HTTP
	replicaName string            // an opaque name, made anew at each start unless configured

	redisClient    redis.UniversalClient // nil without Redis
	relay          *adapter.Relay        // nil without Redis
	ioServer       *socketio.Server
	accounts       *accounts
	issuer         *login.Issuer
	namespaces     *namespaces  // nil: none are configured
	apiHandler     http.Handler // nil: the API is off
	api            atomic.Pointer[api.Handler]
	admin          *admin.Admin   // nil: the Admin UI is off
	spool          *login.Spool   // nil without Redis
	keyShelf       login.KeyShelf // of the development key; nil without Redis or with a key of its own
	loginService   *login.Service
	provider       *oidc.Provider // nil: no clients are configured
	compat         *compatServer  // nil: off
	loginHook      *loginHook     // nil: off
	loginNamespace *loginNamespace
	webhookHandler atomic.Pointer[callback.Handler]
	loginStore     loginStore
	pages          *pages
	simulator      *wxsim.Sim // nil unless the local WeChat runs in this process
	admission      *admission
	health         *healthChecks
	metrics        *metrics
	traces         *traces // nil: off
	httpHandler    http.Handler
	bannerWarnings []string  // for the banner
	settings       *Settings // in force, for reloads; owned by New, then by watchSettings
	settingsPrint  string    // of the files of settings
	hangup         chan os.Signal
}

// New checks the configuration, binds its address and builds everything. It
// serves nothing yet and starts no goroutine. Its errors name the setting and
// the fix.
func New(cfg Config) (*App, error) {
	if err := cfg.Normalize(); err != nil {
		return nil, err
	}
	a := &App{config: cfg, log: slog.Default(), replicaName: cmp.Or(cfg.Replica, newReplicaName())}
	if cfg.Reread != nil { // before Run: what changes meanwhile is a change
		a.settings = cfg.Reread()
		a.settingsPrint = a.settings.filesPrint()
	}
	if err := a.buildParts(); err != nil {
		a.releaseBound()
		return nil, err
	}
	if cfg.Reread != nil { // before Run: the signal would end a process that starts
		a.hangup = make(chan os.Signal, 1)
		signal.Notify(a.hangup, syscall.SIGHUP)
	}
	return a, nil
}

func (a *App) buildParts() (err error) {
	if err := a.listenAll(); err != nil {
		return err
	}
	if len(a.config.RedisURL) > 0 {
		if a.redisClient, err = newRedis(a.config.RedisURL, a.config.redisFiles(), a.log); err != nil {
			return err
		}
		if a.relay, err = a.newRelay(); err != nil {
			return err
		}
	}
	a.metrics = newMetrics(func() float64 {
		if a.ioServer == nil {
			return 0
		}
		return float64(a.ioServer.Engine().ClientsCount())
	})
	a.metrics.knowNamespaces(a.config.Namespaces)
	a.metrics.limitsPage = a.serveLimits
	a.metrics.registry.MustRegister(&socketioCollector{app: a})
	if a.relay != nil {
		a.metrics.registry.MustRegister(&clusterCollector{app: a})
	}
	if err := a.buildTraces(); err != nil {
		return err
	}
	a.health = &healthChecks{replicaName: a.replicaName}
	if a.redisClient != nil {
		a.health.redisWatch = newRedisWatch(a.redisClient, a.config.RedisURL[0], a.log)
	}
	if acme, ok := a.certificate.(*acmeCertificates); ok {
		acme.redisClient = a.redisClient
		a.health.acmeProblems = acme.listProblems
	}
	a.admission = newAdmission(&a.config, a.metrics)
	if a.config.AllowNull {
		const danger = "POSTHOUSE_ALLOW_NULL_ORIGIN is set: every site can use this gateway from a sandboxed frame"
		a.bannerWarnings = append(a.bannerWarnings, danger)
		a.log.Warn("gateway: " + danger)
	}
	if a.ioServer, err = newSocketIO(&a.config, a.redisClient, a.relay, a.admission, a.traces, a.log); err != nil {
		return err
	}
	if err := a.buildAdmin(); err != nil {
		return err
	}
	if err := a.buildLogin(); err != nil {
		return err
	}
	if err := a.buildNamespaces(); err != nil {
		return err
	}
	if err := a.buildAPI(); err != nil {
		return err
	}
	return a.buildRoutes()
}

func (a *App) buildLogin() (err error) {
	if err := a.useSimulator(); err != nil {
		return err
	}
	if a.accounts, err = newAccounts(&a.config, a.redisClient, a.metrics, a.log); err != nil {
		return err
	}
	a.metrics.knowAccounts(a.accounts.inOrder)
	a.health.accountProblems = a.accounts.listProblems
	if a.issuer, err = a.newIssuer(); err != nil {
		return err
	}
	var store loginStore = login.NewMemory()
	var spool *login.Spool
	if a.redisClient != nil {
		o := &login.RedisOptions{Accounts: a.accounts.accountNames(), Counter: a.metrics, Logger: a.log}
		if store, err = login.NewRedis(a.redisClient, o); err != nil {
			return err
		}
		if spool, err = login.OpenSpool(a.spoolPath()); err != nil {
			return err
		}
		a.spool = spool
		if n := spool.Damaged(); n > 0 {
			a.log.Warn("gateway: some claims of the spool could not be read", "file", a.spoolPath(), "lines", n)
		}
	}
	a.health.checkKey = a.issuer.Ready
	revocations, err := a.buildProvider()
	if err != nil {
		return err
	}
	observer, err := a.buildLoginHook()
	if err != nil {
		return err
	}
	a.loginNamespace, err = newLoginNamespace(loginDeps{
		ioServer: a.ioServer, config: &a.config, accounts: a.accounts, admission: a.admission, metrics: a.metrics, traces: a.traces, log: a.log,
	}, login.ServiceOptions{
		Store: store, Issuer: a.issuer, QRCodes: a.accounts, UnionIDs: a.accounts, Spool: spool,
		Life: time.Duration(a.config.TicketTTL), TokenTTL: time.Duration(a.config.JWTTTL),
		Revocations: revocations, Observer: observer, Traced: a.traces.observeLogin(), Counter: a.metrics, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.loginService = a.loginNamespace.loginService
	a.loginStore = store
	h, err := newWebhook(&a.config, a.accounts, a.traces.login(a.loginService), store, a.compat, a.admission, a.metrics, a.log)
	a.webhookHandler.Store(h)
	return err
}

func (a *App) spoolPath() string {
	if a.config.Spool != "" {
		return a.config.Spool
	}
	port := strconv.Itoa(tcpAddr(a.listener).Port)
	return filepath.Join(os.TempDir(), "posthouse-"+port+".spool")
}

// localURL is where this process reaches itself.
func (a *App) localURL() string {
	return "http://127.0.0.1:" + strconv.Itoa(tcpAddr(a.plainListener()).Port)
}

// Handler returns the whole application, for tests and for embedding.
func (a *App) Handler() http.Handler { return a.httpHandler }

// Addr is the bound listen address.
func (a *App) Addr() net.Addr { return a.listener.Addr() }

// releaseBound frees what New bound, for apps that never ran.
func (a *App) releaseBound() {
	a.closeAdmin()
	for _, l := range []net.Listener{a.listener, a.inner} {
		if l != nil {
			l.Close()
		}
	}
	if a.simulator != nil {
		a.simulator.Close()
	}
	if a.redisClient != nil {
		if err := a.redisClient.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			a.log.Warn("gateway: close redis", "error", err)
		}
	}
}
