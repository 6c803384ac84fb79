package gateway

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// doctorFill writes a long answer to an asker that does not read, and counts how much of it
// was taken: the buffers of kernels take a part, a proxy that buffers answers takes all.
// Answers are one at a time and few, because an asker may read after all.
type doctorFill struct {
	underWay atomic.Bool
	rate     *keyedRate[struct{}]

	mu    sync.Mutex // guards the fields below
	id    string     // that the asker gave the last answer
	taken int
}

const (
	// doctorFillSize is more than the buffers of four kernels' connections take.
	doctorFillSize  = 16 << 20
	doctorFillChunk = 64 << 10
	maxDoctorFillID = 32
)

func newDoctorFill() *doctorFill {
	return &doctorFill{rate: newKeyedRate[struct{}](Rate{N: 6, Per: time.Minute}, 0)}
}

// write makes the answer that is named id. It ends when all was taken, when the asker
// leaves, or when the engine ends an answer that is not taken.
func (f *doctorFill) write(w http.ResponseWriter, id string) {
	if !f.underWay.CompareAndSwap(false, true) {
		refuseDoctor(w, http.StatusServiceUnavailable, 2)
		return
	}
	defer f.underWay.Store(false)
	if ok, retryAfter := f.rate.allow(struct{}{}); !ok || len(id) > maxDoctorFillID {
		refuseDoctor(w, http.StatusServiceUnavailable, retryAfter)
		return
	}
	f.mu.Lock()
	f.id, f.taken = id, 0
	f.mu.Unlock()
	chunk := make([]byte, doctorFillChunk)
	_, _ = rand.Read(chunk) // bytes that no proxy can compress; rand.Read never fails
	for n := 0; n < doctorFillSize; n += len(chunk) {
		if _, err := w.Write(chunk); err != nil {
			return
		}
		f.mu.Lock()
		f.taken += len(chunk)
		f.mu.Unlock()
	}
}

// tell says how much of the answer id was taken; 404 when another replica writes it.
func (f *doctorFill) tell(w http.ResponseWriter, id string) {
	f.mu.Lock()
	known, taken := f.id == id, f.taken
	f.mu.Unlock()
	if !known {
		http.Error(w, http.StatusText(http.StatusNotFound), http.StatusNotFound)
		return
	}
	text, err := json.Marshal(map[string]int{"taken": taken, "of": doctorFillSize})
	if err != nil {
		panic(err) // numbers always encode
	}
	w.Write(append(text, '\n'))
}
