package gateway

import (
	"log/slog"
	"net/http"
	"time"

	"posthouse/internal/loglimit"
)

// forwardingLines tell the operator of X-Forwarded-For headers that do not fit
// POSTHOUSE_TRUSTED_PROXIES: either way all clients of a proxy share one address and the
// limits of one. A line comes every ten minutes for each peer, and of few peers, since
// every client can send the header.
type forwardingLines struct {
	log   *slog.Logger
	lines loglimit.Keyed // by reason and peer
}

func newForwardingLines(log *slog.Logger) *forwardingLines {
	return &forwardingLines{log: log, lines: loglimit.Keyed{Every: 10 * time.Minute, MaxKeys: 8}}
}

// noteForwarding looks at a request that opens a connection.
func (f *forwardingLines) noteForwarding(r *http.Request, peerIsTrusted bool) {
	_, forwarded := r.Header["X-Forwarded-For"]
	if forwarded == peerIsTrusted {
		return
	}
	reason, meaning := "untrusted_proxy", "X-Forwarded-For of a peer that is no trusted proxy is ignored"
	fix := "if the peer is your proxy, name it in POSTHOUSE_TRUSTED_PROXIES: until then its clients share one address and its limits"
	if peerIsTrusted {
		reason, meaning = "no_forwarded_for", "a trusted proxy sends no X-Forwarded-For"
		fix = "let the proxy send it (nginx: proxy_set_header X-Forwarded-For $remote_addr): until then its clients share one address and its limits"
	}
	peer := peerAddr(r.RemoteAddr).String()
	if held, ok := f.lines.Allow(reason + " " + peer); ok {
		f.log.Warn("gateway: "+meaning, "reason", reason, "peer", peer, "fix", fix, "not_logged", held)
	}
}
