package callback

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"

	"posthouse/internal/sleep"

	"posthouse/internal/wechat"
)

const (
	maxBody     = 64 << 10                // docs/login.md §5
	bodyTime    = 3 * time.Second         // for the body to arrive
	answerTime  = 4450 * time.Millisecond // always within 4.5 s (docs/wechat.md §3.4 guarantee G9); WeChat gives up at 5 s
	silenceTime = 5200 * time.Millisecond // it has given up by then
)

// answer is what WeChat is told, and what the counters are.
type answer struct {
	kind, outcome string
	body          []byte
	contentType   string
	silent        bool
}

func answerSuccess(kind string) answer {
	return answer{kind: kind, outcome: "success", body: []byte("success")}
}

// answerReplay answers a delivery that was seen before: no effect, and nothing learnt.
func answerReplay(kind string) answer {
	return answer{kind: kind, outcome: "replay", body: []byte("success")}
}

// answerSilence leaves a push unanswered so that WeChat sends it again: the last
// resort when its effect is stored nowhere, for silence counts against us.
func answerSilence(kind string) answer { return answer{kind: kind, outcome: "silence", silent: true} }

// verifyURL answers the check that WeChat makes when the URL is saved.
func (a *account) verifyURL(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	q, err := wechat.ParseQuery(r.URL.RawQuery)
	var echo string
	if err == nil {
		echo, err = a.receiver.Echo(q)
	}
	if err != nil {
		a.refuseRequest(w, callVerify, err)
		return
	}
	a.bindPlain(r.Context(), q, "echo") // no push may reuse this query with a body
	writeAnswer(w, []byte(echo), "text/plain; charset=utf-8")
	a.handler.options.Metrics.Answered(a.Name, "verify", "echo", time.Since(start))
}

// servePush takes one pushed message. The order of checks goes from cheap to dear:
// nothing that needs the body, the store or the network happens before the
// query's signature and time were found good.
func (a *account) servePush(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	arrived := a.handler.options.Now()
	if r.ContentLength > maxBody {
		drainBody(w, r)
		a.turnAway(w, http.StatusRequestEntityTooLarge, callPush, "too_large", "")
		return
	}
	if !takeSlot(a.handler.limiter.workSlots) {
		w.Header().Set("Retry-After", "1")
		a.turnAway(w, http.StatusServiceUnavailable, callPush, "busy", "")
		return
	}
	ans, ok := func() (answer, bool) {
		defer giveSlotBack(a.handler.limiter.workSlots)
		// A WeChat that hangs up early must not undo half a claim.
		ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), start.Add(answerTime))
		defer cancel()
		d := &delivery{request: r, arrivedAt: start}
		return a.runGuarded(ctx, d, func() (answer, bool) {
			var ok bool
			if d.push, d.query, d.body, ok = a.openPush(w, r, arrived); !ok {
				return answer{}, false
			}
			if d.push == nil {
				return answerSuccess("other"), true
			}
			return a.handlePush(ctx, d), true
		})
	}()
	if !ok {
		return
	}
	a.handler.options.Metrics.Answered(a.Name, ans.kind, ans.outcome, time.Since(start))
	if ans.silent {
		a.handler.holdUntilGone(r.Context(), time.Until(start.Add(silenceTime)))
		panic(http.ErrAbortHandler) // net/http's way to close without an answer
	}
	writeAnswer(w, ans.body, ans.contentType)
}

// noteUnreadable notes a push that WeChat signed and that cannot be read. The answer is
// "success" all the same: an error would make WeChat stop the account's pushes, and
// with them the logins of others (docs/wechat.md §2.5).
func (a *account) noteUnreadable(err error) {
	a.handler.options.Metrics.Fault(a.Name, "unreadable")
	a.logNotice("unreadable", "unreadable", advice{meaning: "a signed push cannot be read and is answered success"},
		slog.String("detail", err.Error())) // a fixed text, nothing of the body
}

// openPush verifies and opens a push, or writes the refusal. The push is nil when it was
// signed and its envelope cannot be read.
func (a *account) openPush(w http.ResponseWriter, r *http.Request, now time.Time) (*wechat.Push, wechat.Query, []byte, bool) {
	q, err := wechat.ParseQuery(r.URL.RawQuery)
	if err == nil {
		err = a.receiver.Check(q, now)
	}
	if err != nil {
		if !a.handler.limiter.unsignedRate.Allow() {
			a.refuseFlood(w)
		} else {
			a.refuseRequest(w, callPush, err)
		}
		return nil, q, nil, false
	}
	if !a.handler.limiter.waitForSlot(r.Context()) {
		a.refuseFlood(w)
		return nil, q, nil, false
	}
	if !a.fromWeChat(r) {
		a.turnAway(w, http.StatusForbidden, callPush, "ip", a.handler.options.ClientIP(r).String())
		return nil, q, nil, false
	}
	body, err := readBody(w, r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		a.turnAway(w, http.StatusRequestEntityTooLarge, callPush, "too_large", "")
		return nil, q, nil, false
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		a.turnAway(w, http.StatusRequestTimeout, callPush, "slow_body", "")
		return nil, q, nil, false
	case err != nil:
		a.turnAway(w, http.StatusBadRequest, callPush, "malformed", "")
		return nil, q, nil, false
	}
	p, err := a.receiver.Open(q, body)
	switch {
	case errors.Is(err, wechat.ErrMalformed) && !errors.Is(err, wechat.ErrDoctype):
		a.noteUnreadable(err)
	case err != nil:
		a.refuseRequest(w, callPush, err)
		return nil, q, nil, false
	}
	return p, q, body, true
}

// drainBody takes some of a body that is not wanted, so that its sender gets to read
// the answer instead of a reset.
func drainBody(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(drainTime))
	if _, err := io.CopyN(io.Discard, r.Body, maxDrain); errors.Is(err, io.EOF) {
		_ = c.SetReadDeadline(time.Time{})
	}
}

const (
	drainTime = time.Second
	maxDrain  = 1 << 20
)

// readBody reads a body that must come soon.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	c := http.NewResponseController(w)
	// A server without deadlines (a test's recorder) is not slow either.
	_ = c.SetReadDeadline(time.Now().Add(bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		// The deadline would otherwise cancel the request while we work on it.
		_ = c.SetReadDeadline(time.Time{})
	}
	return body, err
}

func writeAnswer(w http.ResponseWriter, body []byte, contentType string) {
	if contentType == "" {
		contentType = "text/plain; charset=utf-8"
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff") // echostr is a reflection
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// holdUntilGone waits until WeChat has hung up, or surely will have.
func (h *Handler) holdUntilGone(ctx context.Context, d time.Duration) {
	if !takeSlot(h.limiter.silentSlots) {
		return // too many are silent already; closing at once is the lesser evil
	}
	defer giveSlotBack(h.limiter.silentSlots)
	_ = sleep.For(ctx, d) // either end will do
}
