package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"posthouse/socketio"
)

const (
	maxArgument  = 4 << 10 // bytes of JSON; a longer argument is shown by its beginning
	shownBytes   = 256     // of a longer one
	maxArguments = 16 << 10
)

// hidesArguments reports whether only the name of an event may be shown.
func (a *Admin) hidesArguments(namespace, event string) bool {
	return a.isPrivate(namespace) || slices.Contains(a.options.PrivateEvents, event)
}

// eventArray is [name, …args] for the page, which only prints it: long arguments are cut,
// and binary values are shown by their length.
func eventArray(name string, args socketio.Args, hidden bool) json.RawMessage {
	all := append([]byte{'['}, quote(cut(name))...)
	if !hidden {
		for _, v := range args.All() {
			if len(all) > maxArguments {
				all = append(append(all, ','), quote(redacted)...)
				break
			}
			all = append(append(all, ','), argument(v)...)
		}
	}
	return append(all, ']')
}

func argument(v socketio.Value) []byte {
	text := []byte(v.JSON)
	if len(text) > maxArgument {
		return quote(fmt.Sprintf("%s (%d bytes)", cut(string(text[:shownBytes+1])), len(text)))
	}
	if len(v.Attachments) == 0 || !bytes.Contains(text, []byte(`"_placeholder"`)) {
		return text
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return quote(redacted)
	}
	text, err := json.Marshal(showBinary(value, v.Attachments))
	if err != nil {
		return quote(redacted)
	}
	return text
}

// showBinary replaces binary values by their length.
func showBinary(value any, attachments [][]byte) any {
	switch v := value.(type) {
	case map[string]any:
		if v["_placeholder"] == true {
			if num, ok := v["num"].(json.Number); ok {
				if i, err := num.Int64(); err == nil && i >= 0 && i < int64(len(attachments)) {
					return fmt.Sprintf("<%d bytes>", len(attachments[i]))
				}
			}
		}
		for key, item := range v {
			v[key] = showBinary(item, attachments)
		}
	case []any:
		for i, item := range v {
			v[i] = showBinary(item, attachments)
		}
	}
	return value
}

// cut shortens a text that is longer than what is shown of one.
func cut(text string) string {
	if len(text) <= shownBytes {
		return text
	}
	text = text[:shownBytes]
	for len(text) > 0 {
		if r, size := utf8.DecodeLastRuneInString(text); r != utf8.RuneError || size != 1 {
			break
		}
		text = text[:len(text)-1] // the first bytes of a character
	}
	return strings.ToValidUTF8(text, "") + redacted
}

func quote(text string) []byte {
	b, err := json.Marshal(text)
	if err != nil {
		return []byte(`""`)
	}
	return b
}
