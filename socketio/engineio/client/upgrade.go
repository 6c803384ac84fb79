package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"posthouse/socketio/engineio/internal/wire"
)

var probeData = []byte("probe")

// probe tries the other transport while polling goes on (docs/protocol.md §1.7). When the
// server answers, POSTs are held back; Serve switches after its last poll.
func (c *Conn) probe(r *receiver) {
	pollCtx := c.pollCtx
	ctx, cancel := context.WithTimeout(pollCtx, upgradeTime)
	defer cancel()
	st, err := c.dialStream(ctx, c.upgradesTo, c.id)
	if err == nil {
		var p wire.Packet
		if err = st.writeNow(wire.Packet{Type: wire.Ping, Data: probeData}); err == nil {
			p, err = st.first(ctx)
		}
		if err == nil && (p.Type != wire.Pong || !bytes.Equal(p.Data, probeData)) {
			err = fmt.Errorf("%w: no answer to the probe", ErrProtocol)
		}
		if err != nil {
			st.kill()
		}
	}
	if err != nil {
		if r.handler.UpgradeError != nil && !errors.Is(pollCtx.Err(), context.Canceled) {
			r.handler.UpgradeError(fmt.Errorf("engineio client: upgrade to %s: %w", c.upgradesTo, err))
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen {
		st.kill()
		return
	}
	c.nextStream = st
}

// switchTransport moves the connection to the transport that was probed: after the last
// poll, and after the POST that may be under way.
func (r *receiver) switchTransport() bool {
	c := r.conn
	c.mu.Lock()
	if c.sending {
		ended := make(chan struct{})
		c.postEnded = ended
		c.mu.Unlock()
		select {
		case <-ended:
		case <-c.ended:
		}
		c.mu.Lock()
	}
	if c.state == stateClosed {
		c.mu.Unlock()
		return false
	}
	st := c.nextStream
	c.stream, c.nextStream = st, nil
	st.append(wire.Packet{Type: wire.Upgrade}, c.opts.EIO)
	for _, p := range c.packets {
		st.append(p, c.opts.EIO)
	}
	st.startWriting()
	c.packets, c.packetBytes = nil, 0
	if c.state == stateClosing {
		st.appendClose()
	}
	polling, stopPoll := c.http, c.stopPoll
	c.http, c.pollCtx, c.stopPoll = nil, nil, nil // polling has ended, and all that it kept goes
	c.mu.Unlock()
	stopPoll()
	polling.CloseIdleConnections()
	if r.handler.Upgrade != nil {
		r.handler.Upgrade(st.transportName)
	}
	return true
}
