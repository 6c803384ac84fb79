package login

import "time"

// The stages of a login, in their order.
const (
	StageShown     = "shown"     // a QR code, or a code to type, was made
	StageScanned   = "scanned"   // the first person's scan arrived
	StageClaimed   = "claimed"   // the login is that person's: confirmed, where that is asked for
	StageDelivered = "delivered" // the browser has the result
)

// StageCounter is what a Counter may also implement: it learns when a login reaches a
// stage, and how long that took since the stage before.
type StageCounter interface {
	Stage(stage string, took time.Duration)
}

func (s *Service) countStage(stage string, took time.Duration) {
	if c, ok := s.options.Counter.(StageCounter); ok {
		c.Stage(stage, took)
	}
}

// countClaim counts the stages that a claim reached: t is the ticket after it.
func (s *Service) countClaim(t Ticket, outcome Outcome) {
	if outcome != OutcomeClaimed {
		return
	}
	s.countStage(StageScanned, t.EventAt.Sub(t.CreatedAt))
	if t.State == Done {
		s.countStage(StageClaimed, t.IssuedAt.Sub(t.EventAt))
	}
}
