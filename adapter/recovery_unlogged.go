package adapter

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// unloggedPatience is how long a subscriber may stay without a name: a node of this module
	// says hello at most firstSubscription after it subscribed.
	unloggedPatience = 2 * firstSubscription
	// unloggedPause is the time between two looks.
	unloggedPause = 100 * time.Millisecond
)

// unloggedFinder looks for nodes of the namespace that write no log: Redis counts them, and they
// are none of the nodes with a log that are known by name.
type unloggedFinder struct {
	*node
	// found is how many the last look found that waited for names. A look that finds no more of
	// them does not wait again.
	found atomic.Int64
}

// finds reports whether there are such nodes. A node with a log that has just started, or whose
// subscription is being made again, has no name for a moment: its name is waited for.
func (f *unloggedFinder) finds(ctx context.Context) (bool, error) {
	all, nameless, err := f.count(ctx)
	if err != nil {
		return false, err
	}
	if known := f.found.Load(); nameless <= known {
		f.found.CompareAndSwap(known, nameless)
		return nameless > 0, nil
	}
	pause := time.NewTicker(unloggedPause)
	defer pause.Stop()
	for began := time.Now(); time.Since(began) < unloggedPatience; {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
		allNow, namelessNow, err := f.count(ctx)
		switch {
		case err != nil:
			return false, err
		case allNow < all:
			return true, nil // the node without a name may be the one that went
		case namelessNow == 0:
			return false, nil
		}
		nameless = namelessNow
	}
	f.found.Store(nameless)
	return true, nil
}

// count counts the nodes of the namespace, and those of them that are no known node with a log.
// A node that fell silent is known as long as Redis counts it.
func (f *unloggedFinder) count(ctx context.Context) (all, nameless int64, err error) {
	channels := []string{f.countChannel, f.answersChannel(f.uid)}
	alive, silent := f.presence.nodeNames()
	for _, uid := range append(alive, silent...) {
		if isLogged(uid) {
			channels = append(channels, f.answersChannel(uid))
		}
	}
	counts, err := f.redisNodes.countSubscribers(ctx, f.sharded, channels...)
	if err != nil {
		return 0, 0, err
	}
	all = int64(counts[f.countChannel])
	nameless = all
	for _, channel := range channels[1:] {
		if counts[channel] > 0 {
			nameless--
		}
	}
	return all, max(nameless, 0), nil
}
