package doctor

import (
	"context"
	"net/http"
	"strconv"
	"strings"
)

// foreignOrigin is a site that cannot exist.
const foreignOrigin = "https://posthouse-doctor.invalid"

// checkCORS asks as a browser does before a request of a page of another origin.
func (w *walk) checkCORS(ctx context.Context) {
	w.options.Progress("cors")
	if w.options.Origin != "" && !w.useOrigin {
		w.skip("cors", "the origin is refused")
		return
	}
	page := w.pageOrigin()
	a, err := w.ask(ctx, w.target.kept, http.MethodOptions, w.target.url("EIO=4&transport=polling"), "", http.Header{
		"Origin": {page}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"content-type"},
	})
	if err != nil {
		w.fail("cors", faultCORS, "the preflight gets no answer: %s", plain(err))
		return
	}
	allowed := a.header.Values("Access-Control-Allow-Origin")
	switch {
	case len(allowed) > 1 || len(allowed) == 1 && strings.Contains(allowed[0], ","):
		w.fail("cors", faultCORS, "Access-Control-Allow-Origin came twice (%s), which browsers refuse: the server and a proxy both send it",
			clip(strings.Join(allowed, ", ")))
	case len(allowed) == 1 && (allowed[0] == "*" || allowed[0] == page):
		w.ok("cors", "%d, Access-Control-Allow-Origin: %s", a.status, clip(allowed[0]))
	case w.options.Origin == "":
		w.skip("cors", "%d: pages of other origins are not let in (--origin asks for one)", a.status)
	default:
		w.failAt("cors", "the server", w.originSettings(page), "%d, Access-Control-Allow-Origin: %s: pages of %s are not let in",
			a.status, clip(strings.Join(allowed, "")), page)
	}
}

// originSettings are those that let a page in.
func (w *walk) originSettings(page string) []string {
	if w.isPosthouse {
		return []string{"POSTHOUSE_ORIGINS: " + page}
	}
	return []string{"Socket.IO: cors.origin: " + page}
}

// checkOrigin comes from the site's own page, and from one of a stranger.
func (w *walk) checkOrigin(ctx context.Context) {
	w.options.Progress("origin")
	if !w.useOrigin {
		if w.options.Origin != "" {
			w.failAt("origin", "the server", w.originSettings(w.pageOrigin()), "403 for Origin: %s", w.pageOrigin())
			return
		}
		w.fail("origin", faultHost, "403 for the site's own Origin, %s: the Host that reached the server is another one", w.target.origin)
		return
	}
	if w.isCached {
		w.skip("origin", "polls are cached")
		return
	}
	w.pace(ctx)
	a, err := w.ask(ctx, w.target.kept, http.MethodGet, w.target.url("EIO="+strconv.Itoa(w.revision)+"&transport=polling"), "", http.Header{"Origin": {foreignOrigin}})
	if err != nil {
		w.skip("origin", "%s", plain(err))
		return
	}
	let := a.header.Get("Access-Control-Allow-Origin")
	switch {
	case a.status == http.StatusForbidden || a.status == http.StatusBadRequest:
		w.ok("origin", "the site's own is let in, a foreign one gets %d", a.status)
	case w.isPosthouse:
		w.failAt("origin", "the server", []string{"POSTHOUSE_ORIGINS: only the sites of yours"}, "%s is let in", foreignOrigin)
	case let == foreignOrigin || let == "*":
		w.skip("origin", "warning: every site is let in (Access-Control-Allow-Origin: %s)", let)
	default:
		w.skip("origin", "warning: a foreign origin is let in; browsers keep its pages from reading polls, not from WebSockets (allowRequest refuses it)")
	}
}
