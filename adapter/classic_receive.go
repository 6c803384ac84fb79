package adapter

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"posthouse/internal/jsontext"
	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// receive takes every message of the subscription. What to do is decided by the
// name of the channel, before anything is decoded.
func (a *Classic) receive(channel, payload string) {
	if room, ok := strings.CutPrefix(channel, a.broadcastPrefix); ok {
		room = strings.TrimSuffix(room, "#")
		if room == "" || a.eventLog != nil || a.localAdapter.HasRoom(room) {
			a.receiveBroadcast(channel, []byte(payload))
		}
		return
	}
	switch {
	case channel == a.requestChannel:
		a.receiveRequest(channel, []byte(payload))
	case strings.HasPrefix(channel, a.responsePrefix):
		a.receiveResponse(channel, []byte(payload))
	case channel == a.presenceChannel:
		if !a.eventLog.hearCall([]byte(payload)) && !a.presence.receiveMessage([]byte(payload)) {
			a.countMalformed(channel, errMalformed)
		}
	}
}

func (a *Classic) receiveBroadcast(channel string, payload []byte) {
	uid, p, o, err := decodeClassicBroadcast(payload)
	if err != nil {
		a.countMalformed(channel, err)
		return
	}
	if uid == a.uid {
		a.counters.ownEntries.Add(1)
		return
	}
	if p.Namespace != a.namespaceName {
		a.counters.foreignEntries.Add(1)
		return
	}
	if a.eventLog == nil {
		a.deliverBroadcast(channel, p, o)
		return
	}
	a.eventLog.takePublished(uid, &o, func() { a.deliverBroadcast(channel, p, o) })
}

func (a *Classic) deliverBroadcast(channel string, p *parser.Packet, o socketio.BroadcastOptions) {
	a.counters.received.Add(1)
	o.Flags.Local = true
	if err := a.localAdapter.Broadcast(a.ctx, p, o); err != nil {
		a.countMalformed(channel, err)
	}
}

func (a *Classic) receiveRequest(channel string, payload []byte) {
	if len(payload) > 0 && payload[0] != '{' {
		a.receiveAckRequest(channel, payload)
		return
	}
	req, err := decodeClassicJSON[classicRequest](payload)
	if err != nil {
		a.countMalformed(channel, err)
		return
	}
	if req.UID == a.uid || req.RequestID != "" && a.pendingRequests.get(req.RequestID) != nil {
		a.counters.ownEntries.Add(1)
		return
	}
	a.counters.received.Add(1)
	switch req.Type {
	case classicSockets:
		a.requestWorker.queueTask(func() { a.answerSockets(req) })
	case classicAllRooms:
		a.requestWorker.queueTask(func() {
			rooms := notNil(a.localAdapter.Rooms())
			a.publishResponse(req, classicResponse{Rooms: &rooms})
		})
	case classicJoin, classicLeave, classicDisconnect:
		a.applyChange(req)
	case classicFetch:
		a.requestWorker.queueTask(func() { a.answerFetch(req) })
	case classicServerSideEmit:
		if len(req.Data) < 3 || req.Data[0] != '[' {
			a.countMalformed(channel, errMalformed)
			return
		}
		a.requestWorker.queueTask(func() { a.answerServerSideEmit(req) })
	default:
		a.unknownMessage()
	}
}

// applyChange makes sockets join, leave or disconnect. The old form names one socket,
// and wants to know that it was here.
func (a *Classic) applyChange(req *classicRequest) {
	var o socketio.BroadcastOptions
	var rooms []string
	switch {
	case req.Opts != nil:
		o = req.Opts.broadcastOptions()
		if req.Rooms != nil {
			rooms = *req.Rooms
		}
	case req.SID != "" && a.localAdapter.HasSocket(req.SID):
		o.Rooms = []string{req.SID}
		rooms = []string{req.Room}
	default:
		return
	}
	o.Flags.Local = true
	var err error
	switch req.Type {
	case classicJoin:
		err = a.localAdapter.AddSockets(a.ctx, o, rooms)
	case classicLeave:
		err = a.localAdapter.DelSockets(a.ctx, o, rooms)
	default:
		err = a.localAdapter.DisconnectSockets(a.ctx, o, req.Close != nil && *req.Close)
	}
	if err != nil {
		a.log.Warn("request of another node failed", "type", int(req.Type), "error", err)
		return
	}
	if req.Opts == nil {
		a.publishResponse(req, classicResponse{})
	}
}

func (a *Classic) answerSockets(req *classicRequest) {
	o := socketio.BroadcastOptions{Flags: socketio.BroadcastFlags{Local: true}}
	if req.Rooms != nil {
		o.Rooms = *req.Rooms
	}
	list, err := a.localAdapter.FetchSockets(a.ctx, o)
	if err != nil {
		return
	}
	ids := make([]string, len(list))
	for i, s := range list {
		ids[i] = s.ID
	}
	if text, err := marshalJSON(ids); err == nil {
		a.publishResponse(req, classicResponse{Sockets: text})
	}
}

