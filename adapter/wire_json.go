package adapter

import (
	"encoding/json"
	"math"
	"strconv"

	"posthouse/internal/jsontext"
	"posthouse/socketio"
)

// The envelopes of JSON messages are read in place: the values of users inside them are
// passed on as they are, so there is no reason to decode them. All of these functions
// want JSON that json.Valid has seen.

// jsonText is a string; anything else is "".
func jsonText(b []byte) string {
	if len(b) < 2 || b[0] != '"' {
		return ""
	}
	for _, c := range b {
		if c == '\\' || c >= 0x80 { // may be invalid UTF-8
			var s string
			_ = json.Unmarshal(b, &s)
			return s
		}
	}
	return string(b[1 : len(b)-1])
}

// jsonName is the name of a room. Node lets it be a number.
func jsonName(b []byte) string {
	if len(b) > 0 && b[0] == '"' {
		return jsonText(b)
	}
	return string(b)
}

func jsonNames(b []byte) (list []string) {
	jsontext.EachElement(b, func(v []byte) { list = append(list, jsonName(v)) })
	return list
}

// jsonCount is a whole number that is not negative; ok is false for anything else.
func jsonCount(b []byte) (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(b), 10, 64)
	return n, err == nil
}

func jsonInt(b []byte) int {
	n, ok := jsonCount(b)
	if !ok || n > math.MaxInt32 {
		return 0
	}
	return int(n)
}

func isTrue(b []byte) bool { return string(b) == "true" }

func jsonOpts(b []byte) (o socketio.BroadcastOptions) {
	var ids string
	jsontext.EachMember(b, func(key, value []byte) {
		switch string(key) {
		case "rooms":
			o.Rooms = jsonNames(value)
		case "except":
			o.Except = jsonNames(value)
		case "flags":
			o.Flags = jsonFlags(value)
		case "history":
			ids = jsonText(value)
		}
	})
	o.Recorded = parseRecorded(ids, o.Rooms)
	return o
}

func jsonFlags(b []byte) (f socketio.BroadcastFlags) {
	jsontext.EachMember(b, func(key, value []byte) {
		switch string(key) {
		case "volatile":
			f.Volatile = isTrue(value)
		case "compress":
			f.NoCompress = !isTrue(value)
		case "expectSingleResponse":
			f.ExpectSingleResponse = isTrue(value)
		case "timeout":
			if ms, err := strconv.ParseFloat(string(value), 64); err == nil {
				f.Timeout = fromMillis(ms)
			}
		case "traceparent":
			f.Trace = jsonText(value)
		}
	})
	return f
}
