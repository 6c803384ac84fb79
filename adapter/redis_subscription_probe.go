package adapter

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"
)

// probeState is what one connection knows of its probes.
type probeState struct {
	back    atomic.Uint64 // the last probe that came back
	traffic atomic.Bool   // something else arrived since the last look
	sent    uint64        // the last probe that Redis took
	due     uint64        // the probe that has to be back at the next look; the first one from the start
	sentAt  atomic.Int64  // when the last one was given to Redis, since began
	missed  int           // looks in a row at which it was not back
	latest  atomic.Pointer[sentProbe]
}

// sentProbe is a probe on its way.
type sentProbe struct {
	number uint64
	at     time.Time
}

// began is the zero of the times of probes: the wall clock may jump.
var began = time.Now()

// busyProbes is how often a probe may be late while other messages arrive: a
// burst may hold it up, but messages may also come from a server that those who
// publish have left (after a failover).
const busyProbes = 3

// silent reports whether the connection must be taken for dead.
func (p *probeState) silent() bool {
	busy := p.traffic.Swap(false)
	if p.back.Load() >= p.due {
		p.missed = 0
		return false
	}
	p.missed++
	return !busy || p.missed >= busyProbes
}

// tryProbe is sendProbe where a failure is not the subscription's: only what was
// published has to come back.
func (l *link) tryProbe(ctx context.Context, probed *probeState) {
	if err := l.sendProbe(ctx, probed); err != nil && ctx.Err() == nil {
		l.log.Debug("probe was not published", "error", err)
	}
}

// sendProbe publishes the next number to ourselves, along the way that messages
// take: to the server that owns the channel now, whoever that was before.
func (l *link) sendProbe(ctx context.Context, probed *probeState) error {
	ctx, cancel := context.WithTimeout(ctx, l.every)
	defer cancel()
	node, err := l.nodes.owner(ctx, l.probe.name)
	if err != nil {
		return err
	}
	next := strconv.FormatUint(probed.sent+1, 10)
	probed.latest.Store(&sentProbe{probed.sent + 1, time.Now()}) // it may be back before Publish returns
	probed.sentAt.Store(int64(time.Since(began)))
	if l.probe.kind == toShardChannel {
		err = node.SPublish(ctx, l.probe.name, next).Err()
	} else {
		err = node.Publish(ctx, l.probe.name, next).Err()
	}
	if err == nil {
		probed.sent++
	}
	return err
}