func (a *Classic) answerFetch(req *classicRequest) {
	var o socketio.BroadcastOptions
	if req.Opts != nil {
		o = req.Opts.broadcastOptions()
	}
	o.Flags.Local = true
	list, err := a.localAdapter.FetchSockets(a.ctx, o)
	if err != nil {
		return
	}
	if text, err := socketsToJSON(list); err == nil {
		a.publishResponse(req, classicResponse{Sockets: text})
	}
}

func (a *Classic) answerServerSideEmit(req *classicRequest) {
	var ack func(socketio.Value)
	if req.RequestID != "" {
		ack = func(v socketio.Value) {
			t := classicServerSideEmit
			res := classicResponse{Type: &t, RequestID: req.RequestID, Data: bufferJSON(v)}
			if len(res.Data) == 0 {
				res.Data = nil // undefined: Node leaves the key out
			}
			a.signResponse(req, &res)
			// Always on the common channel (docs/protocol.md §4.1).
			if err := a.publishJSON(a.responsePrefix, res); err != nil {
				a.log.Debug("answer not published", "error", err)
			}
		}
	}
	a.localAdapter.DispatchServerSideEmit(socketio.Value{JSON: req.Data}, ack)
}

// publishResponse answers req.
func (a *Classic) publishResponse(req *classicRequest, res classicResponse) {
	res.RequestID = req.RequestID
	a.signResponse(req, &res)
	if err := a.publishJSON(a.responseChannel(req.UID), res); err != nil {
		a.log.Debug("answer not published", "error", err)
	}
}

// signResponse puts our name on an answer to a Go node.
func (a *Classic) signResponse(req *classicRequest, res *classicResponse) {
	if req.UID != "" && a.presence.isGo(req.UID) {
		res.UID = a.uid
	}
}

func (a *Classic) responseChannel(uid string) string {
	if a.ownChannels && uid != "" {
		return a.answersChannel(uid)
	}
	return a.responsePrefix
}

func (a *Classic) receiveAckRequest(channel string, payload []byte) {
	req, err := decodeClassicAckRequest(payload)
	switch {
	case err != nil:
		a.countMalformed(channel, err)
		return
	case req == nil:
		a.unknownMessage()
		return
	case req.uid == a.uid || req.packet.Namespace != a.namespaceName:
		return
	}
	a.counters.received.Add(1)
	answers := a.responseChannel(req.uid)
	req.options.Flags.Local = true
	a.answerBroadcast(req.packet, req.options, func(clients int) {
		t := classicClientCount
		res := classicResponse{Type: &t, RequestID: req.requestID, ClientCount: &clients}
		a.signResponse(&classicRequest{UID: req.uid}, &res)
		if err := a.publishJSON(answers, res); err != nil {
			a.log.Debug("answer not published", "error", err)
		}
	}, func(v socketio.Value) {
		b, err := appendClassicAck(nil, req.requestID, v)
		if err == nil {
			err = a.publishOn(answers, b)
		}
		if err != nil {
			a.log.Debug("answer not published", "error", err)
		}
	})
}

func (a *Classic) receiveResponse(channel string, payload []byte) {
	if len(payload) > 0 && payload[0] != '{' {
		id, v, err := decodeClassicAck(payload)
		if err != nil {
			a.countMalformed(channel, err)
		} else if r := a.pendingRequests.get(id); r != nil {
			a.counters.received.Add(1)
			r.takeAck(v)
		}
		return
	}
	res, err := decodeClassicJSON[classicResponse](payload)
	if err != nil {
		a.countMalformed(channel, err)
		return
	}
	r := a.pendingRequests.get(res.RequestID)
	if r == nil {
		return // of another node, or late
	}
	a.counters.received.Add(1)
	a.presence.heardFrom(res.UID)
	r.takeAnswer(res.UID, func() {
		switch r.operation {
		case opFetchSockets:
			keepSockets(r, res.Sockets)()
		case opAllRooms:
			if res.Rooms != nil {
				for _, room := range *res.Rooms {
					r.rooms[room] = struct{}{}
				}
			}
		case opServerSideEmit:
			v := socketio.Value{JSON: res.Data}
			if v.JSON == nil {
				v.JSON = json.RawMessage("null")
			}
			r.values = append(r.values, v)
		case opEmitWithAck:
			if res.ClientCount != nil {
				r.clientCount += *res.ClientCount
			}
		}
	})
}

// bufferJSON writes binary values as JSON.stringify writes a Buffer, for the
// messages of the classic adapter that are always JSON.
func bufferJSON(v socketio.Value) json.RawMessage {
	if len(v.Attachments) == 0 {
		return v.JSON
	}
	var out []byte
	rest := []byte(v.JSON)
	for {
		// Inside a string the quotes would be escaped.
		before, after, found := bytes.Cut(rest, []byte(jsontext.PlaceholderHead))
		digits, tail, closed := bytes.Cut(after, []byte("}"))
		num, err := strconv.Atoi(string(digits))
		if !found || !closed || err != nil || num < 0 || num >= len(v.Attachments) {
			return append(out, rest...)
		}
		out = append(out, before...)
		out = append(out, `{"type":"Buffer","data":[`...)
		for i, b := range v.Attachments[num] {
			if i > 0 {
				out = append(out, ',')
			}
			out = strconv.AppendUint(out, uint64(b), 10)
		}
		out = append(out, `]}`...)
		rest = tail
	}
}
