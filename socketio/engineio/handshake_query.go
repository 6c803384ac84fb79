package engineio

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"posthouse/socketio/internal/urlquery"
)

// query holds the parameters of the protocol (docs/protocol.md §1.1).
type query struct {
	revision       uint8 // 4 or 3; 0: EIO is ambiguous
	transport      string
	namesTransport bool // a transport, be it unknown or ambiguous
	sid            string
	hasSID         bool
	sidIsAmbiguous bool // sid is ambiguous
	wantsBase64    bool
	jsonp          bool
	jsonpParam     string
	eioParam       string
}

// parseQuery reads the raw query without building a map. The last of equal keys
// wins, but the parameters that decide what a request is must have one reading:
// limits, relays and balancers look at them too, each with a reader of its own. An
// ambiguous transport counts as unknown, an ambiguous EIO as unsupported, and verify
// refuses an ambiguous sid (docs/reliability.md §2.1, CVE-2023-31125).
func parseQuery(raw string) query {
	var transport, sid, eio parameter
	var q query
	if plainQuery(raw) {
		q.parsePlain(raw, &transport, &sid, &eio)
	} else {
		q.parseEscaped(raw, &transport, &sid, &eio)
	}
	q.namesTransport = transport.isGiven || transport.isAmbiguous
	if !transport.isAmbiguous {
		q.transport = transport.value
	}
	q.sid, q.hasSID, q.sidIsAmbiguous = sid.value, sid.value != "", sid.isAmbiguous
	q.eioParam = eio.value
	switch {
	case eio.isAmbiguous:
		q.revision = 0
	case q.eioParam == "4":
		q.revision = 4
	default:
		q.revision = 3
	}
	return q
}

// plainQuery reports whether nothing in raw is escaped, disguised or hidden, which is
// what clients send.
func plainQuery(raw string) bool {
	return strings.IndexByte(raw, '%') < 0 && strings.IndexByte(raw, '+') < 0 &&
		strings.IndexByte(raw, ';') < 0 && strings.IndexByte(raw, '[') < 0 && utf8.ValidString(raw)
}

// parsePlain reads a query of which plainQuery is true.
func (q *query) parsePlain(raw string, transport, sid, eio *parameter) {
	for raw != "" {
		pair := raw
		if i := strings.IndexByte(raw, '&'); i >= 0 {
			pair, raw = raw[:i], raw[i+1:]
		} else {
			raw = ""
		}
		key, value := pair, ""
		if i := strings.IndexByte(pair, '='); i >= 0 {
			key, value = pair[:i], pair[i+1:]
		}
		switch key {
		case "transport":
			transport.set(value, false)
		case "sid":
			sid.set(value, false)
		case "EIO":
			eio.set(value, false)
		case "b64":
			q.wantsBase64 = value != ""
		case "j":
			q.jsonpParam, q.jsonp = value, value != ""
		}
	}
}

// parseEscaped reads any query.
func (q *query) parseEscaped(raw string, transport, sid, eio *parameter) {
	for {
		key, value, rest, ok := urlquery.Next(raw)
		if !ok {
			break
		}
		raw = rest
		if strings.IndexByte(value, ';') >= 0 || strings.IndexByte(key, ';') >= 0 {
			hidden(key+"="+value, transport, sid, eio)
		}
		escaped := key
		key = urlquery.Unescape(key)
		name, _, index := strings.Cut(key, "[")
		p := pick(name, transport, sid, eio)
		switch {
		case p != nil:
			p.set(urlquery.Unescape(value), index || key != escaped)
		case key == "b64":
			q.wantsBase64 = value != ""
		case key == "j":
			q.jsonpParam = urlquery.Unescape(value)
			q.jsonp = q.jsonpParam != ""
		}
	}
}

// parameter is one of those that must have one reading.
type parameter struct {
	value       string
	isGiven     bool
	isAmbiguous bool // another reader might see another value
}

// set takes one more value. Of a disguised key, such as s%69d or sid[], other
// readers may or may not think that it is the parameter.
func (p *parameter) set(value string, disguised bool) {
	p.isAmbiguous = p.isAmbiguous || disguised || p.isGiven && p.value != value
	p.value, p.isGiven = value, true
}

func pick(name string, transport, sid, eio *parameter) *parameter {
	switch name {
	case "transport":
		return transport
	case "sid":
		return sid
	case "EIO":
		return eio
	}
	return nil
}

// hidden looks for parameters behind a ";", which some readers take for a separator.
func hidden(pair string, transport, sid, eio *parameter) {
	_, rest, more := strings.Cut(pair, ";")
	for more {
		var part string
		part, rest, more = strings.Cut(rest, ";")
		key, _, _ := strings.Cut(part, "=")
		name, _, _ := strings.Cut(urlquery.Unescape(key), "[")
		if p := pick(name, transport, sid, eio); p != nil {
			p.isAmbiguous = true
		}
	}
}

// OpensSession reports whether r is an attempt to open a session: it names a
// transport and no session, or it opens a connection of a transport that External
// serves. The server opens sessions for such requests only, so limits on new
// connections belong before them; attempts that the server would refuse count too.
func OpensSession(r *http.Request) bool {
	if r.Method == http.MethodConnect {
		return true
	}
	q := parseQuery(r.URL.RawQuery)
	return q.namesTransport && (!q.hasSID || q.sidIsAmbiguous)
}

// SessionID returns the session that r names, as the server reads it; "" when r
// names none, or when the server refuses r because other readers might see another
// one.
func SessionID(r *http.Request) string {
	q := parseQuery(r.URL.RawQuery)
	if q.sidIsAmbiguous {
		return ""
	}
	return q.sid
}

// IsUpgrade reports whether r asks for a WebSocket, as the server reads it: over
// HTTP/1, with "upgrade" among the values of Connection and "websocket" among those
// of Upgrade.
func IsUpgrade(r *http.Request) bool {
	return r.ProtoMajor == 1 && headerHasToken(r.Header["Upgrade"], "websocket") && headerHasToken(r.Header["Connection"], "upgrade")
}

func headerHasToken(values []string, token string) bool {
	for _, v := range values {
		for v != "" {
			var t string
			t, v, _ = strings.Cut(v, ",")
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// validOrigin reports whether every character may stand in a header value
// (docs/protocol.md §1.3 step 2).
func validOrigin(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
