package doctor

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ownAnswer is what a Posthouse tells the doctor (docs/doctor.md §3).
type ownAnswer struct {
	Server    string   `json:"server"`
	Now       int64    `json:"now"`       // milliseconds since 1970
	Direct    bool     `json:"direct"`    // no proxy: the connection is the doctor's own
	Trusted   bool     `json:"trusted"`   // the connection is that of a trusted proxy
	Spoofed   bool     `json:"spoofed"`   // the address that counts is the one that the doctor made up
	Forwarded []string `json:"forwarded"` // names of the X-Forwarded headers
	Scheme    string   `json:"scheme"`
	Host      string   `json:"host"`
	Query     string   `json:"query"`
	Headers   []string `json:"headers"` // names of the probe headers
	Webhooks  []string `json:"webhooks"`
	Redis     *struct {
		OK        bool    `json:"ok"`
		LatencyMS float64 `json:"latencyMs"`
		Policy    string  `json:"policy"`
	} `json:"redis"`
	Replica  string   `json:"replica"`
	Replicas int      `json:"replicas"`
	Reasons  []string `json:"reasons"`

	skew   time.Duration
	stream *streamAnswer
}

// streamAnswer is how an answer in two parts arrived.
type streamAnswer struct {
	held bool // both parts came together
	late time.Duration
}

const (
	// spoofedAddress is of a network for documentation.
	spoofedAddress = "192.0.2.77"
	// fromHeader carries the doctor's end of the connection.
	fromHeader = "X-Posthouse-Doctor"
	// probeQuery has characters that a careless proxy writes in another way.
	probeQuery = "q=a%2Bb%2Fc%3D"
	// streamPause is how long the server waits between two parts of an answer.
	streamPause = 500 * time.Millisecond
)

// probeHeaders have to reach the server.
var probeHeaders = http.Header{
	"Authorization": {"Bearer posthouse-doctor"}, "Cookie": {"posthouse-doctor=1"}, "Traceparent": {"00-0000000000000000000000000000d0c0-000000000000d0c0-00"},
}

// findPosthouse asks whether the server is a Posthouse, and what it sees.
func (w *walk) findPosthouse(ctx context.Context) {
	own, ok := w.askOwn(ctx, probeHeaders)
	if !ok {
		return
	}
	if spoofed, ok := w.askOwn(ctx, http.Header{"X-Forwarded-For": {spoofedAddress}}); ok {
		own.Spoofed = spoofed.Spoofed
	}
	// A busy machine delays a part of one answer: two answers have to agree. A server gives
	// few such answers at once, and says when to ask again.
	agree := map[bool]int{}
	for tries, waits := 0, 0; tries < 3; tries++ {
		stream, refused := w.askStream(ctx)
		if refused != nil && waits < 3 && waitAsAsked(ctx, refused) == nil {
			waits++
			tries-- // a refusal is none
		}
		if stream == nil {
			continue
		}
		if agree[stream.held]++; agree[stream.held] == 2 {
			own.stream = stream
			break
		}
	}
	w.own, w.isPosthouse = own, true
}

// askOwn asks the endpoint over a new connection, and names the doctor's end of it.
func (w *walk) askOwn(ctx context.Context, header http.Header) (own ownAnswer, ok bool) {
	w.untilTaken(ctx, func() (int, http.Header) {
		asked := time.Now()
		a, err := w.askOwnOnce(ctx, header)
		if err != nil {
			return 0, nil
		}
		middle := asked.Add(time.Since(asked) / 2)
		ok = a.status == http.StatusOK && json.Unmarshal([]byte(a.body), &own) == nil && own.Server == "posthouse"
		own.skew = time.UnixMilli(own.Now).Sub(middle)
		return a.status, a.header
	})
	return own, ok
}

