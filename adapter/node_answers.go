package adapter

import (
	"context"
	"sync"
)

// answerChannels tells whether the answers of other nodes can reach this one now, and whether
// Redis counts it among the nodes: whether both channels are subscribed.
type answerChannels struct {
	mu sync.Mutex // guards what follows
	// subscribedOn holds the subscriptions on which Redis confirmed each of the channels: two while a
	// slot moves. Its keys are set before the subscriptions run.
	subscribedOn     map[string]map[*subscription]struct{}
	allSubscribed    chan struct{} // closed while each channel has a subscription
	allAreSubscribed bool          // up is closed
	anyLost          chan struct{} // closed when a channel loses its last subscription; renewed with the next one
	timesSubscribed  uint64        // how often all of them came to be subscribed

	// alsoTold is told the same about channels of its own; nil without. It is set before the
	// subscriptions run.
	alsoTold *answerChannels
}

func newAnswers(channels ...string) *answerChannels {
	a := &answerChannels{allSubscribed: make(chan struct{}), anyLost: make(chan struct{})}
	a.subscribedOn = make(map[string]map[*subscription]struct{}, len(channels))
	for _, channel := range channels {
		a.subscribedOn[channel] = make(map[*subscription]struct{}, 1)
	}
	return a
}

// answerOn sets the channels on which nodes are counted, get their answers and tell each
// other of their presence.
func (m *node) answerOn(count string, answers func(uid string) string, presence string) {
	m.countChannel, m.answersChannel = count, answers
	m.answerChannels = newAnswers(count, answers(m.uid))
	m.presenceChannels = newAnswers(presence)
	m.answerChannels.alsoTold = m.presenceChannels
}

// channelSubscribed takes the confirmation of a channel on l.
func (a *answerChannels) channelSubscribed(l *subscription, channel string) {
	a.changeAndSettle(func(a *answerChannels) {
		if links, ok := a.subscribedOn[channel]; ok {
			links[l] = struct{}{}
		}
	})
}

// channelUnsubscribed takes the end of a channel on l.
func (a *answerChannels) channelUnsubscribed(l *subscription, channel string) {
	a.changeAndSettle(func(a *answerChannels) { delete(a.subscribedOn[channel], l) })
}

// connectionLost takes the end of the connection of l.
func (a *answerChannels) connectionLost(l *subscription) {
	a.changeAndSettle(func(a *answerChannels) {
		for _, links := range a.subscribedOn {
			delete(links, l)
		}
	})
}

// changeAndSettle makes one change to on and keeps up in step.
func (a *answerChannels) changeAndSettle(f func(*answerChannels)) {
	if a == nil {
		return // the subscription carries no answers
	}
	a.alsoTold.changeAndSettle(f)
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
	is := true
	for _, links := range a.subscribedOn {
		is = is && len(links) > 0
	}
	switch {
	case is && !a.allAreSubscribed:
		close(a.allSubscribed)
		a.anyLost = make(chan struct{})
		a.timesSubscribed++
	case !is && a.allAreSubscribed:
		a.allSubscribed = make(chan struct{})
		close(a.anyLost)
	}
	a.allAreSubscribed = is
}

// whenReachable returns a channel that is closed while answers can arrive.
func (a *answerChannels) whenReachable() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.allSubscribed
}

// whenLost returns a channel that is closed when answers can arrive no more.
func (a *answerChannels) whenLost() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.anyLost
}

// unbroken names the time during which all channels have been subscribed without a
// break; 0 while they are not.
func (a *answerChannels) unbroken() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.allAreSubscribed {
		return 0
	}
	return a.timesSubscribed
}

// canArrive reports whether answers can arrive now.
func (a *answerChannels) canArrive() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.allAreSubscribed
}

// countWhenReachable is countAnswers that returns when the answers can arrive: a request that
// is published while the subscription of this node is being made again runs into its
// timeout. It also returns when no node is to answer, and when ctx ends.
func (m *node) countWhenReachable(ctx context.Context, r *clusterRequest) error {
	for {
		able := m.answerChannels.canArrive() // before the count, which is wrong otherwise
		unknown := m.countAnswers(ctx, r)
		if able {
			return unknown
		}
		select {
		case <-r.allArrived:
			return unknown
		case <-ctx.Done():
			return unknown
		case <-m.answerChannels.whenReachable():
		}
	}
}
