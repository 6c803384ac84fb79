package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
)

var errNoOpenPacket = errors.New("no handshake of Engine.IO")

// parseOpen reads the first packet of a session.
func parseOpen(packets []string) (open openPacket, err error) {
	if len(packets) == 0 || !strings.HasPrefix(packets[0], "0{") {
		return open, errNoOpenPacket
	}
	if err := json.Unmarshal([]byte(packets[0][1:]), &open); err != nil || open.SID == "" {
		return open, errNoOpenPacket
	}
	return open, nil
}

// framed3 is the beginning of a revision 3 payload.
var framed3 = regexp.MustCompile(`^\d+:0\{`)

// checkHandshakes makes both handshakes. The newer one that works serves the other checks.
func (w *walk) checkHandshakes(ctx context.Context) bool {
	// An own Origin that is refused is one culprit for checkOrigin, not for all.
	if a, err := w.ask(ctx, w.target.kept, http.MethodGet, w.target.url("EIO=4&transport=doctor"), "",
		http.Header{"Origin": {w.pageOrigin()}}); err == nil {
		w.useOrigin = a.status != http.StatusForbidden
	}
	why4 := w.checkHandshake(ctx, "handshake-eio4", 4)
	why3 := w.checkHandshake(ctx, "handshake-eio3", 3)
	if w.revision != 0 {
		w.checkCache(ctx)
		return true
	}
	text := plain(why4)
	if refused, ok := errors.AsType[*statusError](why4); ok {
		w.noticeHop(refused.answer.header, refused.answer.body)
		if refused.answer.code() >= 0 {
			w.failAt("handshake-eio4", "the server", []string{"server: allowRequest, cors.origin, transports"}, "%s", text)
			return false
		}
	}
	w.fail("handshake-eio4", faultPath, "%s; EIO 3: %s", text, plain(why3))
	return false
}

// checkHandshake makes one handshake, and says why it did not work.
func (w *walk) checkHandshake(ctx context.Context, name string, revision int) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	c, err := w.openPolling(ctx, w.target.kept, revision)
	if err != nil {
		switch refused, ok := errors.AsType[*statusError](err); {
		case ok && refused.answer.code() == 5:
			w.skip(name, "the server does not speak this revision")
		case revision == 4 && framed3.MatchString(errorBody(err)):
			w.skip(name, "the server answers in revision 3 (Socket.IO 2)")
		default:
			w.skip(name, "%s", plain(err))
		}
		return err
	}
	defer c.close()
	size := ""
	if c.open.MaxPayload > 0 {
		size = ", maxPayload " + sizeText(c.open.MaxPayload)
	}
	w.ok(name, "pingInterval %d ms, pingTimeout %d ms%s", c.open.PingInterval, c.open.PingTimeout, size)
	if w.revision == 0 {
		w.revision, w.open = revision, c.open
	}
	return nil
}

// checkCache makes another handshake: two with one id come from a cache.
func (w *walk) checkCache(ctx context.Context) {
	c, err := w.openPolling(ctx, w.target.kept, w.revision)
	if err != nil {
		return // checkSticky says more
	}
	if w.isCached = c.open.SID == w.open.SID; w.isCached {
		w.fail("headers", faultCache, "two handshakes got one session id: polls are answered by a cache")
		return
	}
	c.close()
}

// errorBody is the text of the answer in an error.
func errorBody(err error) string {
	_, text, _ := strings.Cut(err.Error(), ": 200 ")
	return text
}
