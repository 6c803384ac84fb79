package adapter

import (
	"encoding/json"
	"slices"
	"strconv"

	"posthouse/internal/jsontext"
	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// The message model that the sharded and the streams adapter share (docs/protocol.md
// §4.3): {type, data, uid, nsp}.

type clusterType int

const (
	clusterInitialHeartbeat clusterType = iota + 1 // not used by these adapters
	clusterHeartbeat                               // not used by these adapters
	clusterBroadcast                               // with requestId: acks are wanted
	clusterJoin
	clusterLeave
	clusterDisconnect
	clusterFetch
	clusterFetchResponse
	clusterServerSideEmit
	clusterServerSideEmitResponse
	clusterClientCount
	clusterAck
	clusterClose // not used by these adapters
	// clusterMark is an entry of a stream that is no message (docs/protocol.md §4.6). Nodes of
	// the reference ignore it.
	clusterMark clusterType = 64
)

// clusterMessage is any message of the model; its type tells which fields mean
// something.
type clusterMessage struct {
	messageType clusterType
	senderUID   string
	namespace   string

	requestID   string
	packet      *parser.Packet            // broadcast
	options     socketio.BroadcastOptions // broadcast, join, leave, disconnect, fetch
	rooms       []string                  // join, leave
	closeConn   bool                      // disconnect
	mark        markKind                  // mark
	socketsJSON json.RawMessage           // fetch response
	value       socketio.Value            // server-side emit and its response, ack
	clientCount int
}

// attachments are the binary values of the message.
func (m *clusterMessage) attachments() [][]byte {
	if m.packet != nil {
		return m.packet.Attachments
	}
	return m.value.Attachments
}

// appendData appends the data object as canonical JSON: binary values are
// placeholders. The order of the keys is Node's.
func (m *clusterMessage) appendData(dst []byte) []byte {
	requestID := func(before string) {
		dst = append(dst, before...)
		dst = append(dst, `"requestId":`...)
		dst = jsontext.AppendQuoted(dst, m.requestID)
	}
	switch m.messageType {
	case clusterBroadcast:
		dst = append(dst, `{"packet":{"type":2,"data":`...)
		dst = append(dst, m.packet.Data...)
		if m.packet.ID != nil {
			dst = append(dst, `,"id":`...)
			dst = strconv.AppendUint(dst, *m.packet.ID, 10)
		}
		dst = append(dst, '}')
		if m.requestID != "" {
			requestID(",")
		}
		dst = append(dst, `,"opts":`...)
		dst = appendOptsJSON(dst, &m.options)
	case clusterJoin, clusterLeave:
		dst = append(dst, `{"opts":`...)
		dst = appendOptsJSON(dst, &m.options)
		dst = append(dst, `,"rooms":`...)
		dst = appendNamesJSON(dst, m.rooms)
	case clusterDisconnect:
		dst = append(dst, `{"opts":`...)
		dst = appendOptsJSON(dst, &m.options)
		dst = append(dst, `,"close":`...)
		dst = strconv.AppendBool(dst, m.closeConn)
	case clusterFetch:
		dst = append(dst, `{"opts":`...)
		dst = appendOptsJSON(dst, &m.options)
		requestID(",")
	case clusterMark:
		dst = append(dst, `{"mark":`...)
		dst = jsontext.AppendQuoted(dst, markNames[m.mark])
		dst = append(dst, `,"clientCount":`...)
		dst = strconv.AppendInt(dst, int64(m.clientCount), 10)
		dst = append(dst, `,"opts":`...)
		dst = appendOptsJSON(dst, &m.options)
	case clusterFetchResponse:
		requestID("{")
		dst = append(dst, `,"sockets":`...)
		dst = append(dst, m.socketsJSON...)
	case clusterClientCount:
		requestID("{")
		dst = append(dst, `,"clientCount":`...)
		dst = strconv.AppendInt(dst, int64(m.clientCount), 10)
	default: // server-side emit and its response, ack
		dst = append(dst, '{')
		if m.requestID != "" {
			requestID("")
			dst = append(dst, ',')
		}
		dst = append(dst, `"packet":`...)
		dst = append(dst, m.value.JSON...)
	}
	return append(dst, '}')
}

// appendJSON appends the whole message as canonical JSON.
func (m *clusterMessage) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":`...)
	dst = strconv.AppendInt(dst, int64(m.messageType), 10)
	dst = append(dst, `,"data":`...)
	dst = m.appendData(dst)
	dst = append(dst, `,"uid":`...)
	dst = jsontext.AppendQuoted(dst, m.senderUID)
	dst = append(dst, `,"nsp":`...)
	dst = jsontext.AppendQuoted(dst, m.namespace)
	return append(dst, '}')
}

// encodeSharded gives what the sharded adapter publishes: JSON, or MessagePack if
// there is anything binary.
func (m *clusterMessage) encodeSharded() ([]byte, error) {
	text := m.appendJSON(make([]byte, 0, m.sizeHint()))
	if len(m.attachments()) == 0 || !m.carriesValue() {
		return text, nil
	}
	return appendValue(nil, socketio.Value{JSON: text, Attachments: m.attachments()})
}

