package parser

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"time"

	"posthouse/internal/jsontext"
)

// Raw is a value in canonical form, as decoders give it: JSON text whose
// placeholders stand for Attachments. As an argument of AppendArgs it is spliced
// without being looked at, but for the numbers of its placeholders; as a target
// of Bind it takes any value. JSON must be checked: it comes from a decoder.
type Raw struct {
	JSON        json.RawMessage
	Attachments [][]byte
}

// AppendArgs appends args to a list (see List) as JSON, separated by commas, and
// to attachments their binary values, which leave placeholders in the text
// (docs/protocol.md §3.6). On an error dst and attachments come back as they were.
//
// Values are written as JSON.stringify would: byte slices of any name are
// binary and are copied (nil is null); a json.RawMessage is taken as it is, if it
// is JSON; json.Marshaler and encoding.TextMarshaler are honoured; time.Time is
// UTC with milliseconds; NaN and the infinities are null; nothing is escaped for
// HTML. Struct tags mean what they mean to encoding/json, map keys are sorted,
// and what encoding/json refuses (channels, functions, complex numbers, cycles)
// is an error here as well.
func AppendArgs(dst []byte, attachments [][]byte, args ...any) ([]byte, [][]byte, error) {
	text, bin := dst, attachments
	for i, a := range args {
		if i > 0 {
			text = append(text, ',')
		}
		var err error
		if text, bin, err = AppendValue(text, bin, a); err != nil {
			return dst, attachments, fmt.Errorf("argument %d: %w", i, err)
		}
	}
	return text, bin, nil
}

// AppendValue is AppendArgs for one value.
func AppendValue(dst []byte, attachments [][]byte, v any) ([]byte, [][]byte, error) {
	switch v := v.(type) { // what needs neither reflection nor an encoder
	case nil:
		return append(dst, "null"...), attachments, nil
	case string:
		return jsontext.AppendQuoted(dst, v), attachments, nil
	case bool:
		return strconv.AppendBool(dst, v), attachments, nil
	case int:
		return strconv.AppendInt(dst, int64(v), 10), attachments, nil
	case int64:
		return strconv.AppendInt(dst, v, 10), attachments, nil
	case float64:
		return jsontext.AppendFloat(dst, v, 64), attachments, nil
	case []byte:
		dst, attachments = appendBinary(dst, attachments, v)
		return dst, attachments, nil
	case Raw:
		dst, attachments = appendRaw(dst, attachments, v)
		return dst, attachments, nil
	case json.RawMessage:
		text, err := appendChecked(dst, v)
		return text, attachments, err
	case time.Time:
		return jsontext.AppendTime(dst, v), attachments, nil
	}
	e := encoders.Get().(*encoder)
	e.dst, e.attachments, e.depth = dst, attachments, 0
	err := e.any(v)
	text, bin := e.dst, e.attachments
	e.dst, e.attachments = nil, nil
	encoders.Put(e)
	if err != nil {
		return dst, attachments, err
	}
	return text, bin, nil
}

// encoder is where a value that needs reflection is written to.
type encoder struct {
	dst         []byte
	attachments [][]byte
	depth       int
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// maxValueDepth ends the walk through a value that contains itself.
const maxValueDepth = 1000

func (e *encoder) any(v any) (err error) {
	switch v := v.(type) {
	case map[string]any:
		return e.object(v)
	case []any:
		return e.array(v)
	case nil, string, bool, int, int64, float64, []byte, Raw, json.RawMessage, time.Time:
		e.dst, e.attachments, err = AppendValue(e.dst, e.attachments, v)
		return err
	default:
		rv := reflect.ValueOf(v)
		return planOf(rv.Type()).encode(e, rv)
	}
}

func (e *encoder) enter() error {
	if e.depth++; e.depth > maxValueDepth {
		return fmt.Errorf("parser: value nested deeper than %d, or containing itself", maxValueDepth)
	}
	return nil
}

func (e *encoder) array(v []any) error {
	if v == nil {
		e.dst = append(e.dst, "null"...)
		return nil
	}
	if err := e.enter(); err != nil {
		return err
	}
	e.dst = append(e.dst, '[')
	for i, x := range v {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		if err := e.any(x); err != nil {
			return err
		}
	}
	e.dst = append(e.dst, ']')
	e.depth--
	return nil
}

func (e *encoder) object(m map[string]any) error {
	if m == nil {
		e.dst = append(e.dst, "null"...)
		return nil
	}
	if err := e.enter(); err != nil {
		return err
	}
	e.dst = append(e.dst, '{')
	for i, k := range sortedKeys(m) {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.dst = append(jsontext.AppendQuoted(e.dst, k), ':')
		if err := e.any(m[k]); err != nil {
			return err
		}
	}
	e.dst = append(e.dst, '}')
	e.depth--
	return nil
}

func appendBinary(dst []byte, attachments [][]byte, b []byte) ([]byte, [][]byte) {
	if b == nil {
		return append(dst, "null"...), attachments
	}
	dst = jsontext.AppendPlaceholder(dst, len(attachments))
	return dst, append(attachments, append(make([]byte, 0, len(b)), b...))
}

// appendRaw splices r. Its attachments are added as they are, so that a
// placeholder's number grows by how many there were before; those that nothing
// in r.JSON names are left out.
func appendRaw(dst []byte, attachments [][]byte, r Raw) ([]byte, [][]byte) {
	if len(r.JSON) == 0 {
		return append(dst, "null"...), attachments
	}
	n := len(r.Attachments)
	start, num, end := jsontext.NextPlaceholder(r.JSON, 0, n)
	if start < 0 {
		return append(dst, r.JSON...), attachments
	}
	var few [16]int
	place := few[:0] // where attachment i of r went, plus one
	if n > len(few) {
		place = make([]int, 0, n)
	}
	place = place[:n]
	copied := 0
	for start >= 0 {
		if place[num] == 0 {
			attachments = append(attachments, r.Attachments[num])
			place[num] = len(attachments)
		}
		dst = append(dst, r.JSON[copied:start]...)
		dst = jsontext.AppendPlaceholder(dst, place[num]-1)
		copied = end
		start, num, end = jsontext.NextPlaceholder(r.JSON, end, n)
	}
	return append(dst, r.JSON[copied:]...), attachments
}

// appendChecked appends JSON that another program wrote.
func appendChecked(dst, b []byte) ([]byte, error) {
	if b == nil {
		return append(dst, "null"...), nil
	}
	spaced, err := jsontext.Check(b, jsontext.MaxDepth)
	if err != nil {
		return dst, fmt.Errorf("parser: raw JSON: %w", err)
	}
	if spaced {
		return jsontext.AppendCompact(dst, b), nil
	}
	return append(dst, b...), nil
}
