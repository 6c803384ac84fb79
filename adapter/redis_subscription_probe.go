package adapter

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"
)

// probeState is what one connection knows of its probes.
type probeState struct {
	lastReturned atomic.Uint64 // the last probe that came back
	sawTraffic   atomic.Bool   // something else arrived since the last look
	lastSent     uint64        // the last probe that Redis took
	dueNext      uint64        // the probe that has to be back at the next look; the first one from the start
	sentAt       atomic.Int64  // when the last one was given to Redis, since began
	missedInRow  int           // looks in a row at which it was not back
	latestProbe  atomic.Pointer[sentProbe]
}

// sentProbe is a probe on its way.
type sentProbe struct {
	number uint64
	sentAt time.Time
}

// began is the zero of the times of probes: the wall clock may jump.
var began = time.Now()

// busyProbes is how often a probe may be late while other messages arrive: a
// burst may hold it up, but messages may also come from a server that those who
// publish have left (after a failover).
const busyProbes = 3

// isSilent reports whether the connection must be taken for dead.
func (p *probeState) isSilent() bool {
	busy := p.sawTraffic.Swap(false)
	if p.lastReturned.Load() >= p.dueNext {
		p.missedInRow = 0
		return false
	}
	p.missedInRow++
	return !busy || p.missedInRow >= busyProbes
}

// tryProbe is sendProbe where a failure is not the subscription's: only what was
// published has to come back.
func (l *subscription) tryProbe(ctx context.Context, probed *probeState) {
	if err := l.sendProbe(ctx, probed); err != nil && ctx.Err() == nil {
		l.log.Debug("probe was not published", "error", err)
	}
}

// sendProbe publishes the next number to ourselves, along the way that messages
// take: to the server that owns the channel now, whoever that was before.
func (l *subscription) sendProbe(ctx context.Context, probed *probeState) error {
	ctx, cancel := context.WithTimeout(ctx, l.probeInterval)
	defer cancel()
	node, err := l.redisNodes.ownerOf(ctx, l.probeChannel.name)
	if err != nil {
		return err
	}
	next := strconv.FormatUint(probed.lastSent+1, 10)
	probed.latestProbe.Store(&sentProbe{probed.lastSent + 1, time.Now()}) // it may be back before Publish returns
	probed.sentAt.Store(int64(time.Since(began)))
	if l.probeChannel.kind == toShardChannel {
		err = node.SPublish(ctx, l.probeChannel.name, next).Err()
	} else {
		err = node.Publish(ctx, l.probeChannel.name, next).Err()
	}
	if err == nil {
		probed.lastSent++
	}
	return err
}
