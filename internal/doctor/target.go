package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"posthouse/internal/sleep"
)

// target is the server as its URL names it.
type target struct {
	site      *url.URL // scheme and host
	path      string   // of Socket.IO, with slashes at both ends
	namespace string
	origin    string // of the site's own pages
	tls       *tls.Config
	cookies   http.CookieJar // one for all sessions, as in a browser
	fresh     *http.Client   // with a connection for each request
	kept      *http.Client   // with connections that are used again
}

// parseTarget reads the options. A host without a scheme is https, on loopback http.
func parseTarget(o Options) (*target, error) {
	text := o.URL
	if !strings.Contains(text, "://") {
		scheme := "https://"
		host, _, _ := strings.Cut(text, "/")
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if addr, err := netip.ParseAddr(host); host == "localhost" || err == nil && addr.IsLoopback() {
			scheme = "http://"
		}
		text = scheme + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("doctor: %q is no URL; write it as https://www.example.com", o.URL)
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return nil, fmt.Errorf("doctor: %q is no URL of a web server; write it as https://www.example.com", o.URL)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	t := &target{
		site:      &url.URL{Scheme: u.Scheme, Host: u.Host},
		path:      "/" + strings.Trim(o.Path, "/") + "/",
		namespace: "/" + strings.Trim(u.Path, "/"),
		cookies:   jar,
		tls:       &tls.Config{ServerName: u.Hostname(), RootCAs: o.Roots},
	}
	if strings.Trim(o.Path, "/") == "" {
		t.path = "/socket.io/"
	}
	t.origin = t.site.String()
	if host, port, err := net.SplitHostPort(u.Host); err == nil && (port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https") {
		t.origin = u.Scheme + "://" + host // browsers leave the default port out
	}
	t.fresh = t.client(&http.Transport{DisableKeepAlives: true, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}})
	t.kept = t.client(&http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}})
	return t, nil
}

// client makes a client that follows no redirects and asks no proxy of the environment.
func (t *target) client(transport *http.Transport) *http.Client {
	transport.TLSClientConfig = t.tls.Clone()
	transport.TLSHandshakeTimeout = answerTimeout
	transport.DialContext = (&net.Dialer{Timeout: answerTimeout}).DialContext
	transport.DisableCompression = true
	return &http.Client{
		Transport: transport, Jar: t.cookies,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// close ends the connections that wait to be used again.
func (t *target) close() {
	t.fresh.CloseIdleConnections()
	t.kept.CloseIdleConnections()
}

// address is where the connections go.
func (t *target) address() string {
	port := t.site.Port()
	if port == "" {
		port = "80"
		if t.site.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(t.site.Hostname(), port)
}

// dial opens a plain connection, through TLS when the scheme says so.
func (t *target) dial(ctx context.Context, protocols ...string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if t.site.Scheme == "http" {
		return (&net.Dialer{}).DialContext(ctx, "tcp", t.address())
	}
	config := t.tls.Clone()
	config.NextProtos = protocols
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", t.address())
}

// url is an address of the engine.
func (t *target) url(query string) string { return t.site.String() + t.path + "?" + query }

// answer is a response that was read whole.
type answer struct {
	status int
	header http.Header
	body   string
	took   time.Duration
}

// isEngine reports whether the answer is one of an Engine.IO server's refusals.
func (a *answer) isEngine() bool {
	return a.status == http.StatusBadRequest && strings.Contains(a.body, `"code"`) || strings.Contains(a.body, `"message":"Session ID unknown"`)
}

// code is that of an Engine.IO refusal, -1 for other answers.
func (a *answer) code() int {
	if !a.isEngine() {
		return -1
	}
	_, rest, _ := strings.Cut(a.body, `"code":`)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	n, err := strconv.Atoi(rest[:max(end, 0)])
	if err != nil {
		return -1
	}
	return n
}

// String is an answer in a few words.
func (a *answer) String() string {
	text := strings.Join(strings.Fields(a.body), " ")
	if strings.HasPrefix(text, "<") || text == "" { // a page says no more than its status
		return fmt.Sprintf("%d %s", a.status, http.StatusText(a.status))
	}
	return fmt.Sprintf("%d %s", a.status, clip(text))
}

// clip keeps a line short and free of control characters.
func clip(text string) string {
	const limit = 120
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

// ask sends a request and reads its answer, which has to come soon. A refusal for the rate
// of requests is waited for.
func (w *walk) ask(ctx context.Context, client *http.Client, method, address, body string, header http.Header) (a *answer, err error) {
	w.untilTaken(ctx, func() (int, http.Header) {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		if a, err = w.askOnce(ctx, client, method, address, body, header); err != nil {
			return 0, nil
		}
		return a.status, a.header
	})
	return a, err
}

// untilTaken repeats a request that is refused for the rate of requests (429), three times
// at most and when the answer says so. The doctor shares that limit with whatever else is at
// its address: a check that fails for it blames no proxy.
func (w *walk) untilTaken(ctx context.Context, once func() (status int, header http.Header)) {
	for try := 0; ; try++ {
		status, header := once()
		switch {
		case status != http.StatusTooManyRequests:
			return
		case try == 3 || waitAsAsked(ctx, header) != nil:
			w.limited.Store(true)
			return
		}
	}
}

// waitAsAsked waits for as long as Retry-After says, within reason.
func waitAsAsked(ctx context.Context, header http.Header) error {
	seconds, _ := strconv.Atoi(header.Get("Retry-After")) // 0 when it is a date
	return sleep.For(ctx, time.Duration(min(max(seconds, 1), 5))*time.Second)
}

func (w *walk) askOnce(ctx context.Context, client *http.Client, method, address, body string, header http.Header) (*answer, error) {
	var payload io.Reader
	if method == http.MethodPost {
		payload = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, address, payload)
	if err != nil {
		return nil, err
	}
	r.Header = w.requestHeader(method)
	for name, values := range header {
		r.Header[name] = values
	}
	began := time.Now()
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	return &answer{status: resp.StatusCode, header: resp.Header, body: string(text), took: time.Since(began)}, err
}

// requestHeader is what a browser would send from a page of the site.
func (w *walk) requestHeader(method string) http.Header {
	h := http.Header{"User-Agent": {"posthouse-doctor"}, "Accept": {"*/*"}}
	if method == http.MethodPost {
		h.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	if w.useOrigin && (method == http.MethodPost || w.options.Origin != "") {
		h.Set("Origin", w.pageOrigin())
	}
	return h
}

// pageOrigin is that of the pages that use the server.
func (w *walk) pageOrigin() string {
	if w.options.Origin != "" {
		return strings.TrimRight(w.options.Origin, "/")
	}
	return w.target.origin
}

// pace waits for the turn of a handshake.
func (w *walk) pace(ctx context.Context) {
	_ = sleep.For(ctx, time.Until(w.opened.Add(handshakePause))) // the handshake itself tells the end of ctx
	w.opened = time.Now()
}

// plain is an error without the parts that repeat the request.
func plain(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "no answer in time"
	}
	return clip(err.Error())
}
