package wxsim

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"posthouse/internal/sleep"
)

// The times are those of the callback, whatever the log has forgotten; what the
// network or the sender did is told apart.
func TestStatsCountEveryDelivery(t *testing.T) {
	t.Parallel()
	n := 0
	say := func(r *http.Request, body string) (int, string, error) {
		n++
		switch {
		case n <= 97:
			return 200, "success", sleep.For(r.Context(), 10*time.Millisecond)
		case n == 98:
			return 403, "", sleep.For(r.Context(), 20*time.Millisecond)
		case n == 99:
			return 500, "{}", sleep.For(r.Context(), 700*time.Millisecond)
		case n == 100:
			return silence(r, body)
		case n == 102:
			return refuse(r, body)
		case n == 103:
			return 0, "", errors.New("connection reset")
		default:
			return 200, "", nil
		}
	}
	inBubble(t, Options{LogSize: 5}, say, func(t *testing.T, s *Sim, _ *wire) {
		for range 101 {
			text(t, s, "ann")
		}
		want := Stats{
			Pushes: 101, Deliveries: 104, Repeated: 3, Answered: 99, Refused: 1, Illegal: 1, Silent: 1, Unconnected: 1, Broke: 1,
			P50MS: 10, P99MS: 700, MaxMS: 5000,
		}
		if got := s.Stats(); got != want {
			t.Errorf("\n%+v\n%+v", got, want)
		}
		withRules(t, s, &Rule{Kind: SlowBody})
		text(t, s, "ann")
		if got := s.Stats(); got.Deliveries != 107 || got.Trickled != 3 || got.Silent != 1 {
			t.Errorf("a slow sender counts as a silent callback: %+v", got)
		}
	})
}
