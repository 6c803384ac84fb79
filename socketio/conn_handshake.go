package socketio

import (
	"encoding/json"
	"iter"
	"net"
	"net/http"
	"strings"
	"time"

	"posthouse/socketio/internal/urlquery"
)

// handshakeData is what is kept of the first request of a connection. Headers are
// packed into one string: ten of them in a map cost more than the rest of a socket.
type handshakeData struct {
	packedHeaders string // name NUL value NUL …
	url           string
	remoteAddress string
	issuedMillis  int64 // ms
	crossDomain   bool
	secure        bool
}

func newOpening(r *http.Request, address string) *handshakeData {
	o := &handshakeData{
		url:           strings.Clone(r.RequestURI),
		remoteAddress: strings.Clone(address),
		issuedMillis:  time.Now().UnixMilli(),
		crossDomain:   r.Header.Get("Origin") != "",
		secure:        r.TLS != nil,
	}
	if o.url == "" {
		o.url = r.URL.RequestURI()
	}
	o.packedHeaders = packHeaders(r)
	return o
}

func packHeaders(r *http.Request) string {
	size := len("host") + len(r.Host) + 2
	for name, values := range r.Header {
		size += len(name) + 2
		for _, v := range values {
			size += len(v) + len(", ")
		}
	}
	var b strings.Builder
	b.Grow(size)
	b.WriteString("host\x00") // net/http takes it out of the header
	b.WriteString(r.Host)
	b.WriteByte(0)
	for name, values := range r.Header {
		for i := range len(name) { // a token: ASCII
			c := name[i]
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b.WriteByte(c)
		}
		sep := ", "
		if name == "Cookie" {
			sep = "; "
		}
		b.WriteByte(0)
		for i, v := range values {
			if i > 0 {
				b.WriteString(sep)
			}
			b.WriteString(v)
		}
		b.WriteByte(0)
	}
	return b.String()
}

// publicForm builds the public form; the connection keeps only the packed one.
func (o *handshakeData) publicForm(auth json.RawMessage) *Handshake {
	h := &Handshake{
		Headers: map[string]string{},
		Time:    jsDate(time.UnixMilli(o.issuedMillis)),
		Address: o.remoteAddress,
		XDomain: o.crossDomain,
		Secure:  o.secure,
		Issued:  o.issuedMillis,
		URL:     o.url,
		Query:   map[string]string{},
		Auth:    auth,
	}
	for name, value := range o.eachHeader() {
		h.Headers[name] = value
	}
	if _, query, ok := strings.Cut(o.url, "?"); ok {
		h.Query = flatQuery(query)
	}
	return h
}

// eachHeader walks the packed headers.
func (o *handshakeData) eachHeader() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for rest := o.packedHeaders; rest != ""; {
			var name, value string
			name, rest, _ = strings.Cut(rest, "\x00")
			value, rest, _ = strings.Cut(rest, "\x00")
			if !yield(name, value) {
				return
			}
		}
	}
}

func (o *handshakeData) headerValue(name string) string {
	for n, value := range o.eachHeader() {
		if strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}

// flatQuery parses a query string; the last of equal keys wins (docs/protocol.md §1.1).
func flatQuery(query string) map[string]string {
	flat := map[string]string{}
	for {
		key, value, rest, ok := urlquery.Next(query)
		if !ok {
			return flat
		}
		flat[urlquery.Unescape(key)], query = urlquery.Unescape(value), rest
	}
}

// jsDate formats as JavaScript's Date.toString.
func jsDate(t time.Time) string {
	t = t.UTC()
	return t.Format("Mon Jan 02 2006 15:04:05 GMT-0700") + " (Coordinated Universal Time)"
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
