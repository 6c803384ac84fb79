package parser

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"posthouse/internal/jsontext"
)

// ErrBinary is wrapped by errors of Bind when a binary value meets a target that
// cannot hold one.
var ErrBinary = errors.New("parser: binary value")

// Bind stores one checked, compact JSON value in what dst points to, as
// encoding/json would, with attachments in the place of their placeholders: in
// byte slices and in variables of type any, at any depth. Byte slices share their
// memory with the attachments. A Raw or a json.RawMessage takes the text with its
// placeholders; the Raw takes the attachments as well.
func Bind(raw json.RawMessage, attachments [][]byte, dst any) error {
	switch d := dst.(type) {
	case *Raw:
		d.JSON, d.Attachments = append(d.JSON[:0], raw...), attachments
		return nil
	case *json.RawMessage:
		*d = append((*d)[:0], raw...)
		return nil
	case *string:
		if len(raw) > 0 && raw[0] == '"' {
			*d = string(unquote(raw))
			return nil
		}
	case *int:
		if n, err := strconv.Atoi(string(raw)); err == nil {
			*d = n
			return nil
		}
	case *bool:
		if string(raw) == "true" || string(raw) == "false" {
			*d = raw[0] == 't'
			return nil
		}
	}
	if start, _, _ := jsontext.NextPlaceholder(raw, 0, len(attachments)); start < 0 {
		return unmarshal(raw, dst)
	}
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return unmarshal(raw, dst) // which explains what is wrong
	}
	return (&binder{attachments}).bind(raw, v.Elem())
}

func unmarshal(raw []byte, dst any) error {
	if err := json.Unmarshal(raw, dst); err != nil {
		return fmt.Errorf("parser: bind: %w", err)
	}
	return nil
}

// binder follows the path to the placeholders; what holds none is left to
// encoding/json.
type binder struct{ attachments [][]byte }

var unmarshalerType = reflect.TypeFor[json.Unmarshaler]()

func (b *binder) bind(raw []byte, v reflect.Value) error {
	start, num, end := jsontext.NextPlaceholder(raw, 0, len(b.attachments))
	if start < 0 {
		return unmarshal(raw, v.Addr().Interface())
	}
	if v.Type() == rawType {
		v.Set(reflect.ValueOf(Raw{append(json.RawMessage(nil), raw...), b.attachments}))
		return nil
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return b.bind(raw, v.Elem())
	}
	if v.Addr().Type().Implements(unmarshalerType) {
		return unmarshal(raw, v.Addr().Interface())
	}
	switch {
	case v.Kind() == reflect.Interface:
		return b.bindAny(raw, v)
	case start == 0 && end == len(raw):
		a := b.attachments[num]
		if !isBinary(v.Type()) {
			return fmt.Errorf("%w for a variable of type %s", ErrBinary, v.Type())
		}
		v.SetBytes(a[:len(a):len(a)])
		return nil
	case raw[0] == '[':
		return b.bindList(raw, v)
	default:
		return b.bindObject(raw, v)
	}
}

func (b *binder) bindAny(raw []byte, v reflect.Value) error {
	if v.NumMethod() > 0 {
		return fmt.Errorf("%w for a variable of type %s", ErrBinary, v.Type())
	}
	x, err := b.value(raw)
	if err == nil && x != nil {
		v.Set(reflect.ValueOf(x))
	}
	return err
}

// value builds the untyped value of raw.
func (b *binder) value(raw []byte) (any, error) {
	n := len(b.attachments)
	switch start, num, end := jsontext.NextPlaceholder(raw, 0, n); {
	case start < 0:
		var x any
		err := unmarshal(raw, &x)
		return x, err
	case start == 0 && end == len(raw):
		a := b.attachments[num]
		return a[:len(a):len(a)], nil
	case raw[0] == '[':
		list := []any{}
		for e := range Elements(List(raw)) {
			x, err := b.value(e)
			if err != nil {
				return nil, err
			}
			list = append(list, x)
		}
		return list, nil
	default:
		object := map[string]any{}
		for list := raw[1 : len(raw)-1]; len(list) > 0; {
			var key, member []byte
			key, member, list = jsontext.NextMember(list)
			x, err := b.value(member)
			if err != nil {
				return nil, err
			}
			object[string(unquote(key))] = x
		}
		return object, nil
	}
}

func (b *binder) bindList(raw []byte, v reflect.Value) error {
	n := 0
	switch v.Kind() {
	case reflect.Slice:
		v.SetLen(0)
	case reflect.Array:
	default:
		return unmarshal(raw, v.Addr().Interface())
	}
	for e := range Elements(List(raw)) {
		if v.Kind() == reflect.Slice {
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		} else if n >= v.Len() {
			return nil // as encoding/json: what does not fit is dropped
		}
		if err := b.bind(e, v.Index(n)); err != nil {
			return fmt.Errorf("[%d]: %w", n, err)
		}
		n++
	}
	if v.Kind() == reflect.Array {
		for ; n < v.Len(); n++ {
			v.Index(n).SetZero()
		}
	}
	return nil
}

func (b *binder) bindObject(raw []byte, v reflect.Value) error {
	switch {
	case v.Kind() == reflect.Struct:
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
	default:
		return unmarshal(raw, v.Addr().Interface())
	}
	for list := raw[1 : len(raw)-1]; len(list) > 0; {
		var key, member []byte
		key, member, list = jsontext.NextMember(list)
		name := string(unquote(key))
		if v.Kind() == reflect.Map {
			elem := reflect.New(v.Type().Elem()).Elem()
			if err := b.bind(member, elem); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
			v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), elem)
			continue
		}
		f := planOf(v.Type()).fields.named(name)
		if f == nil {
			continue
		}
		fv, ok := f.settable(v)
		if !ok {
			return fmt.Errorf("parser: bind: cannot set field %s in an embedded pointer to an unexported struct", name)
		}
		if f.quoted {
			if err := unmarshalQuoted(member, fv); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
			continue
		}
		if err := b.bind(member, fv); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return nil
}

// unmarshalQuoted stores a member whose field says ",string".
func unmarshalQuoted(member []byte, fv reflect.Value) error {
	if member[0] == '"' {
		member = unquote(member)
	} else if string(member) != "null" {
		return errors.New("parser: bind: the field's tag wants a string")
	}
	return unmarshal(member, fv.Addr().Interface())
}

// settable is of, making the embedded pointers on the way.
func (f *field) settable(v reflect.Value) (reflect.Value, bool) {
	for i, x := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				if !v.CanSet() {
					return v, false
				}
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v, true
}
