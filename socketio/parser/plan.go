package parser

import (
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"posthouse/internal/jsontext"
)

// plan is how values of one type are written. Plans are made once per type and
// refer to each other, so that a recursive type's plan refers to itself.
type plan struct {
	encode func(e *encoder, v reflect.Value) error
	fields *fields // of a struct
}

var (
	plans    sync.Map   // reflect.Type → *plan, complete ones only
	planning sync.Mutex // held by the one who makes plans
)

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	planning.Lock()
	defer planning.Unlock()
	made := planner{}
	p := made.plan(t)
	for t, p := range made {
		plans.LoadOrStore(t, p)
	}
	return p
}

// planner holds the plans that are being made.
type planner map[reflect.Type]*plan

var (
	marshalerType     = reflect.TypeFor[json.Marshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
	rawMessageType    = reflect.TypeFor[json.RawMessage]()
	numberType        = reflect.TypeFor[json.Number]()
	timeType          = reflect.TypeFor[time.Time]()
	rawType           = reflect.TypeFor[Raw]()
)

func (m planner) plan(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	if p, ok := m[t]; ok {
		return p
	}
	p := new(plan)
	m[t] = p
	if t.Kind() == reflect.Struct {
		p.fields = m.fields(t)
	}
	p.encode = m.encoder(t, p)
	return p
}

func (m planner) encoder(t reflect.Type, p *plan) func(*encoder, reflect.Value) error {
	switch t {
	case rawMessageType:
		return func(e *encoder, v reflect.Value) (err error) {
			e.dst, err = appendChecked(e.dst, v.Bytes())
			return err
		}
	case timeType:
		return func(e *encoder, v reflect.Value) error {
			e.dst = jsontext.AppendTime(e.dst, v.Interface().(time.Time))
			return nil
		}
	case rawType:
		return func(e *encoder, v reflect.Value) error {
			e.dst, e.attachments = appendRaw(e.dst, e.attachments, v.Interface().(Raw))
			return nil
		}
	case numberType:
		return encodeNumber
	}
	// As in encoding/json, a method of the pointer counts where there is one to
	// be had: for what is in a variable.
	byValue := m.kind(t, p)
	if t.Kind() == reflect.Pointer && (t.Elem() == timeType || t.Elem() == rawType) {
		return byValue
	}
	switch pt := reflect.PointerTo(t); {
	case t.Implements(marshalerType):
		return encodeMarshaler
	case t.Kind() != reflect.Pointer && pt.Implements(marshalerType):
		return ifAddressable(encodeMarshaler, m.text(t, byValue))
	default:
		return m.text(t, byValue)
	}
}

// text is the part of encoder that looks for a TextMarshaler.
func (m planner) text(t reflect.Type, byValue func(*encoder, reflect.Value) error) func(*encoder, reflect.Value) error {
	switch {
	case t.Implements(textMarshalerType):
		return encodeTextMarshaler
	case t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(textMarshalerType):
		return ifAddressable(encodeTextMarshaler, byValue)
	default:
		return byValue
	}
}

func ifAddressable(pointer, value func(*encoder, reflect.Value) error) func(*encoder, reflect.Value) error {
	return func(e *encoder, v reflect.Value) error {
		if v.CanAddr() {
			return pointer(e, v.Addr())
		}
		return value(e, v)
	}
}

func encodeMarshaler(e *encoder, v reflect.Value) error {
	if isNil(v) {
		e.dst = append(e.dst, "null"...)
		return nil
	}
	b, err := v.Interface().(json.Marshaler).MarshalJSON()
	if err != nil {
		return fmt.Errorf("parser: %s: %w", v.Type(), err)
	}
	if b == nil {
		return fmt.Errorf("parser: %s: no JSON", v.Type())
	}
	e.dst, err = appendChecked(e.dst, b)
	return err
}

func encodeTextMarshaler(e *encoder, v reflect.Value) error {
	if isNil(v) {
		e.dst = append(e.dst, "null"...)
		return nil
	}
	b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return fmt.Errorf("parser: %s: %w", v.Type(), err)
	}
	e.dst = jsontext.AppendQuoted(e.dst, b)
	return nil
}

func isNil(v reflect.Value) bool {
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil()
}

func encodeNumber(e *encoder, v reflect.Value) error {
	s := cmp.Or(v.String(), "0") // as encoding/json
	if !jsontext.IsNumber(s) {
		return fmt.Errorf("parser: %q is not a number", s)
	}
	e.dst = append(e.dst, s...)
	return nil
}

