package adapter

import (
	"encoding/json"
	"math"
	"strconv"

	"posthouse/socketio"
)

// Reading the envelopes of JSON messages in place: the values of users inside
// them are passed on as they are, so there is no reason to decode them. All of
// these functions want JSON that json.Valid has seen.

// eachMember calls fn for each member of an object; of anything else it has none.
// Keys come without quotes, but as they are spelled.
func eachMember(b []byte, fn func(key, value []byte)) {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return
	}
	i = skipSpace(b, i+1)
	for i < len(b) && b[i] == '"' {
		end := skipValue(b, i)
		key := b[i+1 : end-1]
		i = skipSpace(b, skipSpace(b, end)+1) // after the colon
		end = skipValue(b, i)
		fn(key, b[i:end])
		i = skipSpace(b, end)
		if i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
}

// eachElement calls fn for each element of an array; of anything else it has none.
func eachElement(b []byte, fn func(value []byte)) {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '[' {
		return
	}
	i = skipSpace(b, i+1)
	for i < len(b) && b[i] != ']' {
		end := skipValue(b, i)
		fn(b[i:end])
		i = skipSpace(b, end)
		if i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skipValue returns the index after the value that begins at i.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			i++
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\n', '\r', '\t':
			i++
			continue
		default: // a number or a word
			for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] != ' ' && b[i] != '\n' && b[i] != '\r' && b[i] != '\t' {
				i++
			}
		}
		if depth <= 0 {
			return min(i, len(b))
		}
	}
	return len(b)
}

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
	eachElement(b, func(v []byte) { list = append(list, jsonName(v)) })
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
	eachMember(b, func(key, value []byte) {
		switch string(key) {
		case "rooms":
			o.Rooms = jsonNames(value)
		case "except":
			o.Except = jsonNames(value)
		case "flags":
			o.Flags = jsonFlags(value)
		}
	})
	return o
}

func jsonFlags(b []byte) (f socketio.BroadcastFlags) {
	eachMember(b, func(key, value []byte) {
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
		}
	})
	return f
}
