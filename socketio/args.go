package socketio

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"posthouse/socketio/parser"
)

// Args are the arguments of an event or of an acknowledgement, not decoded yet.
// Passed to Emit or Ack they are spliced in as they are. The zero value is no
// arguments.
type Args struct {
	valuesJSON  []byte // compact JSON values, comma separated
	attachments [][]byte
}

// Len returns the number of arguments.
func (a Args) Len() int {
	n := 0
	for range parser.Elements(a.valuesJSON) {
		n++
	}
	return n
}

// All walks the arguments in canonical form: see Value.
func (a Args) All() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		i := 0
		for e := range parser.Elements(a.valuesJSON) {
			if !yield(i, Value{e, a.attachments}) {
				return
			}
			i++
		}
	}
}

// ErrArgs is wrapped by the errors of Bind: arguments are missing or do not fit
// their destinations. Both are the client's doing.
var ErrArgs = errors.New("socketio: arguments do not fit")

// Bind decodes the arguments into dst: see Event.Bind. A destination of type
// *Args takes all arguments that are left, a *Value one of them undecoded.
func (a Args) Bind(dst ...any) error {
	rest := a.valuesJSON
	for i, d := range dst {
		if d, ok := d.(*Args); ok {
			*d = Args{rest, a.attachments}
			return nil
		}
		var element json.RawMessage
		var ok bool
		if element, rest, ok = parser.NextElement(rest); !ok {
			if isOptional(d) {
				continue
			}
			return fmt.Errorf("%w: %d given, %d wanted", ErrArgs, i, len(dst))
		}
		if v, ok := d.(*Value); ok {
			*v = Value{element, a.attachments}
			continue
		}
		if err := parser.Bind(element, a.attachments, d); err != nil {
			return fmt.Errorf("%w: argument %d: %w", ErrArgs, i, err)
		}
	}
	return nil
}

// isOptional reports whether dst is a pointer to a pointer.
func isOptional(dst any) bool {
	t := reflect.TypeOf(dst)
	return t != nil && t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Pointer
}

// JSON returns the i-th argument as compact JSON, nil when there are fewer. A
// binary value is {"_placeholder":true,"num":n}.
func (a Args) JSON(i int) json.RawMessage {
	for j, v := range a.All() {
		if j == i {
			return v.JSON
		}
	}
	return nil
}

// Slice returns the arguments from the i-th on.
func (a Args) Slice(i int) Args {
	rest := a.valuesJSON
	for ; i > 0; i-- {
		_, rest, _ = parser.NextElement(rest)
	}
	return Args{rest, a.attachments}
}

// String returns the arguments as a JSON array, for logs and tests.
func (a Args) String() string { return "[" + string(a.valuesJSON) + "]" }

// Clone returns a copy that shares no memory with a.
func (a Args) Clone() Args {
	c := Args{valuesJSON: append([]byte(nil), a.valuesJSON...)}
	for _, b := range a.attachments {
		c.attachments = append(c.attachments, append([]byte(nil), b...))
	}
	return c
}

// firstValue returns the first argument in canonical form, with the attachments
// that it refers to; null when there is none.
func (a Args) firstValue() Value {
	e, _, ok := parser.NextElement(a.valuesJSON)
	if !ok {
		return Value{JSON: json.RawMessage("null")}
	}
	text, attachments := spliceAttachments(nil, nil, e, a.attachments)
	return Value{text, attachments}
}
