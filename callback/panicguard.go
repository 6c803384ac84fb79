package callback

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"
)

// panicTTL is how long a push whose handling panicked is remembered: WeChat's repeats
// come within 15 s.
const panicTTL = time.Minute

// runGuarded runs the work on a push; a panic in it becomes an answer. An error page would
// count against the account and be repeated in vain (docs/wechat.md §2.5). A push whose
// effect could be lost stays unanswered, so that WeChat sends it again; when it panics
// again, and where there is no such effect, the answer is "success". ok says that ans is
// to be written; a refusal has been.
func (a *account) runGuarded(ctx context.Context, d *delivery, do func() (answer, bool)) (ans answer, ok bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		a.reportPanic(v)
		ok = true
		if !d.hasEffect {
			ans = answerSuccess("other")
			return
		}
		// The store may be what panics.
		defer func() {
			if v := recover(); v != nil {
				a.reportPanic(v)
			}
		}()
		r := remembered{Delivery: a.deliveryKey(d.query), Panicked: !d.afterPanic}
		ans = answerSilence(d.kind)
		if d.afterPanic {
			ans = answerSuccess(d.kind)
		}
		if blob, err := json.Marshal(r); err == nil {
			a.markDone(ctx, d.key, blob, panicTTL)
		}
	}()
	return do()
}

// reportPanic counts and logs a panic. A value that is not the runtime's may hold what
// no log may: its type has to do.
func (a *account) reportPanic(v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares the very value
		panic(v)
	}
	if more, ok := a.handler.panicLines.Allow(); ok {
		text := fmt.Sprintf("%T", v)
		if e, ok := v.(runtime.Error); ok {
			text = e.Error()
		}
		a.handler.options.Logger.Error("webhook: panic in the work on a push", slog.String("account", a.Name),
			slog.String("panic", text), slog.String("stack", string(debug.Stack())), slog.Int64("not_logged", more))
	}
	a.handler.options.Metrics.Fault(a.Name, "panic")
}
