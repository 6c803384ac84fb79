package adapter

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"

	"posthouse/socketio"
)

// entryArgs gives the XADD command of a durable message (docs/protocol.md §4.4).
func (m *clusterMessage) entryArgs(stream string, maxLen int64) ([]any, error) {
	own := *m
	own.options.Recorded = nil // its ids are a field of the entry
	data := own.appendData(make([]byte, 0, m.sizeHint()))
	if len(m.attachments()) > 0 {
		packed, err := appendValue(nil, socketio.Value{JSON: data, Attachments: m.attachments()})
		if err != nil {
			return nil, err
		}
		data = base64.StdEncoding.AppendEncode(nil, packed)
	}
	return []any{"xadd", stream, "MAXLEN", "~", strconv.FormatInt(maxLen, 10), "*",
		"uid", m.senderUID, "nsp", m.namespace, "type", strconv.Itoa(int(m.messageType)), "data", data}, nil
}

// decodeEntry reads the fields of a stream entry. It returns nil and no error for
// entries that are none of ours.
func decodeEntry(fields map[string]any) (*clusterMessage, error) {
	field := func(name string) string {
		s, _ := fields[name].(string)
		return s
	}
	m := &clusterMessage{senderUID: field("uid"), namespace: field("nsp")}
	if m.namespace == "" {
		return nil, nil
	}
	typ, err := strconv.Atoi(field("type"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	m.messageType = clusterType(typ)
	data := []byte(field("data"))
	if len(data) == 0 || data[0] == '{' {
		if len(data) > 0 && !json.Valid(data) {
			return nil, errMalformed
		}
		return m, m.decodeEntryData(data, nil, field("history"))
	}
	packed, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimSpace(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	u := newUnpacker(packed)
	v := u.value()
	if u.firstError != nil {
		return nil, u.firstError
	}
	return m, m.decodeEntryData(v.JSON, v.Attachments, field("history"))
}

// decodeEntryData is decodeData with the ids of an event that histories keep.
func (m *clusterMessage) decodeEntryData(data []byte, attachments [][]byte, ids string) error {
	err := m.decodeData(data, attachments)
	m.options.Recorded = parseRecorded(ids, m.options.Rooms)
	return err
}

// streamOf gives the stream of a namespace. With several streams the reference
// hashes the name, and keeps the sign of the remainder: half of the namespaces
// go to streams with a negative number, which it does not read. All nodes must
// agree, so this does the same unless safe is set.
func streamOf(name string, count int, nsp string, safe bool) string {
	if count <= 1 {
		return name
	}
	var h int32
	for _, unit := range utf16.Encode([]rune(nsp)) {
		h = h*31 + int32(unit)
	}
	n := int(h) % count
	if safe && n < 0 {
		n += count
	}
	return name + "-" + strconv.Itoa(n)
}
