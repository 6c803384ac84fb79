package wxsim

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFiles, "page/phone.html"))

// pagePolicy lets the page use its own files and nothing else.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// routePage adds the phone: its page under every address that shows it, its
// files and the state it asks for once a second.
func (s *Sim) routePage(route func(string, http.HandlerFunc)) {
	for _, path := range []string{"GET /{$}", "GET /phone", "GET /q/{id}"} {
		route(path, s.showPage)
	}
	route("GET ", s.showPage)
	route("GET /page.css", pageFile("page/phone.css", "text/css; charset=utf-8"))
	route("GET /page.js", pageFile("page/phone.js", "text/javascript; charset=utf-8"))
	route("GET /draw.js", pageFile("page/draw.js", "text/javascript; charset=utf-8"))
	route("GET /icon.svg", pageFile("page/icon.svg", "image/svg+xml"))
	route("GET /state", s.getState)
}

func pageFile(name, contentType string) http.HandlerFunc {
	data, err := pageFiles.ReadFile(name)
	if err != nil {
		panic(err) // embedded: a wrong name shows in every test
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(data)
	}
}

func (s *Sim) showPage(w http.ResponseWriter, r *http.Request) {
	lang := pageLanguage(r)
	data, err := pageFiles.ReadFile("page/words." + lang + ".json")
	var words map[string]string
	if err == nil {
		err = json.Unmarshal(data, &words)
	}
	var page bytes.Buffer
	if err == nil {
		err = pageTemplate.Execute(&page, map[string]any{
			"Lang": map[string]string{"zh": "zh-CN", "en": "en"}[lang], "Prefix": s.opts.Prefix,
			"Code": r.PathValue("id"), "T": words,
		})
	}
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, errorBody{err.Error()})
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Language")
	_, _ = w.Write(page.Bytes())
}

// pageLanguage is zh when the browser asks for Chinese before English.
func pageLanguage(r *http.Request) string {
	wanted := r.URL.Query().Get("lang")
	if wanted == "" {
		wanted = r.Header.Get("Accept-Language")
	}
	for part := range strings.SplitSeq(strings.ToLower(wanted), ",") {
		switch part = strings.TrimSpace(part); {
		case strings.HasPrefix(part, "zh"):
			return "zh"
		case strings.HasPrefix(part, "en"):
			return "en"
		}
	}
	return "en"
}

// The page shows no more than this: it is a phone, not a database.
const (
	shownPeople = 40
	shownCodes  = 40
	shownPushes = 40
)

type personView struct {
	Name    string     `json:"name"`
	OpenID  string     `json:"openid"`
	Follows bool       `json:"follows"`
	Pending string     `json:"pending,omitempty"` // scene of the follow page that is open
	Chat    []chatLine `json:"chat,omitempty"`    // of the chosen person only
}

type codeView struct {
	ID        string `json:"id"`
	Scene     string `json:"scene"`
	Ticket    string `json:"ticket"`
	URL       string `json:"url"`
	Account   string `json:"account"`
	ExpiresIn int64  `json:"expiresIn"` // seconds; 0: permanent
	Scans     int    `json:"scans"`
}

// getState answers everything the page shows for ?account= and ?person=, or
// nothing (204) when nothing changed since ?since=.
func (s *Sim) getState(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	a := s.account(q.Get("account"))
	version := strconv.FormatUint(s.version, 10)
	if a == nil || q.Get("since") == version {
		s.mu.Unlock()
		if a == nil {
			writeError(w, errNoAccount)
			return
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	state := map[string]any{
		"version": version, "clock": s.clockBody(), "account": a.AppID, "accounts": s.viewAccounts(),
		"people": s.viewPeople(a, q.Get("person")), "codes": s.viewCodes(a), "rules": s.ruleList(),
		"pushes": s.latest(shownPushes, func(p *Push) bool { return p.Account == a.AppID }), "total": s.pushCount,
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, state)
}

// viewPeople is the latest people of the account, oldest first. Holds s.mu.
func (s *Sim) viewPeople(a *account, chosen string) []personView {
	views := []personView{}
	for _, r := range slices.Backward(s.people) {
		if r.account != a || (len(views) >= shownPeople && r.person != chosen) {
			continue
		}
		v := personView{Name: r.person, OpenID: r.openid, Follows: r.follows}
		if r.pending != nil && !r.follows {
			v.Pending = r.pending.scene
		}
		if r.person == chosen {
			v.Chat = slices.Clone(r.chat)
		}
		views = append(views, v)
		if len(views) >= shownPeople && chosen == "" {
			break
		}
	}
	slices.Reverse(views)
	return views
}

// viewCodes is the latest codes that can be scanned, newest first. Holds s.mu.
func (s *Sim) viewCodes(a *account) []codeView {
	views, now := []codeView{}, s.clock.now()
	for _, c := range slices.Backward(s.codes) {
		if c.account != a || c.expired(now) {
			continue
		}
		v := codeView{ID: c.id, Scene: c.scene, Ticket: c.ticket, URL: c.url, Account: a.AppID, Scans: c.scans}
		if !c.expires.IsZero() {
			v.ExpiresIn = max(1, int64(c.expires.Sub(now).Seconds()))
		}
		views = append(views, v)
		if len(views) == shownCodes {
			break
		}
	}
	return views
}
