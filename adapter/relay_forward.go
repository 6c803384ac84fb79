package adapter

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// forwarder carries requests and WebSockets of sessions to the replicas that hold them.
type forwarder struct {
	relay          *Relay
	transport      *http.Transport
	requestHeaders []string // headers that go to the owner
	answerHeaders  []string // headers that come back

	mu             sync.Mutex
	relayedPolls   map[*relayedPoll]struct{}   // GETs that wait at their owners
	relayedSockets map[*relayedSocket]struct{} // upgraded connections
	draining       bool
	drained        chan struct{} // while draining: closed when nothing is left
}

const (
	// relayWrite is how long a client may take none of what is relayed to it.
	relayWrite = 10 * time.Second
	// maxAnswerHead bounds the head of an owner's answer.
	maxAnswerHead = 64 << 10
)

// requestHeaders are what the protocol, CORS, proxies and the owner's judgement of
// origins and addresses need of a request; answerHeaders likewise of an answer.
var (
	requestHeaders = []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Type", "Cookie", "Origin", "Referer", "User-Agent",
		"Access-Control-Request-Headers", "Access-Control-Request-Method",
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id",
		"Traceparent", "Tracestate",
	}
	upgradeHeaders = []string{"Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Protocol", "Sec-Websocket-Version"}
	answerHeaders  = []string{
		"Cache-Control", "Content-Encoding", "Content-Type", "Date", "Retry-After", "Vary", "X-Content-Type-Options", "X-Xss-Protection",
		"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods", "Access-Control-Allow-Origin",
		"Access-Control-Expose-Headers", "Access-Control-Max-Age", "Access-Control-Allow-Private-Network",
	}
	switchHeaders = []string{"Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol"}
	// answerStatus are what an engine and the limits before it answer.
	answerStatus = []int{
		http.StatusOK, http.StatusNoContent, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden,
		http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusServiceUnavailable,
	}
	// answerTypes are those of the protocol; a page is none of them.
	answerTypes = []string{"text/plain", "application/octet-stream", "application/json", "text/javascript"}
)

func newForwarder(r *Relay) *forwarder {
	l := &forwarder{
		relay:          r,
		requestHeaders: slices.Clone(requestHeaders), answerHeaders: slices.Clone(answerHeaders),
		relayedPolls: map[*relayedPoll]struct{}{}, relayedSockets: map[*relayedSocket]struct{}{}, drained: make(chan struct{}),
	}
	for _, name := range r.options.Headers {
		l.requestHeaders = append(l.requestHeaders, http.CanonicalHeaderKey(name))
		l.answerHeaders = append(l.answerHeaders, http.CanonicalHeaderKey(name))
	}
	l.transport = &http.Transport{
		// The host of a request's URL is the owner's tag, so that a connection only
		// carries what is for the replica that proved itself on it.
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d, _ := ctx.Value(destinationKey{}).(destination)
			return r.dialReplica(ctx, d)
		},
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: maxAnswerHead,
		DisableCompression:     true,
	}
	return l
}

type destinationKey struct{}

// outgoingRequest makes the request to the owner: nothing of the original goes along but
// its query, its body and the headers that are known.
func (l *forwarder) outgoingRequest(req *http.Request, d destination, sid, kind string) *http.Request {
	ctx := context.WithValue(req.Context(), destinationKey{}, d)
	out := (&http.Request{
		Method: req.Method,
		URL:    &url.URL{Scheme: "http", Host: d.tag, Path: l.relay.options.Path, RawQuery: req.URL.RawQuery},
		// The owner judges origins and addresses as if the balancer had come to it.
		Host: req.Host, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if req.Method == http.MethodPost {
		out.Body, out.ContentLength = req.Body, req.ContentLength
	}
	copyHeaders(out.Header, req.Header, l.requestHeaders)
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = []string{""} // none of net/http's own
	}
	out.Header.Set(relayHeader, l.relay.relayKeys.requestMark(kind, l.relay.currentTag(), d.tag, sid))
	return out
}

func copyHeaders(to, from http.Header, names []string) {
	for _, name := range names {
		if values := from[name]; len(values) > 0 {
			to[name] = values
		}
	}
}

// serveRelayed relays one request.
func (l *forwarder) serveRelayed(w http.ResponseWriter, req *http.Request, d destination, sid string) {
	if isWebSocket(req) {
		l.serveUpgrade(w, req, d, sid)
		return
	}
	kind := markRelay
	if req.Method == http.MethodGet {
		p := &relayedPoll{destination: d, sessionID: sid}
		if l.addPoll(p) {
			defer l.removePoll(p)
		} else {
			kind = markBrief
		}
	}
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Time{}) // the owner decides how long a poll lasts
	resp, err := l.transport.RoundTrip(l.outgoingRequest(req, d, sid, kind))
	if err != nil {
		l.answerFailure(w, req, d, err)
		return
	}
	defer resp.Body.Close()
	if l.isDraining() {
		w.Header().Set("Connection", "close") // the next request is better off elsewhere
	}
	l.passAnswer(w, req, rc, resp)
}