func (w *walk) askOwnOnce(ctx context.Context, header http.Header) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	conn, err := w.target.dial(ctx, "http/1.1")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerTimeout))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.target.site.String()+w.target.path+"doctor?"+probeQuery, nil)
	if err != nil {
		return nil, err
	}
	r.Header = w.requestHeader(http.MethodGet)
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set(fromHeader, conn.LocalAddr().String())
	r.Close = true
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return &answer{status: resp.StatusCode, header: resp.Header, body: string(text)}, err
}

// askStream asks for an answer in two parts, and measures whether the first one comes first.
// A server that gives none at the moment has sent the header that says when to ask again.
func (w *walk) askStream(ctx context.Context) (stream *streamAnswer, refused http.Header) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var began time.Time
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { began = time.Now() }})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.target.site.String()+w.target.path+"doctor?stream=1", nil)
	if err != nil {
		return nil, nil
	}
	r.Header = w.requestHeader(http.MethodGet)
	r.Header.Set("Accept-Encoding", "gzip") // a proxy that compresses may hold answers back
	resp, err := w.target.fresh.Do(r)
	if err != nil {
		return nil, nil
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return nil, resp.Header
	default:
		return nil, nil
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		return nil, nil
	}
	arrived := time.Now()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 4096)); err != nil {
		return nil, nil
	}
	late, rest := arrived.Sub(began), time.Since(arrived)
	return &streamAnswer{held: late > streamPause*3/4 && rest < streamPause/4, late: late}, nil
}

// checkForwarded asks whether the server knows where requests come from.
func (w *walk) checkForwarded() {
	switch own := w.own; {
	case !w.isPosthouse:
		w.skip("forwarded", "only a Posthouse tells")
	case own.Direct:
		w.skip("forwarded", "no proxy before the server")
	case own.Spoofed:
		w.fail("forwarded", faultSpoofed, "an X-Forwarded-For that the client made up is believed: every client can be any address")
	case len(own.Forwarded) == 0 && w.hop == hopUnknown && !own.Trusted:
		w.skip("forwarded", "no X-Forwarded headers: a NAT, or a proxy that sends none")
	case !slices.Contains(own.Forwarded, "X-Forwarded-For"):
		w.fail("forwarded", faultForwarded, "X-Forwarded-For does not reach the server: all clients share one address and its limits")
	case !own.Trusted:
		w.failAt("forwarded", "the server", []string{"POSTHOUSE_TRUSTED_PROXIES: the address or network of the proxy"},
			"X-Forwarded-For comes from an address that is not trusted: all clients share one address and its limits")
	case w.target.site.Scheme == "https" && own.Scheme != "https":
		w.fail("forwarded", faultForwarded, "X-Forwarded-Proto does not say https to the server")
	default:
		w.ok("forwarded", "%s", strings.Join(own.Forwarded, ", "))
	}
}

