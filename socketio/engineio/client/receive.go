package client

import (
	"errors"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/internal/wire"
)

// receiver takes what arrives, on the goroutine of Serve.
type receiver struct {
	conn    *Conn
	handler Handler
}

// run reads until the connection has ended.
func (r *receiver) run() {
	c := r.conn
	c.mu.Lock()
	polling := c.stream == nil
	c.mu.Unlock()
	if polling {
		r.poll()
		if !r.switchTransport() {
			return
		}
	}
	c.stream.read(r)
}

// packet takes one packet; false means that the connection has ended.
func (r *receiver) receivePacket(p wire.Packet) bool {
	c := r.conn
	switch p.Type {
	case wire.Message:
		if err := r.handler.Message(engineio.Message{Data: p.Data, Binary: p.Binary}); err != nil {
			c.end(engineio.ReasonParseError, err)
		}
	case wire.Ping:
		if c.opts.EIO == 3 {
			break // clients ping; npm's ignores it as well
		}
		c.mu.Lock()
		if c.state == stateOpen {
			c.sendLocked(wire.Packet{Type: wire.Pong})
		}
		c.mu.Unlock()
		if r.handler.Ping != nil {
			r.handler.Ping()
		}
	case wire.Pong:
		if c.opts.EIO == 3 {
			c.mu.Lock()
			if c.pongDue && c.state != stateClosed {
				c.pongDue = false
				c.heartbeat.Reset(c.pingInterval)
			}
			c.mu.Unlock()
			if r.handler.Ping != nil {
				r.handler.Ping()
			}
		}
	case wire.Close:
		c.end(engineio.ReasonTransportClose, nil)
	case wire.Open:
		c.end(engineio.ReasonTransportError, protocolError(errors.New("a second open packet")))
	}
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}
