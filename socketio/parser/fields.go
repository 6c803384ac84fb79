package parser

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"posthouse/internal/jsontext"
)

// fields are the members of a struct's JSON object, in the order of the struct.
type fields struct {
	list   []field
	byName map[string]int // index into list
}

// field is one member, possibly promoted from an embedded struct.
type field struct {
	name      string
	head      string // `"name":`
	index     []int
	tagged    bool
	omitEmpty bool
	omitZero  bool
	quoted    bool // the tag says ",string" and the type allows it
	typ       reflect.Type
	plan      *plan
	isZero    func(reflect.Value) bool
}

func (fs *fields) encode(e *encoder, v reflect.Value) error {
	if err := e.enter(); err != nil {
		return err
	}
	e.dst = append(e.dst, '{')
	first := true
	for i := range fs.list {
		f := &fs.list[i]
		fv, ok := f.of(v)
		if !ok || f.omitEmpty && isEmpty(fv) || f.omitZero && f.isZero(fv) {
			continue
		}
		if !first {
			e.dst = append(e.dst, ',')
		}
		first = false
		e.dst = append(e.dst, f.head...)
		start := len(e.dst)
		if err := f.plan.encode(e, fv); err != nil {
			return err
		}
		if f.quoted && string(e.dst[start:]) != "null" {
			e.dst = jsontext.AppendQuoted(e.dst[:start], string(e.dst[start:]))
		}
	}
	e.dst = append(e.dst, '}')
	e.depth--
	return nil
}

// of returns the field of struct v, unless it is in an embedded nil pointer.
func (f *field) of(v reflect.Value) (reflect.Value, bool) {
	for i, x := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v, true
}

// named finds the field for a key of an object as encoding/json does: by its
// name, else without regard to case.
func (fs *fields) named(key string) *field {
	if i, ok := fs.byName[key]; ok {
		return &fs.list[i]
	}
	for i := range fs.list {
		if strings.EqualFold(fs.list[i].name, key) {
			return &fs.list[i]
		}
	}
	return nil
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

type zeroer interface{ IsZero() bool }

var zeroerType = reflect.TypeFor[zeroer]()

func zeroOf(t reflect.Type) func(reflect.Value) bool {
	switch {
	case t.Implements(zeroerType):
		return func(v reflect.Value) bool {
			return isNil(v) || v.Interface().(zeroer).IsZero()
		}
	case reflect.PointerTo(t).Implements(zeroerType):
		return func(v reflect.Value) bool {
			if !v.CanAddr() {
				c := reflect.New(v.Type()).Elem()
				c.Set(v)
				v = c
			}
			return v.Addr().Interface().(zeroer).IsZero()
		}
	default:
		return reflect.Value.IsZero
	}
}

// fields collects the members of t level by level. Of several fields with one
// name the shallowest counts; on the same level the one whose name comes from a
// tag; else none: the rules of encoding/json.
func (m planner) fields(t reflect.Type) *fields {
	type level struct {
		typ   reflect.Type
		index []int
	}
	var all []field
	seen := map[reflect.Type]bool{}
	for next := []level{{typ: t}}; len(next) > 0; {
		var deeper []level
		count := map[reflect.Type]int{}
		for _, l := range next {
			count[l.typ]++
		}
		for _, l := range next {
			if seen[l.typ] {
				continue
			}
			for i := range l.typ.NumField() {
				sf := l.typ.Field(i)
				f, embedded, ok := parseField(sf)
				if !ok {
					continue
				}
				f.index = append(slices.Clone(l.index), i)
				if embedded != nil {
					deeper = append(deeper, level{embedded, f.index})
					continue
				}
				all = append(all, f)
				if count[l.typ] > 1 {
					all = append(all, f) // twice on this level: it hides itself
				}
			}
		}
		for _, l := range next {
			seen[l.typ] = true
		}
		next = deeper
	}
	all = dominant(all)
	fs := &fields{list: all, byName: make(map[string]int, len(all))}
	for i := range fs.list {
		f := &fs.list[i]
		f.head = string(jsontext.AppendQuoted(nil, f.name)) + ":"
		f.plan = m.plan(f.typ)
		f.isZero = zeroOf(f.typ)
		fs.byName[f.name] = i
	}
	return fs
}

// parseField reads a field's tag. embedded is the struct whose fields are
// promoted instead, if it is one without a name of its own.
func parseField(sf reflect.StructField) (f field, embedded reflect.Type, ok bool) {
	t := sf.Type
	if t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	if !sf.IsExported() && !(sf.Anonymous && t.Kind() == reflect.Struct) {
		return f, nil, false
	}
	tag := sf.Tag.Get("json")
	if tag == "-" {
		return f, nil, false
	}
	name, options, _ := strings.Cut(tag, ",")
	if !validName(name) {
		name = ""
	}
	if sf.Anonymous && name == "" && t.Kind() == reflect.Struct {
		return f, t, true
	}
	if !sf.IsExported() {
		return f, nil, false
	}
	f = field{name: cmp.Or(name, sf.Name), tagged: name != "", typ: sf.Type}
	for o := range strings.SplitSeq(options, ",") {
		switch o {
		case "omitempty":
			f.omitEmpty = true
		case "omitzero":
			f.omitZero = true
		case "string":
			k := t.Kind()
			f.quoted = k >= reflect.Bool && k <= reflect.Uintptr || k == reflect.Float32 || k == reflect.Float64 || k == reflect.String
		}
	}
	return f, nil, true
}

func validName(s string) bool {
	for _, c := range s {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return s != ""
}

// dominant leaves at most one field per name and brings them into the order of
// the struct.
func dominant(all []field) []field {
	slices.SortStableFunc(all, func(a, b field) int {
		tagged := 0
		if a.tagged != b.tagged {
			tagged = 1
			if a.tagged {
				tagged = -1
			}
		}
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(len(a.index), len(b.index)), tagged)
	})
	var out []field
	for i := 0; i < len(all); {
		j := i + 1
		for j < len(all) && all[j].name == all[i].name {
			j++
		}
		if j == i+1 || len(all[i+1].index) > len(all[i].index) || all[i].tagged && !all[i+1].tagged {
			out = append(out, all[i])
		}
		i = j
	}
	slices.SortFunc(out, func(a, b field) int { return slices.Compare(a.index, b.index) })
	return out
}
