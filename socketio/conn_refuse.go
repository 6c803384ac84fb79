package socketio

import (
	"encoding/json"
	"errors"
	"slices"

	"posthouse/internal/jsontext"
	"posthouse/socketio/parser"
)

// refuseWith answers CONNECT_ERROR, unless the client has gone.
func (a *pendingConnect) refuseWith(err error) {
	c := a.conn
	c.mu.Lock()
	i := slices.Index(c.pendingConnects, a)
	if i >= 0 {
		c.pendingConnects = slices.Delete(c.pendingConnects, i, i+1)
	}
	closed := c.closeCause != nil
	c.mu.Unlock()
	if i < 0 || closed || errors.Is(err, ErrClosed) {
		return // the client has gone
	}
	if errors.Is(err, errPanic) {
		c.endAfterPanic(a.socket)
		return
	}
	var refusal *ConnectError
	if !errors.As(err, &refusal) {
		c.server.log.Warn("socketio: connection refused", "namespace", a.namespaceName, "error", err)
		refusal = &ConnectError{Message: "connection refused"}
	}
	if c.refuseConnect(a.namespaceName, refusal) != nil {
		c.engineSession.Close()
	}
}

// refusalsPerSecond is how many refusals a connection may go on to collect beyond
// Limits.RefusedConnects. Honest pages ask again for a handful of namespaces every
// second; a refusal costs no more than an event.
const refusalsPerSecond = 10

// refuseConnect refuses a CONNECT. Its error says that the connection has collected
// too many refusals and ends.
func (c *conn) refuseConnect(name string, e *ConnectError) error {
	if limit := c.server.options.Limits.RefusedConnects; limit >= 0 {
		c.mu.Lock()
		if c.refusalBucket == nil {
			c.refusalBucket = new(tokenBucket)
		}
		_, ok := c.refusalBucket.takeToken(refusalsPerSecond, limit)
		c.mu.Unlock()
		if !ok {
			if suppressed, ok := c.server.refusalFloods.Allow(); ok {
				c.server.log.Warn("socketio: connection closed: too many refused CONNECTs",
					"namespace", name, "refusal", e.Message, "limit", limit, "setting", "Limits.RefusedConnects", "suppressed", suppressed)
			}
			return errRefusals
		}
	}
	c.sendConnectError(name, e)
	return nil
}

// sendConnectError is the one place where an error becomes a CONNECT_ERROR packet.
func (c *conn) sendConnectError(name string, e *ConnectError) {
	c.server.counters.connectErrors.Add(1)
	data, err := c.encodeConnectError(e)
	if err != nil {
		c.server.log.Warn("socketio: data of a ConnectError cannot be encoded", "namespace", name, "error", err)
		data, _ = c.encodeConnectError(&ConnectError{Message: e.Message})
	}
	c.sendPacket(&parser.Packet{Type: parser.ConnectError, Namespace: name, Data: data})
}

func (c *conn) encodeConnectError(e *ConnectError) (json.RawMessage, error) {
	if c.engineSession.Protocol() == 3 && e != errUnknown { // docs/protocol.md §2.2: only the data, or the message
		if e.Data != nil {
			return encodeJSON(e.Data)
		}
		return encodeJSON(e.Message)
	}
	data := append([]byte(`{"message":`), jsontext.AppendQuoted(nil, e.Message)...)
	if e.Data != nil {
		d, err := encodeJSON(e.Data)
		if err != nil {
			return nil, err
		}
		data = append(append(data, `,"data":`...), d...)
	}
	return append(data, '}'), nil
}
