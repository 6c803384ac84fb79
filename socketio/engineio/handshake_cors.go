package engineio

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"posthouse/internal/origin"
)

// CORS lets pages of other origins use the server. Its zero value allows every
// origin, as the cors package of npm does. The fields that name origins exclude
// each other; the first that is set counts.
type CORS struct {
	// Origin is sent as it is, whatever the request says: one origin, or "*".
	Origin string
	// Origins and Patterns list the origins that are allowed; an allowed one is
	// sent back. Origins may have any scheme, such as capacitor://localhost; default
	// ports, letter case and ws or wss in place of http or https make no difference.
	// Patterns see the header as it came. "null" is the origin of sandboxed frames,
	// which every site can make: listing it allows all sites.
	Origins  []string
	Patterns []*regexp.Regexp
	// OriginFunc decides for each request. The error refuses the request.
	OriginFunc func(r *http.Request, origin string) (bool, error)
	// ReflectOrigin allows every origin by sending it back, which works with
	// credentials, and so opens the server to every page: origin: true.
	ReflectOrigin bool

	Methods        []string // default GET, HEAD, PUT, PATCH, POST, DELETE
	AllowedHeaders []string // default: those that the preflight asks for
	ExposedHeaders []string
	Credentials    bool
	MaxAge         time.Duration // of a preflight, in whole seconds; 0: not sent, negative: 0 is sent
	// PreflightContinue hands preflights on instead of answering them.
	PreflightContinue    bool
	OptionsSuccessStatus int // default 204
}

var defaultCORSMethods = []string{"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"}

// any reports whether every origin is allowed without looking.
func (c *CORS) any() bool {
	return c.Origin == "*" || c.Origin == "" && c.Origins == nil && c.Patterns == nil && c.OriginFunc == nil
}

// allows reports whether a page of that origin may use the server.
func (c *CORS) allows(r *http.Request, page string) (bool, error) {
	switch {
	case c.any():
		return true, nil
	case c.Origin != "":
		return origin.Equal(c.Origin, page), nil
	case c.Origins != nil || c.Patterns != nil:
		return slices.ContainsFunc(c.Origins, func(o string) bool { return origin.Equal(o, page) }) ||
			slices.ContainsFunc(c.Patterns, func(p *regexp.Regexp) bool { return p.MatchString(page) }), nil
	default:
		return c.OriginFunc(r, page)
	}
}

// cors is the middleware. It comes before the verification, so that its headers
// are on refusals and on the 101 too (docs/protocol.md §1.9).
func (srv *Server) cors(next http.Handler) http.Handler {
	c := srv.o.CORS
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if err := c.setOrigin(h, r); err != nil {
			srv.refuse(w, r, badRequest("MIDDLEWARE_FAILURE", map[string]any{"error": err}))
			return
		}
		if c.Credentials {
			h.Set("Access-Control-Allow-Credentials", "true")
		}
		if len(c.ExposedHeaders) > 0 {
			h.Set("Access-Control-Expose-Headers", strings.Join(c.ExposedHeaders, ","))
		}
		if r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		c.setPreflight(h, r)
		if c.PreflightContinue {
			next.ServeHTTP(w, r)
			return
		}
		status := c.OptionsSuccessStatus
		setDefault(&status, http.StatusNoContent)
		h.Set("Content-Length", "0")
		w.WriteHeader(status)
	})
}

func (c *CORS) setOrigin(h http.Header, r *http.Request) error {
	const allow = "Access-Control-Allow-Origin"
	switch {
	case c.Origin == "*" || c.any() && !c.ReflectOrigin:
		h.Set(allow, "*")
		return nil
	case c.Origin != "":
		h.Set(allow, c.Origin)
		h.Add("Vary", "Origin")
		return nil
	}
	page := fieldOf(r, "Origin")
	ok, err := c.allows(r, page)
	if err != nil {
		return err
	}
	h.Add("Vary", "Origin")
	if ok && page != "" && validOrigin(page) {
		h.Set(allow, page)
	}
	return nil
}

func (c *CORS) setPreflight(h http.Header, r *http.Request) {
	methods := c.Methods
	if methods == nil {
		methods = defaultCORSMethods
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ","))
	if c.AllowedHeaders != nil {
		h.Set("Access-Control-Allow-Headers", strings.Join(c.AllowedHeaders, ","))
	} else {
		h.Add("Vary", "Access-Control-Request-Headers")
		if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
			h.Set("Access-Control-Allow-Headers", asked)
		}
	}
	if c.MaxAge != 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(max(c.MaxAge, 0)/time.Second)))
	}
}

// originAllowed reports whether r may come from where it says it does. CORS
// headers keep a foreign page from reading answers, but nothing else: not from
// opening a WebSocket and not from posting. So the server itself refuses it
// (docs/reliability.md §2.1, CVE-2019-13611 and CVE-2020-28481).
func (srv *Server) originAllowed(r *http.Request) bool {
	page, given, err := origin.Header(r.Header)
	if !given || srv.o.AnyOrigin {
		return true
	}
	if err != nil {
		return false
	}
	// A proxy may end TLS; and HTTP/3 exists with TLS only, so that its port on TCP may
	// be that of the same server's plain pages.
	scheme := ""
	if r.TLS != nil && r.ProtoMajor < 3 {
		scheme = "https"
	}
	if o, err := origin.Parse(page); err == nil && o.Same(r.Host, scheme) {
		return true
	}
	if srv.o.CORS == nil {
		return false
	}
	ok, err := srv.o.CORS.allows(r, page)
	return ok && err == nil
}
