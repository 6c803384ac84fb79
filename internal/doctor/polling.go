package doctor

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// stickySessions is how many sessions have to survive two polls: a balancer of two
// servers that hashes the query sends the polls of one in two sessions elsewhere.
const stickySessions = 20

// checkSticky polls twice in each of many sessions, half of them over new connections.
func (w *walk) checkSticky(ctx context.Context) {
	if w.isCached {
		w.skip("sticky", "polls are cached")
		return
	}
	for i := range stickySessions {
		w.options.Progress(fmt.Sprintf("sticky %d/%d", i+1, stickySessions))
		client := w.target.fresh
		if i%2 == 1 {
			client = w.target.kept
		}
		err := w.pollTwice(ctx, client)
		switch {
		case err == nil:
			continue
		case errors.Is(err, errUnknownSession) && w.isPosthouse:
			w.failAt("sticky", "the replicas: they do not relay to each other", []string{
				"POSTHOUSE_REDIS_URL and POSTHOUSE_ADAPTER_KEY: the same for all replicas",
				"POSTHOUSE_ADVERTISE: an address at which the other replicas reach this one",
				"POSTHOUSE_JWT_KEY: the same for all replicas"}, "session %d of %d: %s", i+1, stickySessions, err)
		case errors.Is(err, errUnknownSession):
			w.fail("sticky", faultSticky, "session %d of %d: %s: its polls went to different servers", i+1, stickySessions, err)
		default:
			w.skip("sticky", "polling does not work")
			w.failPolling(err)
		}
		return
	}
	w.isSticky = true
	w.ok("sticky", "%d sessions, none lost", stickySessions)
}

// pollTwice opens a session, and polls it for what it was sent.
func (w *walk) pollTwice(ctx context.Context, client *http.Client) error {
	c, err := w.openPolling(ctx, client, w.revision)
	if err != nil {
		return err
	}
	defer c.close()
	return w.echo(ctx, c, 0)
}

func (w *walk) failPolling(err error) {
	f, what := faultPath, ""
	if errors.Is(err, context.DeadlineExceeded) {
		f, what = faultBuffering, ": the answer is held back"
	}
	if refused, ok := errors.AsType[*statusError](err); ok {
		w.noticeHop(refused.answer.header, refused.answer.body)
	}
	w.fail("polling", f, "%s%s", plain(err), what)
}

// checkPolling measures a round trip by polling.
func (w *walk) checkPolling(ctx context.Context) {
	if !w.isSticky {
		if !w.failed("polling") {
			w.skip("polling", "needs sticky sessions")
		}
		return
	}
	c, err := w.openPolling(ctx, w.target.kept, w.revision)
	if err != nil {
		w.failPolling(err)
		return
	}
	defer c.close()
	began := time.Now()
	if err := w.echo(ctx, c, 0); err != nil {
		w.failPolling(err)
		return
	}
	w.ok("polling", "a round trip in %s", shortTime(time.Since(began)))
}

// checkCompression looks for compressed WebSocket messages and answers. Both are the
// server's choice; broken ones are not.
func (w *walk) checkCompression(ctx context.Context) {
	w.options.Progress("compression")
	var seen []string
	if w.hasSocket {
		c, err := w.openSocket(ctx, websocket.CompressionNoContextTakeover)
		if err != nil {
			w.fail("compression", faultCompression, "a WebSocket that offers permessage-deflate does not open: %s", plain(err))
			return
		}
		defer c.close()
		if strings.Contains(c.extensions, "permessage-deflate") {
			if err := w.echo(ctx, c, 4096); err != nil {
				w.fail("compression", faultCompression, "permessage-deflate is agreed on, and a compressed message does not arrive: %s", plain(err))
				return
			}
			seen = append(seen, "permessage-deflate")
		}
	}
	encoding, err := w.compressedAnswer(ctx)
	if err != nil {
		w.fail("compression", faultCompression, "an answer with Content-Encoding %s cannot be read: %s", clip(encoding), plain(err))
		return
	}
	if encoding != "" {
		seen = append(seen, "Content-Encoding "+clip(encoding))
	}
	if len(seen) == 0 {
		w.skip("compression", "none")
		return
	}
	w.ok("compression", "%s", strings.Join(seen, ", "))
}

// compressedAnswer makes a handshake whose answer may be compressed, and reads it.
func (w *walk) compressedAnswer(ctx context.Context) (encoding string, err error) {
	c := &pollingConn{walk: w, revision: w.revision}
	a, err := w.ask(ctx, w.target.kept, http.MethodGet, w.target.url(c.query()), "", http.Header{"Accept-Encoding": {"gzip"}})
	if err != nil {
		return "", err
	}
	if encoding = a.header.Get("Content-Encoding"); encoding == "" || encoding == "identity" {
		return "", nil
	}
	r, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		return encoding, err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
	return encoding, err
}

// shortTime is a duration with as many digits as matter.
func shortTime(d time.Duration) string {
	if d > time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}
