package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// errLogout refuses a logout whose words do not fit.
var errLogout = errors.New("oidc: bad logout request")

// serveEndSession is RP-Initiated Logout: it ends the browser's session and leads back to
// the application where that may be known, or says so on a page.
func (p *Provider) serveEndSession(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.refuseLogout(w, r)
		return
	}
	target, subject, err := p.readLogout(r)
	if isFault(err) && !errors.Is(err, errLogout) {
		p.logFault("logout", err)
		w.Header().Set("Retry-After", "2")
		p.options.Notice(w, r, http.StatusServiceUnavailable, Notice{Word: WordUnavailable})
		return
	}
	if err != nil {
		p.refuseLogout(w, r)
		return
	}
	if err := p.endSession(w, r, subject); err != nil {
		p.logFault("logout", err)
		w.Header().Set("Retry-After", "2")
		p.options.Notice(w, r, http.StatusServiceUnavailable, Notice{Word: WordUnavailable})
		return
	}
	p.options.Count("logout", "ok")
	if target == "" {
		p.options.Notice(w, r, http.StatusOK, Notice{Word: WordSignedOut})
		return
	}
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusFound)
}

func (p *Provider) refuseLogout(w http.ResponseWriter, r *http.Request) {
	p.options.Count("logout", "refused")
	p.options.Notice(w, r, http.StatusBadRequest, Notice{Word: WordBadLogout})
}

// readLogout returns where a logout leads ("": nowhere) and whose it is ("": not said).
func (p *Provider) readLogout(r *http.Request) (target, subject string, err error) {
	form := r.Form
	for _, name := range []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state"} {
		if len(form[name]) > 1 {
			return "", "", errLogout
		}
	}
	clientID := form.Get("client_id")
	if hint := form.Get("id_token_hint"); hint != "" {
		claims, err := p.readHint(r, hint)
		switch {
		case errors.Is(err, ErrUnavailable):
			return "", "", err
		case err != nil, len(claims.Audience) != 1, clientID != "" && clientID != claims.Audience[0]:
			return "", "", errLogout
		}
		clientID, subject = claims.Audience[0], claims.Subject
	}
	var client *Client
	if clientID != "" {
		if client = p.clients[clientID]; client == nil {
			return "", "", errLogout
		}
	}
	uri := form.Get("post_logout_redirect_uri")
	if uri == "" {
		return "", subject, nil
	}
	if client == nil || !slices.Contains(client.LogoutRedirectURIs, uri) {
		return "", "", errLogout
	}
	if form.Has("state") {
		sign := "?"
		if strings.Contains(uri, "?") {
			sign = "&"
		}
		uri += sign + "state=" + url.QueryEscape(form.Get("state"))
	}
	return uri, subject, nil
}