// kind is the part of encoder that knows no methods.
func (m planner) kind(t reflect.Type, p *plan) func(*encoder, reflect.Value) error {
	switch t.Kind() {
	case reflect.Bool:
		return func(e *encoder, v reflect.Value) error {
			e.dst = strconv.AppendBool(e.dst, v.Bool())
			return nil
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(e *encoder, v reflect.Value) error {
			e.dst = strconv.AppendInt(e.dst, v.Int(), 10)
			return nil
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(e *encoder, v reflect.Value) error {
			e.dst = strconv.AppendUint(e.dst, v.Uint(), 10)
			return nil
		}
	case reflect.Float32, reflect.Float64:
		bits := t.Bits()
		return func(e *encoder, v reflect.Value) error {
			e.dst = jsontext.AppendFloat(e.dst, v.Float(), bits)
			return nil
		}
	case reflect.String:
		return func(e *encoder, v reflect.Value) error {
			e.dst = jsontext.AppendQuoted(e.dst, v.String())
			return nil
		}
	case reflect.Interface:
		return func(e *encoder, v reflect.Value) error {
			if v.IsNil() {
				e.dst = append(e.dst, "null"...)
				return nil
			}
			return e.any(v.Interface())
		}
	case reflect.Pointer:
		return m.pointer(t)
	case reflect.Struct:
		return func(e *encoder, v reflect.Value) error { return p.fields.encode(e, v) }
	case reflect.Map:
		return m.mapping(t)
	case reflect.Slice:
		if isBinary(t) {
			return func(e *encoder, v reflect.Value) error {
				e.dst, e.attachments = appendBinary(e.dst, e.attachments, v.Bytes())
				return nil
			}
		}
		return m.list(t)
	case reflect.Array:
		return m.list(t)
	default:
		return func(e *encoder, v reflect.Value) error {
			return fmt.Errorf("parser: cannot send a value of type %s", t)
		}
	}
}

// isBinary reports whether t is a slice of bytes, that is, whether values of it
// are attachments.
func isBinary(t reflect.Type) bool {
	if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Uint8 {
		return false
	}
	pe := reflect.PointerTo(t.Elem())
	return !pe.Implements(marshalerType) && !pe.Implements(textMarshalerType)
}

func (m planner) pointer(t reflect.Type) func(*encoder, reflect.Value) error {
	elem := m.plan(t.Elem())
	return func(e *encoder, v reflect.Value) error {
		if v.IsNil() {
			e.dst = append(e.dst, "null"...)
			return nil
		}
		if err := e.enter(); err != nil {
			return err
		}
		err := elem.encode(e, v.Elem())
		e.depth--
		return err
	}
}

func (m planner) list(t reflect.Type) func(*encoder, reflect.Value) error {
	elem := m.plan(t.Elem())
	slice := t.Kind() == reflect.Slice
	return func(e *encoder, v reflect.Value) error {
		if slice && v.IsNil() {
			e.dst = append(e.dst, "null"...)
			return nil
		}
		if err := e.enter(); err != nil {
			return err
		}
		e.dst = append(e.dst, '[')
		for i := range v.Len() {
			if i > 0 {
				e.dst = append(e.dst, ',')
			}
			if err := elem.encode(e, v.Index(i)); err != nil {
				return err
			}
		}
		e.dst = append(e.dst, ']')
		e.depth--
		return nil
	}
}

func (m planner) mapping(t reflect.Type) func(*encoder, reflect.Value) error {
	elem := m.plan(t.Elem())
	return func(e *encoder, v reflect.Value) error {
		if v.IsNil() {
			e.dst = append(e.dst, "null"...)
			return nil
		}
		if err := e.enter(); err != nil {
			return err
		}
		members := make(map[string]reflect.Value, v.Len())
		for it := v.MapRange(); it.Next(); {
			k, err := mapKey(it.Key())
			if err != nil {
				return err
			}
			members[k] = it.Value()
		}
		e.dst = append(e.dst, '{')
		for i, k := range sortedKeys(members) {
			if i > 0 {
				e.dst = append(e.dst, ',')
			}
			e.dst = append(jsontext.AppendQuoted(e.dst, k), ':')
			if err := elem.encode(e, members[k]); err != nil {
				return err
			}
		}
		e.dst = append(e.dst, '}')
		e.depth--
		return nil
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// mapKey is the name of a map's key: strings as they are, then TextMarshalers,
// then integers.
func mapKey(k reflect.Value) (string, error) {
	if k.Kind() == reflect.String {
		return k.String(), nil
	}
	if tm, ok := k.Interface().(encoding.TextMarshaler); ok {
		if isNil(k) {
			return "", nil
		}
		b, err := tm.MarshalText()
		return string(b), err
	}
	switch {
	case k.CanInt():
		return strconv.FormatInt(k.Int(), 10), nil
	case k.CanUint():
		return strconv.FormatUint(k.Uint(), 10), nil
	}
	return "", fmt.Errorf("parser: cannot send a map with keys of type %s", k.Type())
}
