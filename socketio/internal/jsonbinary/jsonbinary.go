// Package jsonbinary carries binary values in JSON, for peers that speak HTTP
// (docs/realtime.md §4): a byte slice is {"$binary": base64}, and an object that has
// just that key, or just the key "$object", is wrapped as {"$object": …}.
package jsonbinary

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"posthouse/internal/jsontext"
)

const (
	binaryKey = "$binary"
	objectKey = "$object"
)

// ErrFormat is wrapped by errors about wrapped values that make no sense.
var ErrFormat = errors.New("jsonbinary: illegal value")

// Encode returns v, a tree of what encoding/json decodes into an any, with its byte
// slices as objects. The result is for json.Marshal; it may share memory with v.
func Encode(v any) any {
	switch v := v.(type) {
	case []byte:
		return map[string]any{binaryKey: base64.StdEncoding.EncodeToString(v)}
	case []any:
		for i := range v {
			v[i] = Encode(v[i])
		}
		return v
	case map[string]any:
		for key, value := range v {
			v[key] = Encode(value)
		}
		if isWrapper(v) {
			return map[string]any{objectKey: v}
		}
		return v
	}
	return v
}

// Plain reports whether JSON text certainly holds nothing that Encode makes, so that it
// stands for itself. It has false negatives.
func Plain(text []byte) bool {
	return !bytes.Contains(text, []byte(`"$`)) && !bytes.Contains(text, []byte(`\u`))
}

// MaxDepth is how deep a value may be nested: other nodes of a cluster take no more.
const MaxDepth = 500

// Check reports whether text is one JSON value that every reader understands: UTF-8, not
// nested too deep, and no number that a float64 does not hold.
func Check(text []byte) error {
	facts, err := jsontext.Examine(text, MaxDepth)
	switch {
	case errors.Is(err, jsontext.ErrDepth):
		return fmt.Errorf("%w: nested deeper than %d", ErrFormat, MaxDepth)
	case err != nil:
		return fmt.Errorf("%w: no JSON", ErrFormat)
	case !utf8.Valid(text):
		return fmt.Errorf("%w: not UTF-8", ErrFormat)
	case facts.Wide && !jsontext.Finite(text):
		return fmt.Errorf("%w: a number is out of range", ErrFormat)
	}
	return nil
}

// Decode reads one JSON value. Text without wrapped values is returned as it is, as a
// json.RawMessage that was checked; otherwise the result is a tree with byte slices,
// whose numbers are json.Number.
func Decode(text json.RawMessage) (any, error) {
	if Plain(text) {
		if !json.Valid(text) {
			return nil, fmt.Errorf("%w: no JSON", ErrFormat)
		}
		return text, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one value", ErrFormat)
	}
	return decode(v)
}

// DecodeList is Decode for each element of a list.
func DecodeList(list []json.RawMessage) ([]any, error) { return decodeList(list, Decode) }

// DecodeCheckedList is DecodeList for values of another program, which Check has to accept.
func DecodeCheckedList(list []json.RawMessage) ([]any, error) {
	return decodeList(list, func(text json.RawMessage) (any, error) {
		if err := Check(text); err != nil {
			return nil, err
		}
		return Decode(text)
	})
}

func decodeList(list []json.RawMessage, read func(json.RawMessage) (any, error)) ([]any, error) {
	out := make([]any, len(list))
	for i, text := range list {
		v, err := read(text)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		out[i] = v
	}
	return out, nil
}

func decode(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		for i := range v {
			inner, err := decode(v[i])
			if err != nil {
				return nil, err
			}
			v[i] = inner
		}
		return v, nil
	case map[string]any:
		if !isWrapper(v) {
			return decodeFields(v)
		}
		if text, ok := v[binaryKey]; ok {
			return decodeBinary(text)
		}
		inner, ok := v[objectKey].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%w: %s holds no object", ErrFormat, objectKey)
		}
		return decodeFields(inner)
	}
	return v, nil
}

func decodeFields(v map[string]any) (any, error) {
	for key, value := range v {
		inner, err := decode(value)
		if err != nil {
			return nil, err
		}
		v[key] = inner
	}
	return v, nil
}

func decodeBinary(v any) (any, error) {
	text, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("%w: %s holds no text", ErrFormat, binaryKey)
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s holds no base64", ErrFormat, binaryKey)
	}
	return b, nil
}

// isWrapper reports whether v has one of the two keys and nothing else.
func isWrapper(v map[string]any) bool {
	if len(v) != 1 {
		return false
	}
	_, binary := v[binaryKey]
	_, object := v[objectKey]
	return binary || object
}
