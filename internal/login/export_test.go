package login

import (
	"context"
	"os"
	"time"
)

// ReplaySpool is one round of Run.
func (s *Service) ReplaySpool(ctx context.Context) bool { return s.replaySpool(ctx) }

// Shift moves the clock of this store's server on.
func (r *Redis) Shift(d time.Duration) { r.clockSkew += d }

// NewSmallMemory is a Memory store for few tickets.
func NewSmallMemory(tickets int) *Memory { return newMemory(tickets) }

// The spool's inside.
func (s *Spool) First() (Claim, bool) { return s.firstClaim() }
func (s *Spool) Drop() error          { return s.dropFirst() }
func (s *Spool) Limit(n int)          { s.maxClaims = n }
func SpoolLine(c Claim) []byte        { return formatSpoolLine(c) }

func ReadSpoolLine(line []byte) (Claim, bool) { return parseSpoolLine(line) }

// FailWrites opens the file anew, for reading only.
func (s *Spool) FailWrites() error {
	readOnly, err := os.Open(s.file.Name())
	if err != nil {
		return err
	}
	err = s.file.Close()
	s.file = readOnly
	return err
}

// LettersOf are the ASCII letters and digits that ReadTyped reads in a text.
func LettersOf(text string) string {
	groups, _ := typedWords(text)
	var all string
	for _, g := range groups {
		for _, w := range g {
			all += w
		}
	}
	return all
}

// HasForeign reports whether a text has other letters.
func HasForeign(text string) bool {
	_, foreign := typedWords(text)
	return foreign != ""
}

// RepeatTime is how long a spent code may be exchanged again.
const RepeatTime = repeatTime
