package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"

	"posthouse/adapter"
	"posthouse/internal/adminui"
	"posthouse/socketio/admin"
)

// adminPage is where the page of the Admin UI is served.
const adminPage = "/admin/"

func (c *Config) normalizeAdmin() error {
	var errs configErrors
	errs.add(readSecret(&c.AdminPasswordHash, c.AdminPasswordHashFile, "POSTHOUSE_ADMIN_PASSWORD_HASH_FILE"))
	cleanValues(&c.AdminPasswordHash)
	cleanValues(&c.AdminUser, &c.AdminNamespace, &c.AdminMode)
	c.AdminUser = cmp.Or(c.AdminUser, "admin")
	c.AdminMode = cmp.Or(c.AdminMode, c.Env, string(admin.Development))
	c.AdminNamespace = "/" + strings.TrimPrefix(cmp.Or(c.AdminNamespace, "/admin"), "/")
	if c.AdminMode != string(admin.Development) && c.AdminMode != string(admin.Production) {
		errs.add(keyError("POSTHOUSE_ADMIN_MODE", c.AdminMode, "use development or production"))
	}
	taken := slices.ContainsFunc(c.Namespaces, func(n Namespace) bool { return n.Name == c.AdminNamespace })
	if taken || c.AdminNamespace == "/" || c.AdminNamespace == "/login" {
		errs.add(keyError("POSTHOUSE_ADMIN_NAMESPACE", c.AdminNamespace, "clients use it: choose a name of its own, such as /admin"))
	}
	if c.AdminPasswordHash != "" {
		if _, err := bcrypt.Cost([]byte(c.AdminPasswordHash.Reveal())); err != nil {
			errs.add(keyError("POSTHOUSE_ADMIN_PASSWORD_HASH", "…", "posthouse admin hash makes one, which begins with $2; quote it where $ is special"))
		}
	}
	return errs.joinErrors()
}

// buildAdmin instruments the server (docs/admin.md); it does nothing without a hash. It
// comes before the configured namespaces, whose patterns may fit the name.
func (a *App) buildAdmin() (err error) {
	if a.config.AdminPasswordHash == "" {
		return nil
	}
	o := &admin.Options{
		Namespace: a.config.AdminNamespace, Username: a.config.AdminUser, PasswordHash: a.config.AdminPasswordHash.Reveal(),
		ReadOnly: a.config.AdminReadonly, ServerID: a.replicaName, Mode: admin.Mode(a.config.AdminMode),
		// Tokens, codes and resume secrets are arguments of its events.
		PrivateNamespaces: []string{"/login"}, Logger: a.log,
	}
	if a.redisClient != nil {
		o.Store = adapter.AdminSessions{Redis: a.redisClient}
	}
	if a.admin, err = admin.Instrument(a.ioServer, o); err != nil {
		return err
	}
	a.metrics.registry.MustRegister(adminCollector{a.admin})
	return nil
}

func (a *App) closeAdmin() {
	if a.admin != nil {
		_ = a.admin.Close() // it has no error to tell
	}
}

// registerAdminPage serves the page where the Admin UI is on.
func (a *App) registerAdminPage(e *echo.Echo) error {
	if a.admin == nil {
		return nil
	}
	page, err := adminui.Handler(adminPage, adminui.Preset{Path: a.config.SocketIOPath, Namespace: a.config.AdminNamespace})
	if err != nil {
		return err
	}
	methods := []string{http.MethodGet, http.MethodHead}
	e.Match(methods, strings.TrimSuffix(adminPage, "/"), func(c echo.Context) error {
		return c.Redirect(http.StatusFound, adminPage)
	})
	e.Match(methods, adminPage+"*", mountHandler(page))
	return nil
}

// adminCollector shows the counters of the Admin UI.
type adminCollector struct{ admin *admin.Admin }

var (
	adminConnected = prometheus.NewDesc("posthouse_admin_connected", "Administrators connected to this replica.", nil, nil)
	adminMessages  = prometheus.NewDesc("posthouse_admin_messages_total", "Messages about sockets, rooms and events for administrators.", []string{"result"}, nil)
	adminRefused   = prometheus.NewDesc("posthouse_admin_refused_total", "Refused log-ins of administrators.", nil, nil)
	adminCommands  = prometheus.NewDesc("posthouse_admin_commands_total", "Commands of administrators that were carried out.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c adminCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{adminConnected, adminMessages, adminRefused, adminCommands} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c adminCollector) Collect(to chan<- prometheus.Metric) {
	s := c.admin.Stats()
	counter := func(d *prometheus.Desc, value uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	to <- prometheus.MustNewConstMetric(adminConnected, prometheus.GaugeValue, float64(s.Administrators))
	counter(adminMessages, s.Sent, "sent")
	counter(adminMessages, s.Dropped, "dropped")
	counter(adminRefused, s.Refused)
	counter(adminCommands, s.Commands)
}
