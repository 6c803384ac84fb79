package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"posthouse/socketio/engineio/internal/wire"
)

// Dial opens a connection: it returns once the server has sent the open packet. ctx bounds
// the handshake only. The caller must call Serve then, which reads, or Close.
func Dial(ctx context.Context, url string, o *Options) (*Conn, error) {
	d, err := newDialer(url, o)
	if err != nil {
		return nil, err
	}
	c, err := d.dialAny(ctx)
	if err != nil {
		d.closeHTTP()
		return nil, err
	}
	return c, nil
}

// Check returns the error that Dial would return for the URL or the options themselves.
func Check(url string, o *Options) error {
	_, err := newDialer(url, o)
	return err
}

// dialAny opens a connection by the first transport, or by the first that works.
func (d *dialer) dialAny(ctx context.Context) (*Conn, error) {
	var errs []error
	for _, transport := range d.opts.Transports {
		c, err := d.dialBy(ctx, transport)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
		if !d.opts.TryAllTransports || ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (d *dialer) dialBy(ctx context.Context, transport string) (*Conn, error) {
	c := &Conn{dialer: d, ended: make(chan struct{})}
	var err error
	if transport == "polling" {
		err = c.openPolling(ctx)
	} else {
		err = c.openStream(ctx, transport)
	}
	if err != nil {
		return nil, fmt.Errorf("engineio client: %s: %w", transport, err)
	}
	c.startHeartbeat()
	return c, nil
}

// openPolling makes the handshake by a GET. What the answer holds beside the open packet
// waits for Serve.
func (c *Conn) openPolling(ctx context.Context) error {
	c.http = c.newHTTPClient(c.opts.Proxy, c.opts.DialContext)
	body, octets, err := c.get(ctx)
	if err != nil {
		return err
	}
	next := c.nextPacket(octets)
	p, rest, done, err := next(body)
	if err != nil {
		return protocolError(err)
	}
	if err := c.takeOpen(p, "polling"); err != nil {
		return err
	}
	c.pollCtx, c.stopPoll = context.WithCancel(context.WithoutCancel(ctx))
	if !done {
		c.pendingBody, c.pendingOctets = rest, octets
	}
	return nil
}

// openStream makes the handshake over a WebSocket or WebTransport.
func (c *Conn) openStream(ctx context.Context, transport string) error {
	st, err := c.dialStream(ctx, transport, "")
	if err != nil {
		return err
	}
	p, err := st.first(ctx)
	if err == nil {
		err = c.takeOpen(p, transport)
	}
	if err != nil {
		st.kill()
		return err
	}
	c.stream = st
	return nil
}

// openPacket is what the server tells when a session begins (docs/protocol.md §1.2).
type openPacket struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval float64  `json:"pingInterval"`
	PingTimeout  float64  `json:"pingTimeout"`
	MaxPayload   float64  `json:"maxPayload"`
}

// maxID bounds the session id, which is part of every URL.
const maxID = 256

// takeOpen checks the first packet of a session.
func (c *Conn) takeOpen(p wire.Packet, transport string) error {
	if p.Type != wire.Open || p.Binary {
		return fmt.Errorf("%w: the first packet is not open but of type %q", ErrProtocol, byte(p.Type))
	}
	var open openPacket
	if err := json.Unmarshal(p.Data, &open); err != nil {
		return fmt.Errorf("%w: open packet: %w", ErrProtocol, err)
	}
	interval, timeout := milliseconds(open.PingInterval), milliseconds(open.PingTimeout)
	switch {
	case open.SID == "" || len(open.SID) > maxID:
		return fmt.Errorf("%w: open packet: no session id, or a long one", ErrProtocol)
	case interval <= 0 || timeout <= 0 || interval+timeout > maxBeat:
		return fmt.Errorf("%w: open packet: pingInterval %v and pingTimeout %v", ErrProtocol, open.PingInterval, open.PingTimeout)
	}
	c.id, c.pingInterval, c.pingTimeout = open.SID, interval, timeout
	if open.MaxPayload >= 1 && open.MaxPayload < maxPayloadHint {
		c.serverMax = int(open.MaxPayload)
	}
	if transport != "polling" {
		return nil
	}
	for _, name := range c.opts.Transports { // the last one is preferred, as engine.io-client prefers WebTransport
		if name != "polling" && slices.Contains(open.Upgrades, name) {
			c.upgradesTo = name
		}
	}
	return nil
}

// milliseconds converts a number of the open packet; 0 stands for what is none.
func milliseconds(ms float64) time.Duration {
	if !(ms > 0 && ms <= float64(maxBeat/time.Millisecond)) {
		return 0
	}
	return time.Duration(ms * float64(time.Millisecond))
}
