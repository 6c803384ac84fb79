package gateway

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"posthouse/internal/login"
)

// GET /login/revoked tells services that verify tokens which of them were taken back
// ("not me", the person unfollowed): a signature stays good until exp, whatever
// happens. The list holds random ids and nothing else, and only of tokens that have
// not ended, so it is short; a service that fetches it every second refuses a revoked
// token within two.

// maxRevoked is how many are told. Each needs a person who logged in within one life
// of a token; complete says whether there are more.
const maxRevoked = 10_000

// revokedAge is how long a list is good: whoever asks more often gets the same one.
const revokedAge = time.Second

type revokedAnswer struct {
	Revoked  []string `json:"revoked"`  // jti, in no order
	Complete bool     `json:"complete"` // nothing was left out
}

// revocations keeps the latest list, so that a flood of questions is one to the store.
type revocations struct {
	mu         sync.Mutex // held while the store is asked: the others want that answer, too
	askedAt    time.Time
	lastAnswer revokedAnswer
	err        error
}

func (rs *revocations) fetchList(ctx context.Context, s *login.Service) (revokedAnswer, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if now := time.Now(); now.Sub(rs.askedAt) >= revokedAge {
		var ids []string
		// Not the first asker's to give up: the others wait for it as well.
		ids, rs.err = s.Revoked(context.WithoutCancel(ctx), maxRevoked+1)
		rs.lastAnswer = revokedAnswer{Revoked: ids[:min(len(ids), maxRevoked)], Complete: len(ids) <= maxRevoked}
		if rs.lastAnswer.Revoked == nil {
			rs.lastAnswer.Revoked = []string{}
		}
		rs.askedAt = time.Now()
	}
	return rs.lastAnswer, rs.err
}

func (n *loginNamespace) serveRevoked(w http.ResponseWriter, r *http.Request) {
	list, err := n.revocations.fetchList(r.Context(), n.loginService)
	if err != nil {
		f := newFailure("store_unavailable", 2)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		answerJSON(w, http.StatusServiceUnavailable, failureAnswer{f})
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	answerJSON(w, http.StatusOK, list)
}
