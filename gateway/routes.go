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
	e.IPExtractor = func(r *http.Request) string { return a.admit.clientIP(r).String() }
	e.Use(a.recoverPanics)

	a.health.register(e)
	if err := a.registerPages(e); err != nil {
		return err
	}
	e.GET("/.well-known/jwks.json", func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(jwksAge.Seconds())))
		c.Response().Header().Set("Access-Control-Allow-Origin", "*") // public keys
		return c.Blob(http.StatusOK, "application/json", a.issuer.JWKS())
	})
	a.webhook.Register(e.Group(""))
	a.login.register(e)
	if sim := a.simulatorHandler(); sim != nil {
		e.Any("/sim", mount(sim))
		e.Any("/sim/*", mount(sim))
	}
	// Last and least: /ws/signup wins where the path is /ws.
	var server http.Handler = a.io
	if a.router != nil {
		server = a.router.Middleware(server)
	}
	a.admit.origins.files = map[string]bool{}
	for _, name := range socketio.BundleNames {
		a.admit.origins.files[a.cfg.SocketIOPath+"/"+name] = true
	}
	e.Any(a.cfg.SocketIOPath+"/*", mount(a.admit.middleware(server, engineio.OpensSession)))
	a.handler = engineio.BodyDeadline(a.admit.endWhenCrowded(a.forgive(e)))
	return nil
}

// forgive serves a path with a slash at its end as the one without, for URLs that
// people type into consoles, and HEAD as GET (net/http leaves the body out).
// Socket.IO and the local WeChat have their own rules.
func (a *App) forgive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if !under(path, a.cfg.SocketIOPath) && !under(path, "/sim") {
			if r.Method == http.MethodHead {
				r = r.WithContext(r.Context()) // a copy
				r.Method = http.MethodGet
			}
			if path != "/" && strings.HasSuffix(path, "/") {
				r = r.Clone(r.Context())
				r.URL.Path, r.URL.RawPath = strings.TrimSuffix(path, "/"), ""
			}
		}
		next.ServeHTTP(w, r)
	})
}

func under(path, prefix string) bool { return strings.HasPrefix(path+"/", prefix+"/") }

// mount gives h the bare response writer: hijacking and one-write answers need
// nothing of Echo's.
func mount(h http.Handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		h.ServeHTTP(c.Response().Writer, c.Request())
		return nil
	}
}

func (a *App) registerPages(e *echo.Echo) error {
	p, err := newPages()
	if err != nil {
		return err
	}
	p.client = a.cfg.SocketIOPath + "/socket.io.esm.min.js"
	p.socketIOPath = a.cfg.SocketIOPath
	p.simulator = a.phoneURL()
	if a.sim != nil {
		p.simulator, p.simulates = "/sim", a.sim.Answers
	}
	p.replica = a.replica
	p.admit, p.origins = a.admit, a.admit.origins
	images := a.cfg.LimitQRCodesIP // two pictures for each code: the page's and one to save
	images.N *= 2
	p.drawings = newKeyedRate[netip.Addr](images, 0)
	p.returnTo = a.cfg.ReturnTo
	p.accounts = map[string]pageAccount{}
	p.qrPrefixes = []string{"http://weixin.qq.com/", "https://weixin.qq.com/"}
	for _, account := range a.accounts.list {
		p.accounts[account.Name] = pageAccount{account.title(), account.TypedCode != "off"}
		p.qrPrefixes = append(p.qrPrefixes, account.MPBase+"/q/")
	}
	p.accounts[""] = p.accounts[a.accounts.list[0].Name]
	p.register(e)
	return nil
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
