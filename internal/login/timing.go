package login

import "time"

// What the stores agree on. The life of a ticket itself is what WeChat granted.
const (
	// Grace is how long after its end a ticket may still be claimed, because
	// WeChat's push was slow (LOGIN.md §2).
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

// forgotten stands where a person's openid was: not empty, for then the ticket
// could be claimed again.
const forgotten = "-"
