package parser

import (
	"encoding/json"
	"iter"
	"strconv"

	"posthouse/internal/jsontext"
)

// A list, in this file, is the text between the brackets of a compact JSON
// array that a decoder has checked: `1,"a",{}`. Lists are cut out of a packet's
// Data and spliced into another's without building values.

// List returns the list of an array: its text without the brackets. It is nil
// when data is no array, as for an EVENT or ACK without payload.
func List(data []byte) []byte {
	if len(data) < 2 || data[0] != '[' {
		return nil
	}
	return data[1 : len(data)-1]
}

// NextElement cuts the first element off a list; ok is false when the list is
// empty. Nothing is copied.
func NextElement(list []byte) (element json.RawMessage, rest []byte, ok bool) {
	if len(list) == 0 {
		return nil, nil, false
	}
	end := jsontext.Skip(list, 0)
	if end < len(list) {
		return list[:end:end], list[end+1:], true
	}
	return list[:end:end], nil, true
}

// Elements walks the elements of a list without allocating; they alias it.
func Elements(list []byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		for {
			e, rest, ok := NextElement(list)
			if !ok || !yield(e) {
				return
			}
			list = rest
		}
	}
}

// SplitEvent returns the name of an event and the list of its arguments, given
// the Data of an EVENT packet. Both alias data, except for the rare name that is
// written with escapes. A numeric name is given as JavaScript prints it. Without
// payload the name is nil: Node dispatches such an event to no listener.
func SplitEvent(data []byte) (name, args []byte) {
	first, args, ok := NextElement(List(data))
	if !ok {
		return nil, nil
	}
	if first[0] != '"' {
		return numericName(first), args
	}
	return unquote(first), args
}

// numericName prints a numeric event name: Node looks for its handlers under
// the number's text.
func numericName(n []byte) []byte {
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil {
		return n // too large for a number of JavaScript; no listener is called Infinity
	}
	return jsontext.AppendFloat(nil, f, 64)
}

// unquote returns the text of a checked JSON string, aliasing it if it has no
// escapes.
func unquote(s []byte) []byte {
	if jsontext.Plain(s) {
		return s[1 : len(s)-1 : len(s)-1]
	}
	return jsontext.AppendUnquoted(nil, s)
}
