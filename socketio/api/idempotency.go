package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// idempotencyAge is how long an answer is kept.
const idempotencyAge = 10 * time.Minute

// The errors of an IdempotencyStore.
var (
	ErrInProgress = errors.New("api: the first request is under way")
	ErrOtherBody  = errors.New("api: the key was used for another request")
)

// StoredAnswer is an answer that is given again.
type StoredAnswer struct {
	Status      int    `json:"status"`
	ContentType string `json:"type"`
	Body        []byte `json:"body"`
}

// IdempotencyStore keeps the answers of requests for ten minutes. All nodes of a cluster
// share one.
type IdempotencyStore interface {
	// Begin claims id for a request with this fingerprint. A nil answer means that the
	// caller does the work and calls Finish or Abandon; otherwise it is the first one's.
	// The errors are ErrInProgress, ErrOtherBody and those of the store.
	Begin(ctx context.Context, id, fingerprint string, age time.Duration) (*StoredAnswer, error)
	Finish(ctx context.Context, id, fingerprint string, a *StoredAnswer, age time.Duration) error
	Abandon(ctx context.Context, id string) error
}

// serveOnce answers a request with an Idempotency-Key.
func (h *Handler) serveOnce(w http.ResponseWriter, r *http.Request, key *Key, id string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		problem(w, http.StatusRequestEntityTooLarge, "the body is longer than 1 MiB, or ended early")
		return
	}
	if len(id) > 255 {
		problem(w, http.StatusUnprocessableEntity, "an Idempotency-Key has 255 characters at most")
		return
	}
	// Keys of other callers are other keys, and none of them stands in the store.
	id = digest(key.hash[:], []byte(id))
	fingerprint := digest([]byte(r.URL.Path), body)
	first, err := h.answers.Begin(r.Context(), id, fingerprint, idempotencyAge)
	switch {
	case errors.Is(err, ErrInProgress):
		problem(w, http.StatusConflict, "the first request with this Idempotency-Key is under way")
		return
	case errors.Is(err, ErrOtherBody):
		problem(w, http.StatusUnprocessableEntity, "this Idempotency-Key was used for another request")
		return
	case err != nil:
		h.log.Warn("api: the store of answers cannot be reached", "error", err)
		w.Header().Set("Retry-After", "2")
		problem(w, http.StatusServiceUnavailable, "whether this request was made before cannot be known now")
		return
	case first != nil:
		w.Header().Set("Content-Type", first.ContentType)
		w.Header().Set("Idempotent-Replayed", "true")
		w.WriteHeader(first.Status)
		_, _ = w.Write(first.Body) // the client may have gone
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := &recorder{header: http.Header{}}
	finished := false
	defer func() {
		if !finished { // a panic
			_ = h.answers.Abandon(context.WithoutCancel(r.Context()), id)
		}
	}()
	h.mux.ServeHTTP(answer, r)
	finished = true
	ctx := context.WithoutCancel(r.Context())
	stored := &StoredAnswer{Status: answer.code(), ContentType: answer.header.Get("Content-Type"), Body: answer.body.Bytes()}
	if stored.Status >= 500 {
		err = h.answers.Abandon(ctx, id) // it may be tried again
	} else {
		err = h.answers.Finish(ctx, id, fingerprint, stored, idempotencyAge)
	}
	if err != nil {
		h.log.Warn("api: the store of answers cannot be reached", "error", err)
	}
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	w.WriteHeader(stored.Status)
	_, _ = w.Write(stored.Body) // the client may have gone
}

func digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// recorder is a ResponseWriter that keeps the answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// maxAnswers bounds the answers in memory.
const maxAnswers = 10_000

// memoryAnswers is an IdempotencyStore of one node.
type memoryAnswers struct {
	mu      sync.Mutex // guards what follows
	answers map[string]*memoryAnswer
	order   []string // the oldest first
}

type memoryAnswer struct {
	fingerprint string
	answer      *StoredAnswer // nil: under way
	until       time.Time
}

// NewMemoryIdempotency returns a store for one node. It keeps 10 000 answers; the oldest
// make room.
func NewMemoryIdempotency() IdempotencyStore {
	return &memoryAnswers{answers: map[string]*memoryAnswer{}}
}

func (m *memoryAnswers) Begin(_ context.Context, id, fingerprint string, age time.Duration) (*StoredAnswer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for len(m.order) > 0 && !now.Before(m.answers[m.order[0]].until) {
		m.forgetOldestLocked()
	}
	a := m.answers[id]
	if a != nil && !now.Before(a.until) { // behind one that is kept for longer
		m.forgetLocked(id)
		a = nil
	}
	switch {
	case a == nil:
		if len(m.order) == maxAnswers {
			m.forgetOldestLocked()
		}
		m.answers[id] = &memoryAnswer{fingerprint: fingerprint, until: now.Add(age)}
		m.order = append(m.order, id)
		return nil, nil
	case a.fingerprint != fingerprint:
		return nil, ErrOtherBody
	case a.answer == nil:
		return nil, ErrInProgress
	default:
		return a.answer, nil
	}
}

func (m *memoryAnswers) Finish(_ context.Context, id, _ string, answer *StoredAnswer, _ time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.answers[id]; a != nil {
		a.answer = answer
	}
	return nil
}

func (m *memoryAnswers) Abandon(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetLocked(id)
	return nil
}

func (m *memoryAnswers) forgetOldestLocked() {
	delete(m.answers, m.order[0])
	m.order = m.order[1:]
}

func (m *memoryAnswers) forgetLocked(id string) {
	delete(m.answers, id)
	if i := slices.Index(m.order, id); i >= 0 {
		m.order = slices.Delete(m.order, i, i+1)
	}
}
