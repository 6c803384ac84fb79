package callback

import "time"

// Metrics takes the webhook's counts. Every label comes from a closed set (and
// the configured accounts' names), whatever is sent. Implementations do not
// block.
type Metrics interface {
	// Answered counts an answer and how long it took. Kind says to what: verify,
	// login, code, confirm, forget, forward, other. Answer says how: echo,
	// success, reply, repeat, replay, upstream, silence, busy.
	Answered(account, kind, answer string, took time.Duration)
	// Refused counts a push that was turned away, by reason: a wechat.Reason, or
	// doctype, malformed, too_large, slow_body, ip, flood, busy, account.
	Refused(account, reason string)
	// Claimed counts what claims did, by login.Outcome or "error".
	Claimed(account, outcome string)
	// Fault counts what went wrong without a refusal: dedupe, notify, forget,
	// upstream, upstream_busy, upstream_reply, unreadable, panic, ip_unlisted.
	Fault(account, what string)
}

type noMetrics struct{}

func (noMetrics) Answered(_, _, _ string, _ time.Duration) {}
func (noMetrics) Refused(_, _ string)                      {}
func (noMetrics) Claimed(_, _ string)                      {}
func (noMetrics) Fault(_, _ string)                        {}
