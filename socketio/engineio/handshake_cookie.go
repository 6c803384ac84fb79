package engineio

import (
	"fmt"
	"net/http"
)

// cookieTemplate completes Options.Cookie with the defaults of the reference:
// io, path /, HttpOnly, SameSite=Lax. It refuses what would let a name, path or
// domain add attributes of its own (GHSA-pxg6-pf52-xh8x).
func cookieTemplate(c *http.Cookie) (*http.Cookie, error) {
	if c == nil {
		return nil, nil
	}
	t := *c
	setDefault(&t.Name, "io")
	setDefault(&t.Path, "/")
	setDefault(&t.SameSite, http.SameSiteLaxMode)
	t.HttpOnly = true
	t.Value = "sid"
	if err := t.Valid(); err != nil {
		return nil, fmt.Errorf("engineio: invalid cookie: %w", err)
	}
	return &t, nil
}

// setCookie adds the session's cookie to the answer of a polling handshake.
func (srv *Server) setCookie(h http.Header, sid string) {
	if srv.sessionCookie == nil {
		return
	}
	c := *srv.sessionCookie
	c.Value = sid
	h.Add("Set-Cookie", c.String())
}