// passAnswer hands the owner's answer on, if it is one that an engine gives.
func (l *forwarder) passAnswer(w http.ResponseWriter, req *http.Request, rc *http.ResponseController, resp *http.Response) {
	if !isProtocolAnswer(resp) {
		l.relay.counters.failed.Add(1)
		if _, ok := l.relay.untrustedLines.Allow(); ok {
			l.relay.log.Warn("adapter: an owner's answer is not of the protocol, and not passed on", "status", resp.StatusCode)
		}
		unknownSession(w)
		return
	}
	l.relay.counters.relayed.Add(1)
	copyHeaders(w.Header(), resp.Header, l.answerHeaders)
	if length := resp.Header.Get("Content-Length"); length != "" {
		w.Header().Set("Content-Length", length)
	}
	w.WriteHeader(resp.StatusCode)
	_ = rc.SetWriteDeadline(time.Now().Add(relayWrite))
	defer rc.SetWriteDeadline(time.Time{}) //nolint:errcheck // some writers have none
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	_ = rc.Flush()
}

// isProtocolAnswer tells the answers of the protocol from everything else.
func isProtocolAnswer(resp *http.Response) bool {
	if !slices.Contains(answerStatus, resp.StatusCode) {
		return false
	}
	text := resp.Header.Get("Content-Type")
	if text == "" {
		return resp.ContentLength == 0 || resp.StatusCode == http.StatusNoContent
	}
	kind, _, err := mime.ParseMediaType(text)
	if err == nil && kind == "text/html" {
		return resp.ContentLength == int64(len("ok")) // of a POST
	}
	return err == nil && slices.Contains(answerTypes, kind)
}

// answerFailure answers for an owner that could not be reached.
func (l *forwarder) answerFailure(w http.ResponseWriter, req *http.Request, d destination, err error) {
	var op *net.OpError
	switch {
	case errors.Is(err, errUntrusted):
		l.relay.rememberOwner(d.tag, "")
		l.relay.reportDistrust(err.Error(), d.tag, d.addr)
	case errors.As(err, &op) && op.Op == "dial" && !op.Timeout():
		l.relay.rememberOwner(d.tag, "")
		l.relay.log.Warn("adapter: owner of a session does not answer", "owner", d.tag)
	}
	if req.Context().Err() != nil {
		return // the client left
	}
	l.relay.counters.failed.Add(1)
	l.relay.log.Debug("adapter: request not relayed", "owner", d.tag, "error", err)
	unknownSession(w)
}

func isWebSocket(req *http.Request) bool {
	return hasToken(req.Header["Connection"], "upgrade") && hasToken(req.Header["Upgrade"], "websocket")
}

func hasToken(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// RelayStats counts what a Relay did since it was made; Polls and Sockets are now.
type RelayStats struct {
	Relayed   uint64 // requests answered by their owner, upgrades included
	Unknown   uint64 // requests for owners that are not known to live
	Failed    uint64 // requests that their owner did not answer, or not as an engine does
	Untrusted uint64 // owners that did not prove to be a replica, or whose entry is forged
	TakenBack uint64 // times this replica's entry in Redis had been replaced
	Polls     int    // polls that wait at their owners
	Sockets   int    // WebSockets that are relayed
}

// relayCounters is RelayStats while it grows.
type relayCounters struct {
	relayed, unknown, failed, untrusted, takenBack atomic.Uint64
}

// Stats returns what happened so far.
func (r *Relay) Stats() RelayStats {
	s := RelayStats{
		Relayed: r.counters.relayed.Load(), Unknown: r.counters.unknown.Load(), Failed: r.counters.failed.Load(),
		Untrusted: r.counters.untrusted.Load(), TakenBack: r.counters.takenBack.Load(),
	}
	r.forwarder.mu.Lock()
	defer r.forwarder.mu.Unlock()
	s.Polls, s.Sockets = len(r.forwarder.relayedPolls), len(r.forwarder.relayedSockets)
	return s
}
