// Package origin has the one rule by which an Origin header is read and compared
// (docs/login.md §5), for the library, the gateway, its settings and the simulator.
package origin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// Origin is a parsed origin. Equal origins are equal values.
type Origin struct {
	scheme string // lower case; http and https stand for ws and wss too
	host   string // lower case; IPv6 in brackets
	port   string // "" for the scheme's default
}

// Header returns what a request says of its page. given is false when it says
// nothing, as programs do, and browsers with GETs of their own site. Two fields, or an
// empty one, are nothing that a browser sends: err is set then.
func Header(h http.Header) (text string, given bool, err error) {
	switch values := h["Origin"]; {
	case len(values) == 0:
		return "", false, nil
	case len(values) > 1 || values[0] == "":
		return "", true, errForm
	default:
		return values[0], true, nil
	}
}

// Opaque reports whether s is an origin that says nothing about its page: that of
// sandboxed frames, which any site can make, and of local files.
func Opaque(s string) bool {
	return s == "null" || len(s) >= len("file:") && strings.EqualFold(s[:len("file:")], "file:")
}

// Equal reports whether a and b are the same origin, if need be letter by letter.
func Equal(a, b string) bool {
	if a == b {
		return true
	}
	x, err := Parse(a)
	if err != nil {
		return false
	}
	y, err := Parse(b)
	return err == nil && x == y
}

var errForm = errors.New("not an origin")

// Parse reads scheme://host[:port], of any scheme, as browsers and applications send
// it. One "/" may stand at its end. Hosts of http and https are names in ASCII or IP
// addresses; of other schemes, such as app://-, the host is any name.
func Parse(s string) (Origin, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !isScheme(scheme) {
		return Origin{}, fmt.Errorf("%q: %w", s, errForm)
	}
	o := Origin{scheme: strings.ToLower(scheme)}
	switch o.scheme {
	case "ws":
		o.scheme = "http"
	case "wss":
		o.scheme = "https"
	case "ftp":
		return Origin{}, fmt.Errorf("%q: %w", s, errForm) // no pages come from there
	}
	if o.host, o.port, ok = split(strings.TrimSuffix(rest, "/"), o.scheme); !ok {
		return Origin{}, fmt.Errorf("%q: %w", s, errForm)
	}
	return o, nil
}

// String returns the origin as browsers send it.
func (o Origin) String() string { return o.scheme + "://" + o.Host() }

// Host returns the host with its port, unless that is the scheme's default.
func (o Origin) Host() string {
	if o.port == "" {
		return o.host
	}
	return o.host + ":" + o.port
}

// Web reports whether the scheme is http or https.
func (o Origin) Web() bool { return o.scheme == "http" || o.scheme == "https" }

// Same reports whether a page of this origin is one of the server's own: whether it
// is the origin of a request with that Host field. scheme is that of the request, ""
// when it is not known, as behind a proxy that ends TLS; then the page's own decides
// which port is the default one. Applications with a scheme of their own have no
// server.
func (o Origin) Same(host, scheme string) bool {
	if !o.Web() {
		return false
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case "ws":
		scheme = "http"
	case "wss":
		scheme = "https"
	}
	if scheme != "" && scheme != o.scheme {
		return false
	}
	h, port, ok := split(host, o.scheme)
	return ok && h == o.host && port == o.port
}

// split reads host[:port] of a scheme.
func split(s, scheme string) (host, port string, ok bool) {
	web := scheme == "http" || scheme == "https"
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", false
		}
		a, err := netip.ParseAddr(s[1:end])
		if err != nil || !a.Is6() || a.Zone() != "" {
			return "", "", false
		}
		host, s = "["+text6(a)+"]", s[end+1:]
		if s != "" && s[0] != ':' {
			return "", "", false
		}
		port = strings.TrimPrefix(s, ":")
	} else {
		host, port, _ = strings.Cut(strings.ToLower(s), ":")
		if web {
			host, ok = cleanName(host)
		}
		if !isHost(host) || web && !ok {
			return "", "", false
		}
	}
	if port, ok = cleanPort(port); !ok {
		return "", "", false
	}
	if scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		port = ""
	}
	return host, port, true
}

// text6 formats an address as browsers do: IPv4 in IPv6 without dots.
func text6(a netip.Addr) string {
	if !a.Is4In6() {
		return a.String()
	}
	b := a.As16()
	return fmt.Sprintf("::ffff:%x:%x", int(b[12])<<8|int(b[13]), int(b[14])<<8|int(b[15]))
}

func cleanPort(s string) (string, bool) {
	if s == "" {
		return "", true
	}
	if strings.Trim(s, "0123456789") != "" {
		return "", false
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return strconv.FormatUint(n, 10), err == nil
}

func isScheme(s string) bool {
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// isHost accepts the characters of names; browsers send others as punycode.
func isHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return s != ""
}

// cleanName checks a name or an IPv4 address. What browsers would read as another
// address, such as 0x7f.1, is refused, and so are labels without a character.
func cleanName(s string) (string, bool) {
	name := strings.TrimSuffix(s, ".")
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" || strings.HasPrefix(name, ".") || strings.Contains(name, "..") {
		return s, false
	}
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") && strings.Trim(last[2:], "0123456789abcdef") == "" {
		a, err := netip.ParseAddr(name)
		return name, err == nil && a.Is4()
	}
	return s, true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
