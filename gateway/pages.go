package gateway

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/text/language"

	"posthouse/internal/loglimit"
	"posthouse/internal/oidc"
)

//go:embed web
var web embed.FS

// pages serves what people see: the start page, the login page and their assets,
// all embedded. Assets carry a fingerprint in their URL and never change under it.
type pages struct {
	templates     *template.Template
	wordsByTag    map[language.Tag]map[string]string
	languageTags  []language.Tag // the first is the default
	matcher       language.Matcher
	assetsByName  map[string]asset
	fingerprinted map[string]string // name → URL

	clientURL    string // URL of the socket.io client's module
	socketIOPath string
	simulatorURL string                   // URL of the phone page, "" when there is none
	hasSimulator func(*http.Request) bool // whether there is one for that request; nil: for all
	replicaName  string
	accounts     map[string]pageAccount                 // by name
	reloaded     atomic.Pointer[map[string]pageAccount] // newer accounts; nil: none
	firstAccount string                                 // the name of the one that "" means
	returnTo     []string                               // allowed URLs, and what lies below them
	originPolicy *originPolicy                          // pages that may embed the login
	qrPrefixes   []string                               // what may be drawn as a QR code
	admission    *admission
	provider     *oidc.Provider // nil: no OpenID Provider
	imageCache   imageCache
	drawingRate  *keyedRate[netip.Addr] // pictures drawn anew per address; nil: no limit
	log          *slog.Logger           // nil: discards
	badLinks     loglimit.Keyed         // lines about links that no application learns from, by fault
}

// pageAccount is what the pages know of an account.
type pageAccount struct {
	title         string
	hasTypedCodes bool // people may ask for a code to type
	hasWebAuth    bool // WeChat's own browser need not scan
}

type asset struct {
	body        []byte
	contentType string
}

func newPages() (*pages, error) {
	p := &pages{wordsByTag: map[language.Tag]map[string]string{}, assetsByName: map[string]asset{}, fingerprinted: map[string]string{},
		badLinks: loglimit.Keyed{Every: time.Minute}}
	var err error
	if p.templates, err = template.ParseFS(web, "web/*.html"); err != nil {
		return nil, err
	}
	for _, name := range []string{"en", "zh-CN"} {
		data, err := web.ReadFile("web/i18n/" + name + ".json")
		if err != nil {
			return nil, err
		}
		var words map[string]string
		if err := json.Unmarshal(data, &words); err != nil {
			return nil, fmt.Errorf("gateway: words of %s: %w", name, err)
		}
		tag := language.MustParse(name)
		p.languageTags = append(p.languageTags, tag)
		p.wordsByTag[tag] = words
	}
	p.matcher = language.NewMatcher(p.languageTags)
	return p, p.loadAssets()
}

func (p *pages) loadAssets() error {
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	return fs.WalkDir(web, "web/assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := web.ReadFile(name)
		if err != nil {
			return err
		}
		base := path.Base(name)
		if path.Ext(base) == ".js" {
			body = stripComments(body)
		}
		sum := sha256.Sum256(body)
		print := hex.EncodeToString(sum[:6])
		p.assetsByName[print+"/"+base] = asset{body, types[path.Ext(base)]}
		p.fingerprinted[base] = "/assets/" + print + "/" + base
		return nil
	})
}

var comment = regexp.MustCompile("(^|\\s+)// [^\"'`]*$")

