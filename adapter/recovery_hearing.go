package adapter

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio"
)

// A log beside Pub/Sub knows nothing of publishers that do not write it: nodes of the
// reference, emitters. What they send is heard on Pub/Sub, where nothing is kept. So
// recovery needs a witness: a node that has heard them without a break since the offset
// of the client, and that marked in the log what it heard (docs/protocol.md §4.6). The
// rules that make silence trustworthy:
//
//   - A node vouches from its mark "begin" on. It writes one whenever all its channels have
//     come to be subscribed, after it has tainted the sockets that lived through the break.
//   - A node gives no offsets from a mark of another node on until it has heard everything
//     that was published before it. So an offset behind a mark says that its client got
//     whatever that mark stands for.
//   - Before it vouches, a node hears everything that was published before the question,
//     and writes the marks for it.
//   - What is heard while a socket is restored ends its recovery.
type hearing struct {
	log      *recoveryLog
	channels *answerChannels // on which publishers without the log are heard
	// fence returns nil when everything that was published before has been handled.
	fence func(ctx context.Context) error
	// finds reports whether there are nodes that cannot be heard; nil where all can.
	finds func(ctx context.Context) (bool, error)

	heardCount  atomic.Uint64 // broadcasts without the log that were heard
	marksRead   atomic.Uint64 // marks of other nodes that the reader met
	marksPassed atomic.Uint64 // those before which this node has heard everything
	wakeSignal  chan struct{} // capacity 1: marksRead grew
	tainted     uint64        // of channels, when sockets were tainted last; only begin uses it

	mu       sync.Mutex    // guards what follows
	unbroken uint64        // of channels, when since was written; 0 before
	since    entryID       // the mark from which on this node vouches
	began    chan struct{} // closed when since is set; renewed when the channels are lost
	isOver   bool          // began is closed
}

// hearingPatience bounds the wait for a witness: one that has just died does not answer.
const hearingPatience = 2 * time.Second

// heardState is what a node had heard when it vouched.
type heardState struct{ unbroken, heardCount uint64 }

func newHearing(log *recoveryLog, channels *answerChannels, fence func(context.Context) error, finds func(context.Context) (bool, error)) *hearing {
	return &hearing{
		log: log, channels: channels, fence: fence, finds: finds,
		wakeSignal: make(chan struct{}, 1), began: make(chan struct{}),
	}
}

// run begins to hear whenever the channels are subscribed, until ctx ends.
func (h *hearing) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-h.channels.whenReachable():
		case <-ctx.Done():
			return
		}
		unbroken, lost := h.channels.unbroken(), h.channels.whenLost()
		if unbroken == 0 {
			continue
		}
		if h.begin(ctx, unbroken) {
			h.stay(ctx, lost)
		} else {
			t := time.NewTimer(marksDelay)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
			}
		}
	}
}

// begin makes this node a witness.
func (h *hearing) begin(ctx context.Context, unbroken uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, h.log.requestTimeout)
	defer cancel()
	if h.tainted != unbroken {
		// Sockets that were here before may have missed something without a mark.
		h.log.taint(socketio.BroadcastOptions{})
		h.tainted = unbroken
	}
	if err := h.log.current.write(ctx); err != nil {
		return false
	}
	passed := h.marksRead.Load()
	if err := h.fence(ctx); err != nil {
		return false
	}
	since, err := h.log.marks.write(ctx, []*clusterMessage{h.log.marks.message(markBegin, socketio.BroadcastOptions{})})
	if err != nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.marksPassed.Store(passed)
	h.unbroken, h.since = unbroken, since
	if !h.isOver {
		h.isOver = true
		close(h.began)
	}
	return true
}

// stay does what a witness must until a channel is lost or ctx ends.
func (h *hearing) stay(ctx context.Context, lost <-chan struct{}) {
	defer func() {
		h.mu.Lock()
		h.began, h.isOver = make(chan struct{}), false
		h.mu.Unlock()
	}()
	var looks <-chan time.Time
	if h.finds != nil {
		ticker := time.NewTicker(h.log.presence.beatInterval)
		defer ticker.Stop()
		looks = ticker.C
	}
	for {
		select {
		case <-lost:
			return
		case <-ctx.Done():
			return
		case <-looks:
			if found, err := h.finds(ctx); found && err == nil {
				h.log.marks.add(markHeard, &socketio.BroadcastOptions{})
			}
		case <-h.wakeSignal:
			h.passMarks(ctx)
		}
	}
}