// checkHeaders asks what a hop strips or changes.
func (w *walk) checkHeaders(ctx context.Context) {
	if w.failed("headers") { // answers are cached
		return
	}
	if !w.isPosthouse {
		c := &pollingConn{walk: w, revision: w.revision}
		a, err := w.ask(ctx, w.target.kept, http.MethodGet, w.target.url(c.query()), "", nil)
		switch {
		case err != nil:
			w.skip("headers", "%s", plain(err))
		case !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain"):
			w.fail("headers", faultHeaders, "Content-Type of a poll is %q, not text/plain", clip(a.header.Get("Content-Type")))
		default:
			w.ok("headers", "Content-Type is kept, answers are not cached; only a Posthouse tells of requests")
		}
		return
	}
	var missing []string
	for name := range probeHeaders {
		if !slices.Contains(w.own.Headers, name) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	switch {
	case len(missing) > 0:
		w.fail("headers", faultHeaders, "%s: does not reach the server", strings.Join(missing, ", "))
	case w.own.Query != probeQuery:
		w.fail("headers", faultPath, "the query string is changed on the way: %q arrives as %q", probeQuery, clip(w.own.Query))
	default:
		w.ok("headers", "Authorization, Cookie, Traceparent and the query string arrive")
	}
}

// checkWebhook asks whether WeChat can reach the gateway.
func (w *walk) checkWebhook(ctx context.Context) {
	for _, path := range w.own.Webhooks {
		address, err := url.JoinPath(w.target.site.String(), path)
		if err != nil {
			continue
		}
		a, err := w.ask(ctx, w.target.kept, http.MethodOptions, address, "", nil)
		if err != nil {
			w.fail("webhook", faultWebhook, "%s: %s", path, plain(err))
			return
		}
		if allow := a.header.Get("Allow"); !strings.Contains(allow, http.MethodGet) || !strings.Contains(allow, http.MethodPost) {
			w.fail("webhook", faultWebhook, "%s does not reach the gateway: %s", path, a)
			return
		}
	}
	w.ok("webhook", "%s reaches the gateway", strings.Join(w.own.Webhooks, ", "))
}

// maxSkew is the leeway of tokens.
const maxSkew = 30 * time.Second

// checkClock compares two clocks.
func (w *walk) checkClock() {
	skew := w.own.skew
	if skew.Abs() > maxSkew {
		w.failAt("clock", "the clock of the server, or of this machine", []string{"chrony or systemd-timesyncd on both (timedatectl)"},
			"the server's clock is %s off: tokens and WeChat's pushes are judged by it", skew.Round(time.Second))
		return
	}
	if skew.Abs() < time.Second {
		w.ok("clock", "within a second of this machine's")
		return
	}
	w.ok("clock", "%s from this machine's", skew.Round(time.Second/10))
}

// slowRedis is a latency that logins feel.
const slowRedis = 500 // milliseconds

// checkRedis judges what the server says of its Redis.
func (w *walk) checkRedis() {
	switch r := w.own.Redis; {
	case r == nil:
		w.skip("redis", "the server uses none")
	case !r.OK:
		w.failAt("redis", "Redis", []string{"POSTHOUSE_REDIS_URL, and whether that server runs"}, "Redis does not answer the server")
	case r.Policy != "" && r.Policy != "noeviction":
		w.failAt("redis", "Redis", []string{"redis.conf: maxmemory-policy noeviction"}, "maxmemory-policy is %s: logins are lost when memory is full", clip(r.Policy))
	case r.LatencyMS > slowRedis:
		w.failAt("redis", "Redis", []string{"Redis near the replicas; SLOWLOG GET"}, "Redis answers after %.0f ms", r.LatencyMS)
	default:
		policy := r.Policy
		if policy == "" {
			policy = "not told"
		}
		w.ok("redis", "answers in %.1f ms, maxmemory-policy %s", r.LatencyMS, clip(policy))
	}
}

// checkReplicas compares the replicas that answer with those that know each other.
func (w *walk) checkReplicas(ctx context.Context) {
	seen := map[string]bool{w.own.Replica: true}
	for range 6 {
		if own, ok := w.askOwn(ctx, nil); ok {
			seen[own.Replica] = true
		}
	}
	var list []string
	for name := range seen {
		list = append(list, clip(name))
	}
	slices.Sort(list)
	text := strings.Join(list, ", ")
	switch {
	case len(list) > max(w.own.Replicas, 1) && w.own.Redis == nil:
		w.failAt("replicas", "the replicas", []string{"POSTHOUSE_REDIS_URL: the same for all replicas"}, "%d replicas answer (%s), and they share no Redis", len(list), text)
	case len(list) > max(w.own.Replicas, 1):
		w.failAt("replicas", "the replicas", []string{"POSTHOUSE_REDIS_URL, POSTHOUSE_ADAPTER and POSTHOUSE_ADAPTER_KEY: the same for all replicas"},
			"%d replicas answer (%s), and this one knows %d", len(list), text, w.own.Replicas)
	default:
		w.ok("replicas", "%d known, answered by %s", max(w.own.Replicas, 1), text)
	}
	if len(w.own.Reasons) > 0 { // what /readyz says
		c := w.results["replicas"]
		c.Seen += "; /readyz: " + clip(strings.Join(w.own.Reasons, "; "))
		w.results["replicas"] = c
	}
}
