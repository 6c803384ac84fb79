package login

import "time"

// Times that the stores agree on. The life of a ticket itself is as long as WeChat granted.
const (
	// Grace is how long after its end a ticket may still be claimed, because
	// WeChat's push was slow (docs/login.md §2).
	Grace = 15 * time.Second
	// confirmTime is what a person has at least to match the number.
	confirmTime = time.Minute
	// tail is how long an ended ticket still answers for itself, so that a browser
	// that comes back late is told how it ended.
	tail = 10 * time.Minute
	// repeatTime is how long a spent code may be exchanged again with the same
	// proofs: the first HTTP answer may have been lost.
	repeatTime = 30 * time.Second
	// wrongVerifiers burn a code.
	wrongVerifiers = 5
)

// maxTokens is how many tokens of a person are known at once; of more, the oldest are
// left to their end.
const maxTokens = 64

// tokenEnds is when the token of a ticket that was just claimed ends at the latest: a
// confirm step may take its time. It is no earlier than the ticket's own last word.
func (t Ticket) tokenEnds(now time.Time, life time.Duration) time.Time {
	if t.State == Claimed {
		now = laterOf(now, t.ExpiresAt)
	}
	return now.Add(max(life, tail))
}

// leftTime is how long an event may be late and is still told from one of a later
// visit: longer than WeChat repeats a push and a ticket lives by default.
const leftTime = time.Hour

// eventTime is at as WeChat tells times, in whole seconds.
func eventTime(at time.Time) time.Time { return time.Unix(at.Unix(), 0) }

// isNewer reports whether a claim of the time event is none of the business of a later
// event of the time at; a zero at is about everything so far.
func isNewer(event, at time.Time) bool { return !at.IsZero() && event.After(at) }

// forgotten stands where a person's openid was: not empty, for then the ticket
// could be claimed again.
const forgotten = "-"
