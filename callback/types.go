package callback

import (
	"posthouse/internal/login"
	"posthouse/internal/wechat"
)

// The types of Login, Dedupe and Account are the gateway's own; these names are for
// implementations in other modules.
type (
	// Claim is a person's scan, follow or code, as a verified push tells it.
	Claim = login.Claim
	// Ticket is one attempt to log in. An implementation fills in State, and Agent and
	// Network for the phrases that name them; Moved and Revoked say that a call changed
	// something.
	Ticket = login.Ticket
	// State is the state of a Ticket.
	State = login.State
	// Outcome is what a claim, a code or an answer did.
	Outcome = login.Outcome
	// Stage is what Dedupe knows of a push.
	Stage = login.WebhookStage
	// Notifier tells the replica that holds the browser's connection that its ticket
	// has changed. It does not block for long.
	Notifier = login.Notifier
	// Mode is how an account encrypts its pushes.
	Mode = wechat.Mode
	// Secret is a text that no log shows.
	Secret = wechat.Secret
)

// States of a Ticket that has been claimed.
const (
	Claimed = login.Claimed // waits for the confirm step
	Done    = login.Done
)

// Outcomes.
const (
	OutcomeClaimed   = login.OutcomeClaimed
	OutcomeSame      = login.OutcomeSame // the same person again
	OutcomeTaken     = login.OutcomeTaken
	OutcomeExpired   = login.OutcomeExpired
	OutcomeReplaced  = login.OutcomeReplaced
	OutcomeCancelled = login.OutcomeCancelled
	OutcomeUnknown   = login.OutcomeUnknown
	OutcomeForeign   = login.OutcomeForeign // another account's
	OutcomeDenied    = login.OutcomeDenied
	OutcomeLeft      = login.OutcomeLeft    // the person has left the account since
	OutcomeSpooled   = login.OutcomeSpooled // durable, and judged later
)

// Stages of a push.
const (
	StageFirst      = login.StageFirst // never seen: the caller works on it
	StageProcessing = login.StageProcessing
	StageDone       = login.StageDone
)

// Modes of an account, as WeChat's console names them.
const (
	Plain  = wechat.Plain
	Compat = wechat.Compat
	Secure = wechat.Secure
)
