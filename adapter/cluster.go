package adapter

import (
	"context"
	"errors"

	"posthouse/socketio"
)

// clusterNode speaks the cluster message model; the sharded and the streams
// adapter give it their ways to send.
type clusterNode struct {
	*node
	// sendMessage publishes a message to all nodes, reply one to a single node. Neither waits.
	sendMessage func(m *clusterMessage) error
	replyTo     func(uid string, m *clusterMessage) error
	// takePublished is that of the log; nil without one.
	takePublished func(uid string, o *socketio.BroadcastOptions, deliver func())
}

func (c *clusterNode) newMessage(t clusterType) *clusterMessage {
	return &clusterMessage{messageType: t, senderUID: c.uid, namespace: c.namespaceName}
}

// FetchSockets implements socketio.Adapter.
func (c *clusterNode) FetchSockets(ctx context.Context, o socketio.BroadcastOptions) ([]socketio.SocketDetails, error) {
	list, err := c.localAdapter.FetchSockets(ctx, o)
	if err != nil || o.Flags.Local {
		return list, err
	}
	r, m := newRequest(opFetchSockets), c.newMessage(clusterFetch)
	m.requestID, m.options = hexID(), o
	err = c.askOthers(ctx, r, m.requestID, o.Flags.Timeout, func() error { return c.sendMessage(m) })
	return c.mergeSockets(list, r.sockets), err
}

// ServerSideEmit implements socketio.Adapter.
func (c *clusterNode) ServerSideEmit(ctx context.Context, args socketio.Value, withAck bool) ([]socketio.Value, error) {
	m := c.newMessage(clusterServerSideEmit)
	m.value = args
	if !withAck {
		return nil, c.sendMessage(m)
	}
	r := newRequest(opServerSideEmit)
	m.requestID = hexID()
	err := c.askOthers(ctx, r, m.requestID, 0, func() error { return c.sendMessage(m) })
	return r.values, err
}

// changeRooms makes sockets join or leave rooms here, if local, and on other nodes.
func (c *clusterNode) changeRooms(local error, t clusterType, o socketio.BroadcastOptions, rooms []string, closeConn bool, send func(*clusterMessage) error) error {
	if o.Flags.Local {
		return local
	}
	m := c.newMessage(t)
	m.options, m.rooms, m.closeConn = o, rooms, closeConn
	return errors.Join(local, c.publishResult(opChange, send(m)))
}

// handleMessage acts on a message of another node.
func (c *clusterNode) handleMessage(m *clusterMessage) {
	if m.senderUID == c.uid {
		c.counters.ownEntries.Add(1)
		return
	}
	if m.namespace != c.namespaceName {
		c.counters.foreignEntries.Add(1)
		return
	}
	if !isEmitter(m.senderUID) {
		c.presence.rememberForeign(m.senderUID)
	}
	o := m.options
	o.Flags.Local = true
	var err error
	switch m.messageType {
	case clusterBroadcast:
		if m.requestID != "" {
			c.answerBroadcastOf(m, o)
			break
		}
		if c.takePublished != nil {
			c.takeLogged(m, o)
			break
		}
		err = c.localAdapter.Broadcast(c.ctx, m.packet, o)
	case clusterJoin:
		err = c.localAdapter.AddSockets(c.ctx, o, m.rooms)
	case clusterLeave:
		err = c.localAdapter.DelSockets(c.ctx, o, m.rooms)
	case clusterDisconnect:
		err = c.localAdapter.DisconnectSockets(c.ctx, o, m.closeConn)
	case clusterFetch:
		c.requestWorker.queueTask(func() { c.answerFetch(m, o) })
	case clusterServerSideEmit:
		c.requestWorker.queueTask(func() { c.answerServerSideEmit(m) })
	case clusterFetchResponse, clusterServerSideEmitResponse, clusterClientCount, clusterAck:
		c.handleAnswer(m)
	default:
		c.unknownMessage()
		return
	}
	c.counters.received.Add(1)
	if err != nil {
		c.log.Warn("request of another node failed", "type", int(m.messageType), "error", err)
	}
}

// takeLogged is for a broadcast that was published, where there is a log.
func (c *clusterNode) takeLogged(m *clusterMessage, o socketio.BroadcastOptions) {
	c.takePublished(m.senderUID, &o, func() {
		if err := c.localAdapter.Broadcast(c.ctx, m.packet, o); err != nil {
			c.countMalformed(c.countChannel, err)
		}
	})
}

func (c *clusterNode) sendAnswer(to, requestID string, t clusterType, fill func(*clusterMessage)) {
	m := c.newMessage(t)
	m.requestID = requestID
	fill(m)
	if err := c.replyTo(to, m); err != nil {
		c.log.Debug("answer not published", "error", err)
	}
}

func (c *clusterNode) answerBroadcastOf(m *clusterMessage, o socketio.BroadcastOptions) {
	c.answerBroadcast(m.packet, o, func(clients int) {
		c.sendAnswer(m.senderUID, m.requestID, clusterClientCount, func(a *clusterMessage) { a.clientCount = clients })
	}, func(v socketio.Value) {
		c.sendAnswer(m.senderUID, m.requestID, clusterAck, func(a *clusterMessage) { a.value = v })
	})
}

func (c *clusterNode) answerFetch(m *clusterMessage, o socketio.BroadcastOptions) {
	list, err := c.localAdapter.FetchSockets(c.ctx, o)
	if err != nil {
		return
	}
	text, err := socketsToJSON(list)
	if err != nil {
		c.log.Warn("sockets cannot be described", "error", err)
		return
	}
	c.sendAnswer(m.senderUID, m.requestID, clusterFetchResponse, func(a *clusterMessage) { a.socketsJSON = text })
}

func (c *clusterNode) answerServerSideEmit(m *clusterMessage) {
	var ack func(socketio.Value)
	if m.requestID != "" {
		ack = func(v socketio.Value) {
			c.sendAnswer(m.senderUID, m.requestID, clusterServerSideEmitResponse, func(a *clusterMessage) { a.value = v })
		}
	}
	c.localAdapter.DispatchServerSideEmit(m.value, ack)
}

func (c *clusterNode) handleAnswer(m *clusterMessage) {
	r := c.pendingRequests.get(m.requestID)
	if r == nil {
		return // late
	}
	switch m.messageType {
	case clusterAck:
		r.takeAck(m.value)
	case clusterFetchResponse:
		r.takeAnswer(m.senderUID, keepSockets(r, m.socketsJSON))
	case clusterServerSideEmitResponse:
		r.takeAnswer(m.senderUID, func() { r.values = append(r.values, m.value) })
	case clusterClientCount:
		r.takeAnswer(m.senderUID, func() { r.clientCount += m.clientCount })
	}
}
