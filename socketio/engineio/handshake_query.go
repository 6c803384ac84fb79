package engineio

import (
	"net/http"
	"net/url"
	"strings"
)

// query holds the parameters of the protocol (section 1.1).
type query struct {
	revision  int // 4 or 3
	transport string
	sid       string
	hasSID    bool
	b64       bool
	jsonp     bool
	j         string
	eio       string
}

// parseQuery reads the raw query without building a map. Of duplicate keys the
// last wins, but two different transports name none (RELIABILITY 2.1,
// CVE-2023-31125).
func parseQuery(raw string) query {
	q := query{revision: 3}
	seen, clash := false, false
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		key, value, _ := strings.Cut(pair, "=")
		key, value = unescape(key), unescape(value)
		switch key {
		case "EIO":
			q.eio = value
		case "transport":
			clash = clash || seen && q.transport != value
			q.transport, seen = value, true
		case "sid":
			q.sid, q.hasSID = value, value != ""
		case "b64":
			q.b64 = value != ""
		case "j":
			q.j, q.jsonp = value, value != ""
		}
	}
	if clash {
		q.transport = ""
	}
	if q.eio == "4" {
		q.revision = 4
	}
	return q
}

func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// isUpgrade reports whether r asks for a WebSocket.
func isUpgrade(r *http.Request) bool {
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
// (section 1.3 step 2).
func validOrigin(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
