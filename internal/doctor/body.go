package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/coder/websocket"
)

const (
	smallBody = 100_000
	largeBody = 1_000_000
	// defaultMaxPayload is Node's, for servers that announce none.
	defaultMaxPayload = 1_000_000
)

// checkBodies sends two messages that meet the body limits and buffers of proxies. They
// stay within what the server takes.
func (w *walk) checkBodies(ctx context.Context) {
	limit := w.open.MaxPayload
	if limit == 0 {
		limit = defaultMaxPayload
	}
	if !w.isSticky && !w.hasSocket {
		w.skip("body-100k", "needs polling or a WebSocket")
		w.skip("body-1m", "needs polling or a WebSocket")
		return
	}
	size := min(smallBody, limit)
	if !w.checkBody(ctx, "body-100k", size, limit) {
		w.skip("body-1m", "a smaller one does not arrive")
		return
	}
	w.checkBuffering(ctx)
	if limit <= smallBody {
		w.skip("body-1m", "the server takes %s", sizeText(limit))
		return
	}
	w.options.Progress("body-1m")
	w.checkBody(ctx, "body-1m", min(largeBody, limit), limit)
}

// checkBuffering asks whether a proxy keeps answers, which only a Posthouse helps to see.
func (w *walk) checkBuffering(ctx context.Context) {
	if w.isPosthouse && w.own.stream != nil && w.own.stream.held {
		w.fail("body-100k", faultBuffering, "the first part of an answer came %s late, with the last one: answers are buffered",
			shortTime(w.own.stream.late))
		return
	}
	switch w.isBuffered(ctx) {
	case yes:
		w.fail("body-100k", faultBuffering, "16 MiB of an answer that nobody reads were taken: answers are buffered, and the server cannot see slow clients")
	case no:
		w.addToBody(", answers are not buffered")
	case unknown:
		if w.isPosthouse && !w.own.Direct {
			w.addToBody("; whether answers are buffered was not told: the server was busy with others who asked")
		}
	}
}

func (w *walk) addToBody(text string) {
	c := w.results["body-100k"]
	c.Seen += text
	w.results["body-100k"] = c
}

// checkBody sends one size over each transport.
func (w *walk) checkBody(ctx context.Context, name string, size, limit int) bool {
	ways := ""
	if w.isSticky {
		if err := w.bodyByPolling(ctx, size); err != nil {
			w.failBody(name, size, err)
			return false
		}
		ways = "polling"
	}
	if w.hasSocket {
		c, err := w.openSocket(ctx, websocket.CompressionDisabled)
		if err == nil {
			err = w.echo(ctx, c, size)
			c.close()
		}
		if err != nil {
			w.fail(name, faultBody, "%s by WebSocket: %s", sizeText(size), plain(err))
			return false
		}
		if ways != "" {
			ways += " and "
		}
		ways += "WebSocket"
	}
	announced := ""
	if size == w.open.MaxPayload {
		announced = ", all that the server takes,"
	}
	w.ok(name, "%s%s by %s", sizeText(size), announced, ways)
	return true
}

func (w *walk) bodyByPolling(ctx context.Context, size int) error {
	c, err := w.openPolling(ctx, w.target.kept, w.revision)
	if err != nil {
		return err
	}
	defer c.close()
	return w.echo(ctx, c, size)
}

func (w *walk) failBody(name string, size int, err error) {
	f, why := faultBody, plain(err)
	if refused, ok := errors.AsType[*statusError](err); ok {
		w.noticeHop(refused.answer.header, refused.answer.body)
		switch {
		case refused.answer.status == http.StatusGatewayTimeout || refused.answer.status == http.StatusRequestTimeout:
			f = faultIdle
			w.timedOut = append(w.timedOut, name)
		case refused.answer.status >= http.StatusInternalServerError:
			f = faultBodyBuffer
			why += ": the hop could not buffer the body"
		}
	}
	w.fail(name, f, "%s by polling: %s", sizeText(size), why)
}

// sizeText is a number of bytes for people.
func sizeText(n int) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%.4g MB", float64(n)/1e6)
	case n >= 1000:
		return fmt.Sprintf("%.4g KB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