// carriesValue tells the types that may be MessagePack because they carry what
// people send (docs/protocol.md §4.3).
func (m *clusterMessage) carriesValue() bool {
	switch m.messageType {
	case clusterBroadcast, clusterFetchResponse, clusterServerSideEmit, clusterServerSideEmitResponse, clusterAck:
		return true
	}
	return false
}

// encodeEphemeral gives what the streams adapter publishes: always MessagePack.
func (m *clusterMessage) encodeEphemeral() ([]byte, error) {
	text := m.appendJSON(make([]byte, 0, m.sizeHint()))
	return appendValue(nil, socketio.Value{JSON: text, Attachments: m.attachments()})
}

func (m *clusterMessage) sizeHint() int {
	n := 256 + len(m.value.JSON) + len(m.socketsJSON)
	if m.packet != nil {
		n += len(m.packet.Data)
	}
	return n
}

// decodeCluster reads a whole message, JSON or MessagePack.
func decodeCluster(b []byte) (*clusterMessage, error) {
	v := socketio.Value{JSON: b}
	switch {
	case len(b) == 0:
		return nil, errMalformed
	case b[0] != '{':
		u := newUnpacker(b)
		if v = u.value(); u.firstError != nil {
			return nil, u.firstError
		}
	case !json.Valid(b):
		return nil, errMalformed
	}
	m := new(clusterMessage)
	var data []byte
	jsontext.EachMember(v.JSON, func(key, value []byte) {
		switch string(key) {
		case "type":
			m.messageType = clusterType(jsonInt(value))
		case "data":
			data = value
		case "uid":
			m.senderUID = jsonText(value)
		case "nsp":
			m.namespace = jsonText(value)
		}
	})
	if m.senderUID == "" || m.namespace == "" {
		return nil, errMalformed
	}
	return m, m.decodeData(data, v.Attachments)
}

// decodeData reads the data object, valid JSON, of a message whose other fields
// are set.
func (m *clusterMessage) decodeData(data json.RawMessage, attachments [][]byte) error {
	if len(data) == 0 {
		if m.messageType >= clusterBroadcast && m.messageType < clusterClose {
			return errMalformed
		}
		return nil // heartbeats of other adapters
	}
	var packet []byte
	jsontext.EachMember(data, func(key, value []byte) {
		switch string(key) {
		case "packet":
			packet = value
		case "requestId":
			m.requestID = jsonText(value)
		case "opts":
			m.options = jsonOpts(value)
		case "rooms":
			m.rooms = jsonNames(value)
		case "close":
			m.closeConn = isTrue(value)
		case "sockets":
			m.socketsJSON = value
		case "clientCount":
			m.clientCount = jsonInt(value)
		case "mark":
			// An unknown mark becomes 255 and ends recovery like one of an event.
			m.mark = markKind(slices.Index(markNames[:], jsonText(value)) & 0xff)
		}
	})
	if m.messageType != clusterBroadcast {
		m.value = socketio.Value{JSON: packet, Attachments: attachments}
		if packet == nil {
			m.value = socketio.Value{JSON: json.RawMessage("null")} // acknowledged without argument
		}
		return nil
	}
	m.packet = &parser.Packet{Type: parser.Event, Namespace: m.namespace, Attachments: attachments}
	var typ uint64
	jsontext.EachMember(packet, func(key, value []byte) {
		switch string(key) {
		case "type":
			typ, _ = jsonCount(value)
		case "data":
			m.packet.Data = value
		case "id":
			if id, ok := jsonCount(value); ok {
				m.packet.ID = &id
			}
		}
	})
	var err error
	checkPacket(m.packet, typ, func(e error) { err = e })
	return err
}

func appendOptsJSON(dst []byte, o *socketio.BroadcastOptions) []byte {
	dst = append(dst, `{"rooms":`...)
	dst = appendNamesJSON(dst, o.Rooms)
	dst = append(dst, `,"except":`...)
	dst = appendNamesJSON(dst, o.Except)
	dst = append(dst, `,"flags":{`...)
	start := len(dst)
	flag := func(text string) {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, text...)
	}
	if o.Flags.Volatile {
		flag(`"volatile":true`)
	}
	if o.Flags.NoCompress {
		flag(`"compress":false`)
	}
	if o.Flags.ExpectSingleResponse {
		flag(`"expectSingleResponse":true`)
	}
	if o.Flags.Timeout > 0 {
		flag(`"timeout":`)
		dst = strconv.AppendInt(dst, o.Flags.Timeout.Milliseconds(), 10)
	}
	if o.Flags.Trace != "" {
		flag(`"traceparent":`)
		dst = jsontext.AppendQuoted(dst, o.Flags.Trace)
	}
	dst = append(dst, '}')
	if o.Recorded != nil {
		dst = append(dst, `,"history":"`...)
		dst = append(append(dst, recordedText(o.Recorded)...), '"')
	}
	return append(dst, '}')
}

func appendNamesJSON(dst []byte, names []string) []byte {
	dst = append(dst, '[')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsontext.AppendQuoted(dst, name)
	}
	return append(dst, ']')
}
