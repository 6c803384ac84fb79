package adapter

import (
	"context"
	"sync"
)

// answers tells whether the answers of other nodes can reach this one now, and whether
// Redis counts it among the nodes: whether both channels are subscribed.
type answers struct {
	mu sync.Mutex
	// on holds the links on which Redis confirmed each of the channels: two while a
	// slot moves. Its keys are set before the links run.
	on map[string]map[*link]struct{}
	up chan struct{} // closed while each channel has a link
	is bool          // up is closed
}

func newAnswers() *answers { return &answers{up: make(chan struct{})} }

// answerOn sets the channels on which nodes are counted and get their answers.
func (m *member) answerOn(count string, answers func(uid string) string) {
	m.countChannel, m.answersChannel = count, answers
	m.answers.on = map[string]map[*link]struct{}{count: {}, answers(m.uid): {}}
}

// subscribed takes the confirmation of a channel on l.
func (a *answers) subscribed(l *link, channel string) {
	a.change(func() {
		if links, ok := a.on[channel]; ok {
			links[l] = struct{}{}
		}
	})
}

// unsubscribed takes the end of a channel on l.
func (a *answers) unsubscribed(l *link, channel string) {
	a.change(func() { delete(a.on[channel], l) })
}

// lost takes the end of the connection of l.
func (a *answers) lost(l *link) {
	a.change(func() {
		for _, links := range a.on {
			delete(links, l)
		}
	})
}

// change makes one change to on and keeps up in step.
func (a *answers) change(f func()) {
	if a == nil {
		return // the link carries no answers
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	is := true
	for _, links := range a.on {
		is = is && len(links) > 0
	}
	switch {
	case is && !a.is:
		close(a.up)
	case !is && a.is:
		a.up = make(chan struct{})
	}
	a.is = is
}

// arrive returns a channel that is closed while answers can arrive.
func (a *answers) arrive() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.up
}

// can reports whether answers can arrive now.
func (a *answers) can() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.is
}

// expectAnswers is expect that returns when the answers can arrive: a request that
// is published while the subscription of this node is being made again runs into its
// timeout. It also returns when no node is to answer, and when ctx ends.
func (m *member) expectAnswers(ctx context.Context, r *request) error {
	for {
		able := m.answers.can() // before the count, which is wrong otherwise
		unknown := m.expect(ctx, r)
		if able {
			return unknown
		}
		select {
		case <-r.done:
			return unknown
		case <-ctx.Done():
			return unknown
		case <-m.answers.arrive():
		}
	}
}
