package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

// buildRoutes puts everything on one Echo application (docs/login.md §5).
func (a *App) buildRoutes() error {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Logger.SetOutput(io.Discard)
	e.HTTPErrorHandler = a.answerError
	e.IPExtractor = func(r *http.Request) string { return a.admission.clientIP(r).String() }
	e.Use(a.recoverPanics)

	a.health.register(e)
	pages, err := a.registerPages(e)
	if err != nil {
		return err
	}
	a.pages = pages
	a.registerOpenID(e, pages)
	a.registerWebAuth(e, pages)
	e.GET("/.well-known/jwks.json", func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(jwksAge.Seconds())))
		c.Response().Header().Set("Access-Control-Allow-Origin", "*") // public keys
		jwks, err := a.publicJWKS(c.Request().Context())
		if err != nil {
			a.log.Warn("gateway: the JWKS lacks the keys of the OpenID Provider; they cannot be fetched", "error", err)
			c.Response().Header().Set("Cache-Control", "no-store")
			jwks = a.issuer.JWKS()
		}
		return c.Blob(http.StatusOK, "application/json", jwks)
	})
	webhook := a.traces.middleware(func(c echo.Context) error {
		// The answer is always written there: an error that reached Echo would become JSON.
		a.webhookHandler.Load().Account(c.Param("account")).ServeHTTP(c.Response(), c.Request())
		return nil
	})
	for _, path := range []string{"/callback/wechat", "/callback/wechat/:account"} {
		e.GET(path, webhook)
		e.POST(path, webhook)
	}
	a.loginNamespace.register(e)
	if a.compat != nil { // before the API, which has all of /api/
		e.Any("/api/wechat/user", mountHandler(a.compat))
	}
	if a.apiHandler != nil && a.config.APIAddr == "" {
		e.GET("/api", func(c echo.Context) error { return c.Redirect(http.StatusMovedPermanently, "/api/") })
		e.Any("/api/*", mountHandler(a.apiHandler))
	}
	if err := a.registerAdminPage(e); err != nil {
		return err
	}
	if sim := a.simulatorHandler(); sim != nil {
		e.Any("/sim", mountHandler(sim))
		e.Any("/sim/*", mountHandler(sim))
	}
	a.registerDoctor(e)
	// Last and least: /ws/signup wins where the path is /ws.
	var server http.Handler = a.ioServer
	if a.relay != nil {
		server = a.relay.Middleware(server)
	}
	a.admission.origins.publicPaths = map[string]bool{}
	for _, name := range socketio.BundleNames {
		a.admission.origins.publicPaths[a.config.SocketIOPath+"/"+name] = true
	}
	e.Any(a.config.SocketIOPath+"/*", mountHandler(a.admission.middleware(server, engineio.OpensSession)))
	a.httpHandler = engineio.BodyDeadline(a.admission.endWhenCrowded(a.forgiveSlashes(e)))
	return nil
}

// forgiveSlashes serves a path with a slash at its end as the one without, for URLs that
// people type into consoles, and HEAD as GET (net/http leaves the body out).
// Socket.IO, the local WeChat and the Admin UI have their own rules.
func (a *App) forgiveSlashes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if !isUnder(path, a.config.SocketIOPath) && !isUnder(path, "/sim") && !isUnder(path, "/admin") {
			if r.Method == http.MethodHead {
				r = r.WithContext(r.Context()) // a copy
				r.Method = http.MethodGet
			}
			if path != "/" && path != "/api/" && strings.HasSuffix(path, "/") {
				r = r.Clone(r.Context())
				r.URL.Path, r.URL.RawPath = strings.TrimSuffix(path, "/"), ""
			}
		}
		next.ServeHTTP(w, r)
	})
}

func isUnder(path, prefix string) bool { return strings.HasPrefix(path+"/", prefix+"/") }

// mountHandler gives h the bare response writer: hijacking and one-write answers need
// nothing of Echo's.
func mountHandler(h http.Handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		h.ServeHTTP(c.Response().Writer, c.Request())
		return nil
	}
}

func (a *App) registerPages(e *echo.Echo) (*pages, error) {
	p, err := newPages()
	if err != nil {
		return nil, err
	}
	p.clientURL = a.config.SocketIOPath + "/socket.io.esm.min.js"
	p.socketIOPath = a.config.SocketIOPath
	p.simulatorURL = a.phoneURL()
	if a.simulator != nil {
		p.simulatorURL, p.hasSimulator = "/sim", a.simulator.Answers
	}
	p.replicaName, p.log = a.replicaName, a.log
	p.admission, p.originPolicy = a.admission, a.admission.origins
	p.drawingRate = newKeyedRate[netip.Addr](drawingRate(&a.config), 0)
	p.returnTo = a.config.ReturnTo
	p.accounts = pageAccounts(a.accounts)
	p.qrPrefixes = []string{"http://weixin.qq.com/", "https://weixin.qq.com/"}
	for _, account := range a.accounts.inOrder {
		p.qrPrefixes = append(p.qrPrefixes, account.MPBase+"/q/")
	}
	p.firstAccount = a.accounts.inOrder[0].Name
	p.register(e)
	return p, nil
}

// pageAccounts is what the pages know of all accounts, by name.
func pageAccounts(as *accounts) map[string]pageAccount {
	all := map[string]pageAccount{}
	for _, account := range as.inOrder {
		all[account.Name] = pageAccount{account.displayTitle(), account.TypedCode != "off", account.WebAuth == "on"}
	}
	all[""] = all[as.inOrder[0].Name]
	return all
}

// apiError is the body of every JSON error.
type apiError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// answerError is the one place where errors become answers: never internal text.
func (a *App) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	status := http.StatusInternalServerError
	var he *echo.HTTPError
	if errors.As(err, &he) {
		status = he.Code
	} else {
		a.log.Error("gateway: request failed", "route", c.Path(), "error", err)
	}
	if c.Request().Method == http.MethodHead {
		_ = c.NoContent(status)
		return
	}
	_ = c.JSON(status, map[string]apiError{"error": {Code: errorCode(status), Message: http.StatusText(status)}})
}

func errorCode(status int) string {
	switch status {
	case http.StatusNotFound:
		return "not_found"
	case http.StatusMethodNotAllowed:
		return "method_not_allowed"
	case http.StatusTooManyRequests:
		return "rate_limited"
	case http.StatusUnauthorized, http.StatusForbidden:
		return "unauthorized"
	}
	if status < 500 {
		return "bad_request"
	}
	return "unavailable"
}

// recoverPanics keeps one broken request from ending the process.
func (a *App) recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if r := recover(); r != nil {
				if r == http.ErrAbortHandler { //nolint:errorlint // net/http compares the very value
					panic(r)
				}
				a.log.Error("gateway: panic in a request", "route", c.Path(), "panic", r, "stack", string(debug.Stack()))
				err = echo.NewHTTPError(http.StatusInternalServerError)
			}
		}()
		return next(c)
	}
}
