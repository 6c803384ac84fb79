package adapter

import (
	"context"
	"errors"

	"posthouse/socketio"
)

// clusterNode speaks the cluster message model; the sharded and the streams
// adapter give it their ways to send.
type clusterNode struct {
	*member
	// send publishes a message to all nodes, reply one to a single node. Neither waits.
	send  func(m *clusterMessage) error
	reply func(uid string, m *clusterMessage) error
}

func (c *clusterNode) message(t clusterType) *clusterMessage {
	return &clusterMessage{typ: t, uid: c.uid, nsp: c.nsp}
}

// FetchSockets implements socketio.Adapter.
func (c *clusterNode) FetchSockets(ctx context.Context, o socketio.BroadcastOptions) ([]socketio.SocketDetails, error) {
	list, err := c.local.FetchSockets(ctx, o)
	if err != nil || o.Flags.Local {
		return list, err
	}
	r, m := newRequest(opFetchSockets), c.message(clusterFetch)
	m.requestID, m.opts = hexID(), o
	err = c.ask(ctx, r, m.requestID, o.Flags.Timeout, func() error { return c.send(m) })
	return append(list, r.sockets...), err
}

// ServerSideEmit implements socketio.Adapter.
func (c *clusterNode) ServerSideEmit(ctx context.Context, args socketio.Value, withAck bool) ([]socketio.Value, error) {
	m := c.message(clusterServerSideEmit)
	m.value = args
	if !withAck {
		return nil, c.send(m)
	}
	r := newRequest(opServerSideEmit)
	m.requestID = hexID()
	err := c.ask(ctx, r, m.requestID, 0, func() error { return c.send(m) })
	return r.values, err
}

// change makes sockets join or leave rooms here, if local, and on other nodes.
func (c *clusterNode) change(local error, t clusterType, o socketio.BroadcastOptions, rooms []string, closeConn bool, send func(*clusterMessage) error) error {
	if o.Flags.Local {
		return local
	}
	m := c.message(t)
	m.opts, m.rooms, m.closeConn = o, rooms, closeConn
	return errors.Join(local, c.sent(opChange, send(m)))
}

// handle acts on a message of another node.
func (c *clusterNode) handle(m *clusterMessage) {
	if m.uid == c.uid {
		c.stats.own.Add(1)
		return
	}
	if m.nsp != c.nsp {
		c.stats.foreign.Add(1)
		return
	}
	if m.uid != emitterUID {
		c.peers.note(m.uid)
	}
	o := m.opts
	o.Flags.Local = true
	var err error
	switch m.typ {
	case clusterBroadcast:
		if m.requestID != "" {
			c.answerBroadcastOf(m, o)
			break
		}
		err = c.local.Broadcast(c.ctx, m.packet, o)
	case clusterJoin:
		err = c.local.AddSockets(c.ctx, o, m.rooms)
	case clusterLeave:
		err = c.local.DelSockets(c.ctx, o, m.rooms)
	case clusterDisconnect:
		err = c.local.DisconnectSockets(c.ctx, o, m.closeConn)
	case clusterFetch:
		c.worker.do(func() { c.answerFetch(m, o) })
	case clusterServerSideEmit:
		c.worker.do(func() { c.answerServerSideEmit(m) })
	case clusterFetchResponse, clusterServerSideEmitResponse, clusterClientCount, clusterAck:
		c.handleAnswer(m)
	default:
		c.unknownMessage()
		return
	}
	c.stats.received.Add(1)
	if err != nil {
		c.log.Warn("request of another node failed", "type", int(m.typ), "error", err)
	}
}

func (c *clusterNode) answer(to, requestID string, t clusterType, fill func(*clusterMessage)) {
	m := c.message(t)
	m.requestID = requestID
	fill(m)
	if err := c.reply(to, m); err != nil {
		c.log.Debug("answer not published", "error", err)
	}
}

func (c *clusterNode) answerBroadcastOf(m *clusterMessage, o socketio.BroadcastOptions) {
	c.answerBroadcast(m.packet, o, func(clients int) {
		c.answer(m.uid, m.requestID, clusterClientCount, func(a *clusterMessage) { a.clientCount = clients })
	}, func(v socketio.Value) {
		c.answer(m.uid, m.requestID, clusterAck, func(a *clusterMessage) { a.value = v })
	})
}

func (c *clusterNode) answerFetch(m *clusterMessage, o socketio.BroadcastOptions) {
	list, err := c.local.FetchSockets(c.ctx, o)
	if err != nil {
		return
	}
	text, err := socketsToJSON(list)
	if err != nil {
		c.log.Warn("sockets cannot be described", "error", err)
		return
	}
	c.answer(m.uid, m.requestID, clusterFetchResponse, func(a *clusterMessage) { a.sockets = text })
}

func (c *clusterNode) answerServerSideEmit(m *clusterMessage) {
	var ack func(socketio.Value)
	if m.requestID != "" {
		ack = func(v socketio.Value) {
			c.answer(m.uid, m.requestID, clusterServerSideEmitResponse, func(a *clusterMessage) { a.value = v })
		}
	}
	c.local.DispatchServerSideEmit(m.value, ack)
}

func (c *clusterNode) handleAnswer(m *clusterMessage) {
	r := c.pending.get(m.requestID)
	if r == nil {
		return // late
	}
	switch m.typ {
	case clusterAck:
		r.ack(m.value)
	case clusterFetchResponse:
		r.answer(m.uid, keepSockets(r, m.sockets))
	case clusterServerSideEmitResponse:
		r.answer(m.uid, func() { r.values = append(r.values, m.value) })
	case clusterClientCount:
		r.answer(m.uid, func() { r.clients += m.clientCount })
	}
}