// stripComments is a script without its comments and indentation: they are for those who
// read it here. A comment with a quote in it might be part of a string, and stays.
func stripComments(script []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(script) {
		if line = comment.ReplaceAll(bytes.TrimSpace(line), nil); len(line) > 0 {
			b.Write(line)
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// pageData is what the templates see.
type pageData struct {
	*pages
	Words                           map[string]string
	Account, AccountTitle, ReturnTo string
	Typed                           bool      // a code to type may be asked for
	RequestID                       string    // of the application that the person signs in to; "" without one
	Request                         oidc.Page // what it is
	Notice                          string    // the sentence of notice.html
	WebAuth                         string    // where a click signs in inside WeChat; "" when it does not
	InWeChat                        bool      // the page is open inside WeChat
	Remote                          bool      // the simulator does not answer there
}

func (d pageData) Asset(name string) string { return d.fingerprinted[name] }
func (d pageData) Client() string           { return d.clientURL }
func (d pageData) SocketIOPath() string     { return d.socketIOPath }
func (d pageData) Simulator() string {
	if d.Remote {
		return ""
	}
	return d.simulatorURL
}
func (d pageData) ServedBy() string {
	return strings.ReplaceAll(d.Words["servedBy"], "{replica}", d.replicaName)
}
func (d pageData) NoScript() string {
	return strings.ReplaceAll(d.Words["noscript"], "{account}", d.AccountTitle)
}
func (d pageData) SignInTo() string {
	return strings.ReplaceAll(d.Words["signInTo"], "{app}", d.Request.App)
}

func (p *pages) register(e *echo.Echo) {
	e.GET("/", p.showStart)
	e.GET("/login", p.showLogin)
	// <posthouse-login> in pages of other origins needs stable addresses, and
	// CORS for the allowed ones.
	cors := echo.WrapMiddleware(p.originPolicy.publicFiles)
	e.GET("/login/qr.svg", p.qrSVG, cors)
	e.GET("/login/qr.png", p.qrPNG, cors)
	e.GET("/login/element.js", p.elementScript("element.js"), cors)
	e.GET("/login/attempt.js", p.elementScript("attempt.js"), cors)
	e.GET("/login/element.json", p.elementWords, cors)
	e.GET("/assets/:print/:name", p.serveAsset)
	e.GET("/favicon.ico", func(c echo.Context) error { return c.Redirect(http.StatusFound, p.fingerprinted["icon.svg"]) })
}

// account returns what is known of an account now.
func (p *pages) account(name string) (pageAccount, bool) {
	all := p.accounts
	if newer := p.reloaded.Load(); newer != nil {
		all = *newer
	}
	known, ok := all[name]
	return known, ok
}

func (p *pages) showStart(c echo.Context) error { return p.renderPage(c, "index.html", pageData{}) }

func (p *pages) showLogin(c echo.Context) error {
	account := c.QueryParam("account")
	d := pageData{RequestID: c.QueryParam("request")}
	if p.provider != nil && c.QueryParams().Has("request") {
		var ok bool
		if d.Request, ok = p.provider.ForPage(c.Response(), c.Request(), d.RequestID); !ok {
			return nil // a notice was written
		}
		if d.Request.Continue != "" {
			return c.Redirect(http.StatusFound, d.Request.Continue)
		}
		if account = d.Request.Account; account == p.firstAccount {
			account = "" // the same attempt as that of the page without an application
		}
	} else {
		d.RequestID, d.ReturnTo = "", p.safeReturn(c.QueryParam("returnTo"))
		// An application elsewhere gets a one-time code for its own back end (docs/login.md §5).
		d.Request.Challenge = c.QueryParam("challenge")
		if fault := p.linkFault(c.Request(), d.ReturnTo, d.Request.Challenge); fault != "" {
			p.logBadLink(fault)
			return p.writePage(c.Response(), c.Request(), http.StatusBadRequest, "notice.html", pageData{Notice: "badLink"})
		}
	}
	known, ok := p.account(account)
	if !ok {
		return echo.NewHTTPError(http.StatusNotFound)
	}
	p.admission.knowBrowser(c.Response(), c.Request()) // the sockets that follow are one browser's
	d.Account, d.AccountTitle, d.Typed = account, known.title, known.hasTypedCodes
	d.InWeChat = strings.Contains(c.Request().UserAgent(), "MicroMessenger")
	if d.InWeChat && known.hasWebAuth && d.Request.Challenge != "" && !c.QueryParams().Has("scan") {
		q := url.Values{"account": {account}, "returnTo": {d.ReturnTo}, "challenge": {d.Request.Challenge}}
		if d.RequestID != "" {
			q = url.Values{"request": {d.RequestID}}
		}
		d.WebAuth = webAuthStart + "?" + q.Encode()
	}
	return p.renderPage(c, "login.html", d)
}

func (p *pages) renderPage(c echo.Context, name string, d pageData) error {
	return p.writePage(c.Response(), c.Request(), http.StatusOK, name, d)
}

func (p *pages) writePage(w http.ResponseWriter, r *http.Request, status int, name string, d pageData) error {
	wanted := acceptLanguages(r)
	if d.Request.Locale != "" {
		wanted = []language.Tag{language.Make(d.Request.Locale)}
	}
	_, i, _ := p.matcher.Match(wanted...)
	d.pages, d.Words = p, p.wordsByTag[p.languageTags[i]]
	d.Remote = p.hasSimulator != nil && !p.hasSimulator(r)
	var page bytes.Buffer
	if err := p.templates.ExecuteTemplate(&page, name, d); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	if h.Get("Set-Cookie") != "" {
		h.Set("Cache-Control", "private, no-cache") // one browser's own
	}
	if d.RequestID != "" || d.Notice != "" {
		h.Set("Cache-Control", "no-store")
		h.Set("X-Frame-Options", "DENY")
	}
	h.Set("Vary", "Accept-Language, User-Agent")
	h.Set("Content-Type", "text/html; charset=UTF-8")
	w.WriteHeader(status)
	_, err := w.Write(page.Bytes())
	return err
}

func acceptLanguages(r *http.Request) []language.Tag {
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return nil
	}
	return tags
}

func (p *pages) serveAsset(c echo.Context) error {
	name := c.Param("print") + "/" + c.Param("name")
	a, ok := p.assetsByName[name]
	if !ok {
		return echo.NewHTTPError(http.StatusNotFound)
	}
	h := c.Response().Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(a.body))
	return nil
}

// elementScript serves a module of <posthouse-login> under an address that stays.
func (p *pages) elementScript(name string) echo.HandlerFunc {
	print := p.fingerprinted[name]
	a := p.assetsByName[strings.TrimPrefix(print, "/assets/")]
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Type", a.contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", `"`+path.Base(path.Dir(print))+`"`)
		h.Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(a.body))
		return nil
	}
}

// elementWords tells <posthouse-login> what it says, how it looks and where it connects.
func (p *pages) elementWords(c echo.Context) error {
	known, ok := p.account(c.QueryParam("account"))
	if !ok {
		return echo.NewHTTPError(http.StatusNotFound)
	}
	_, i, _ := p.matcher.Match(language.Make(c.QueryParam("lang")))
	c.Response().Header().Set("Cache-Control", "no-cache")
	c.Response().Header().Set("X-Content-Type-Options", "nosniff")
	return c.JSON(http.StatusOK, map[string]any{
		"words": p.wordsByTag[p.languageTags[i]], "title": known.title, "typed": known.hasTypedCodes, "path": p.socketIOPath,
		"style": string(p.assetsByName[strings.TrimPrefix(p.fingerprinted["element.css"], "/assets/")].body),
	})
}
