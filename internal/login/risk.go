package login

import (
	"context"
	"time"
)

// Marks are what a login is recognized by. They are hashed together with the person,
// whose openid nobody can guess: what the store remembers names no network, no
// browser and nobody, and cannot be compared between persons.
type Marks struct {
	Ticket, Network, Browser string // "" is unknown, and never recognized
}

// Unusual says why a login is to be confirmed, in words for metrics; "" when nothing
// is unusual about it.
type Unusual string

const (
	UnusualNetwork Unusual = "network"   // the person has not logged in from there
	UnusualBrowser Unusual = "browser"   // nor with this browser
	UnusualOften   Unusual = "often"     // too many logins of the person of late
	UnusualUnknown Unusual = "undecided" // the store could not tell
)

const (
	// markLife is how long a network or browser stays known after its last login.
	markLife = 90 * 24 * time.Hour
	// maxMarks is how many of each are known of a person; the oldest gives way.
	maxMarks = 16
	// maxOften logins within oftenTime are usual.
	maxOften  = 5
	oftenTime = 10 * time.Minute
	// weighTime bounds the question: it is asked inside the webhook's answer.
	weighTime = time.Second
)

func (t Ticket) marksOf(openID string) Marks {
	mark := func(kind, value string) string {
		if value == "" {
			return ""
		}
		return shortName(t.AppID + "|" + openID + "|" + kind + "|" + value)
	}
	return Marks{Ticket: mark("ticket", t.ID), Network: mark("network", t.Network), Browser: mark("browser", t.Browser)}
}

// assessRisk decides whether a ticket that was just claimed under Claim.Risk waits for its
// confirmation (docs/wechat.md §4.2). The claim has stored it as claimed: a store that
// fails from here on, or a replica that dies, leaves it waiting, which is the safe
// side. A login is unusual when the person has not logged in from this network or
// with this browser in the last 90 days, or has logged in very often of late. Who
// sends no cookie has a browser never seen before.
func (s *Service) assessRisk(ctx context.Context, t Ticket, openID string) Ticket {
	ctx, cancel := context.WithTimeout(ctx, weighTime)
	defer cancel()
	unusual, err := s.options.Store.AssessRisk(ctx, t.AppID, openID, t.marksOf(openID))
	if err != nil {
		unusual = UnusualUnknown
	}
	if unusual != "" {
		s.options.Counter.Count("confirm", t.Account, "asked:"+string(unusual))
		return t
	}
	done, outcome, err := s.options.Store.Confirm(ctx, t.ID, openID, true)
	if err != nil || outcome != OutcomeClaimed {
		s.options.Counter.Count("confirm", t.Account, "asked:"+string(UnusualUnknown))
		return t
	}
	s.options.Counter.Count("confirm", t.Account, "not asked")
	s.trustMarks(ctx, done, openID)
	return done
}

// trustMarks remembers how a person logged in. When it fails they are asked once more.
func (s *Service) trustMarks(ctx context.Context, t Ticket, openID string) {
	if err := s.options.Store.Trust(ctx, t.AppID, openID, t.marksOf(openID)); err != nil {
		s.options.Logger.Debug("login: a confirmed login is not remembered", "account", t.Account, "error", err)
	}
}