// passMarks lets offsets go on after marks of other nodes.
func (h *hearing) passMarks(ctx context.Context) {
	read := h.marksRead.Load()
	ctx, cancel := context.WithTimeout(ctx, h.log.requestTimeout)
	defer cancel()
	if h.fence(ctx) == nil {
		h.marksPassed.Store(read)
	} else {
		h.wakeUp()
	}
}

func (h *hearing) wakeUp() {
	select {
	case h.wakeSignal <- struct{}{}:
	default:
	}
}

// markRead is called by the reader for each mark of another node.
func (h *hearing) markRead() {
	h.marksRead.Add(1)
	h.wakeUp()
}

// withholdsOffsets reports whether events get no offset now.
func (h *hearing) withholdsOffsets() bool {
	if h.marksRead.Load() != h.marksPassed.Load() {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unbroken == 0 || h.unbroken != h.channels.unbroken()
}

// hear delivers a broadcast of a publisher that writes no log, but not while a socket is
// being restored.
func (h *hearing) hear(o *socketio.BroadcastOptions, deliver func()) {
	h.log.reader.deliveryMu.Lock()
	defer h.log.reader.deliveryMu.Unlock()
	if !o.Flags.Volatile {
		h.heardCount.Add(1)
		h.log.marks.add(markHeard, o)
	}
	deliver()
}

// vouch reports whether everything that publishers without the log sent since an offset
// is marked in the log now.
func (h *hearing) vouch(ctx context.Context, from entryID) (state heardState, ok bool) {
	h.mu.Lock()
	began := h.began
	h.mu.Unlock()
	select {
	case <-began:
	case <-ctx.Done():
		return state, false
	}
	h.mu.Lock()
	state = heardState{h.unbroken, h.heardCount.Load()}
	since := h.since
	h.mu.Unlock()
	if h.finds != nil {
		if found, err := h.finds(ctx); found || err != nil {
			return state, false
		}
	}
	if since.compare(from) > 0 && !h.log.askForHearing(ctx, from) {
		return state, false
	}
	if h.fence(ctx) != nil {
		return state, false
	}
	// Broadcasts from here on end the recovery; those up to here are in the log.
	state.heardCount = h.heardCount.Load()
	if h.log.marks.flush(ctx) != nil {
		return state, false
	}
	return state, h.channels.unbroken() == state.unbroken
}

// isUnchanged reports whether nothing was heard since this node vouched. The caller
// holds the reader's deliveryMu.
func (h *hearing) isUnchanged(state heardState) bool {
	return h.channels.unbroken() == state.unbroken && h.heardCount.Load() == state.heardCount
}

// askForHearing asks the other nodes that write the log whether one of them vouches.
func (a *recoveryLog) askForHearing(ctx context.Context, from entryID) bool {
	var nodes []string
	for _, uid := range a.presence.goNodes() {
		if isLogged(uid) {
			nodes = append(nodes, uid)
		}
	}
	request := hexID()
	q := a.takeovers.add(request, nodes)
	if q == nil {
		return false
	}
	defer a.takeovers.forgetRequest(request)
	a.tellSession(sessionCall{a.uid, hearingWanted, request, from.String()})
	timer := time.NewTimer(hearingPatience)
	defer timer.Stop()
	select {
	case <-q.settled:
		return q.positive
	case <-timer.C:
	case <-ctx.Done():
	case <-a.ctx.Done():
	}
	return false
}

// answerHearing is called by the goroutine of the subscription, which must not wait.
func (a *recoveryLog) answerHearing(c sessionCall) {
	answer := sessionCall{UID: a.uid, Type: hearingBroken, Request: c.Request}
	from, ok := parseEntryID(c.Digest)
	if !ok || !a.hearing.isSince(from) {
		a.tellSession(answer)
		return
	}
	a.wg.Go(func() {
		ctx, cancel := context.WithTimeout(a.ctx, hearingPatience)
		defer cancel()
		if _, ok := a.hearing.vouch(ctx, from); ok {
			answer.Type = hearingWhole
		}
		a.tellSession(answer)
	})
}

// isSince reports whether this node has heard everything since an offset.
func (h *hearing) isSince(from entryID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.isOver && h.since.compare(from) <= 0 && h.unbroken == h.channels.unbroken()
}
