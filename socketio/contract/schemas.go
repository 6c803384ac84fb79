package contract

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// refPrefix is where named types stand in an AsyncAPI document.
const refPrefix = "#/components/schemas/"

// binaryFormat marks a schema of binary values; huma writes it as
// application/octet-stream.
const binaryFormat = "binary"

// schemas turns Go types into JSON Schema. The types of fields are its own matter, by
// the rules of package parser; huma reads the tags of the fields. It implements
// huma.Registry. Named structs are written once and referred to.
type schemas struct {
	named   map[string]*huma.Schema
	types   map[string]reflect.Type
	names   map[reflect.Type]string
	objects map[*huma.Schema]*object // of structs
	within  []string                 // where the walk is, for errors
	walking map[reflect.Type]bool    // named types without a schema of their own that are being walked
}

// object is what a schema of a struct does not keep: the order of the members.
type object struct {
	members []member
	byName  map[string]int
}

type member struct {
	name     string
	schema   *huma.Schema
	required bool
}

var _ huma.Registry = (*schemas)(nil)

func newSchemas() *schemas {
	return &schemas{
		named: map[string]*huma.Schema{}, types: map[string]reflect.Type{}, names: map[reflect.Type]string{},
		objects: map[*huma.Schema]*object{}, walking: map[reflect.Type]bool{},
	}
}

// typeError ends the walk of a type that has no schema. It is a panic between walk and
// of, because huma's part of the walk returns no errors.
type typeError struct{ error }

// of returns the schema of t. where begins the path that an error names.
func (s *schemas) of(t reflect.Type, where string) (schema *huma.Schema, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case typeError:
			err = fmt.Errorf("contract: %s: %w", strings.Join(s.within, ""), p.error)
		case error: // a tag that huma cannot read
			err = fmt.Errorf("contract: %s: %w", strings.Join(s.within, ""), p)
		default:
			panic(p)
		}
	}()
	s.within = append(s.within[:0], where)
	return s.Schema(t, true, ""), nil
}

func fail(format string, args ...any) { panic(typeError{fmt.Errorf(format, args...)}) }

// down walks a part of a type.
func (s *schemas) down(part string, t reflect.Type) *huma.Schema {
	s.within = append(s.within, part)
	schema := s.Schema(t, true, "")
	s.within = s.within[:len(s.within)-1] // an error leaves it, for its message
	return schema
}

// Types with a meaning of their own.
var (
	timeType          = reflect.TypeFor[time.Time]()
	numberType        = reflect.TypeFor[json.Number]()
	argsType          = reflect.TypeFor[socketio.Args]()
	marshalerType     = reflect.TypeFor[json.Marshaler]()
	unmarshalerType   = reflect.TypeFor[json.Unmarshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
	providerType      = reflect.TypeFor[huma.SchemaProvider]()
	untypedTypes      = map[reflect.Type]bool{
		reflect.TypeFor[json.RawMessage](): true, reflect.TypeFor[socketio.Value](): true, reflect.TypeFor[parser.Raw](): true,
	}
)

func implements(t, iface reflect.Type) bool {
	return t.Implements(iface) || reflect.PointerTo(t).Implements(iface)
}

// Schema implements huma.Registry. Named structs are given by reference.
func (s *schemas) Schema(t reflect.Type, _ bool, _ string) *huma.Schema {
	nullable := false
	for t.Kind() == reflect.Pointer {
		t, nullable = t.Elem(), true
	}
	if t == argsType {
		fail("socketio.Args says nothing about the arguments: use a struct, Args2 or Args3")
	}
	if t.Kind() == reflect.Struct && t.Name() != "" && !s.isScalar(t) {
		return &huma.Schema{Ref: refPrefix + s.reference(t)}
	}
	schema := s.build(t)
	if schema.Type != "" && (nullable || (t.Kind() == reflect.Slice || t.Kind() == reflect.Map) && !s.isScalar(t)) {
		schema.Nullable = true
	}
	return schema
}

// isScalar reports whether t is written as one value, whatever its fields are.
func (s *schemas) isScalar(t reflect.Type) bool {
	return t == timeType || untypedTypes[t] || implements(t, providerType) || implements(t, marshalerType) || implements(t, textMarshalerType)
}

// reference walks a named struct the first time and returns its name.
func (s *schemas) reference(t reflect.Type) string {
	if name, ok := s.names[t]; ok {
		return name
	}
	name := s.nameFor(t)
	schema := new(huma.Schema) // first, for a type that refers to itself
	s.names[t], s.types[name], s.named[name] = name, t, schema
	outside := s.walking
	s.walking = map[reflect.Type]bool{} // a type may lead back to itself through the reference
	s.object(t, schema)
	s.walking = outside
	return name
}

// reserved are names that the documents have for themselves.
var reserved = map[string]bool{"Binary": true, "ErrorAnswer": true, "ServerToClientEvents": true, "ClientToServerEvents": true}

// nameFor names a struct after its type, with the package in front where two types have
// one name.
func (s *schemas) nameFor(t reflect.Type) string {
	name := identifier(huma.DefaultSchemaNamer(t, ""))
	if _, taken := s.types[name]; taken || reserved[name] {
		name = identifier(path.Base(t.PkgPath())) + name
	}
	if other, taken := s.types[name]; taken || reserved[name] {
		fail("%s and %v would both be %s: rename one of them", t, other, name)
	}
	return name
}

// identifier makes a TypeScript name of text, with a capital at each beginning.
func identifier(text string) string {
	var b strings.Builder
	up := true
	for _, r := range text {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			up = true
			continue
		case up && unicode.IsDigit(r) && b.Len() == 0:
			b.WriteByte('_')
		case up:
			r = unicode.ToUpper(r)
		}
		up = false
		b.WriteRune(r)
	}
	return b.String()
}

// build is Schema for a type that is not referred to.
func (s *schemas) build(t reflect.Type) *huma.Schema {
	switch {
	case untypedTypes[t]:
		return &huma.Schema{}
	case t == timeType:
		return &huma.Schema{Type: huma.TypeString, Format: "date-time"}
	case t == numberType:
		return &huma.Schema{Type: huma.TypeNumber}
	case implements(t, providerType):
		schema := reflect.New(t).Interface().(huma.SchemaProvider).Schema(s)
		if schema == nil {
			fail("the method Schema of %s returns nil", t)
		}
		schema.PrecomputeMessages()
		return schema
	case parser.IsBinary(t):
		return &huma.Schema{Type: huma.TypeString, Format: binaryFormat, Nullable: true} // a nil slice is null
	case implements(t, marshalerType), implements(t, unmarshalerType):
		fail("%s has its own MarshalJSON or UnmarshalJSON: give it a method Schema(huma.Registry) *huma.Schema", t)
	case implements(t, textMarshalerType):
		return &huma.Schema{Type: huma.TypeString}
	}
	if t.Name() != "" && t.PkgPath() != "" {
		if s.walking[t] {
			fail("%s contains itself without a struct in between", t)
		}
		s.walking[t] = true
		defer delete(s.walking, t)
	}
	switch kind := t.Kind(); kind {
	case reflect.Bool:
		return &huma.Schema{Type: huma.TypeBoolean}
	case reflect.String:
		return &huma.Schema{Type: huma.TypeString}
	case reflect.Float32, reflect.Float64:
		return &huma.Schema{Type: huma.TypeNumber}
	case reflect.Struct:
		schema := new(huma.Schema)
		s.object(t, schema)
		return schema
	case reflect.Slice, reflect.Array:
		schema := &huma.Schema{Type: huma.TypeArray, Items: s.down("[]", t.Elem())}
		if kind == reflect.Array {
			length := t.Len()
			schema.MinItems, schema.MaxItems = &length, &length
		}
		return schema
	case reflect.Map:
		checkKey(t.Key())
		return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: s.down("{}", t.Elem())}
	case reflect.Interface:
		if t.NumMethod() > 0 {
			fail("%s is an interface with methods: nothing can be decoded into it", t)
		}
		return &huma.Schema{}
	default:
		if integer := integerSchema(kind, t); integer != nil {
			return integer
		}
		fail("%s has no JSON", t)
		return nil
	}
}

// integerSchema bounds an integer by its size. 64 bits have no bound: a float64, which
// a JavaScript number is, cannot say theirs.
func integerSchema(kind reflect.Kind, t reflect.Type) *huma.Schema {
	schema := &huma.Schema{Type: huma.TypeInteger}
	bound := func(low, high float64) { schema.Minimum, schema.Maximum = &low, &high }
	switch kind {
	case reflect.Int, reflect.Int64:
	case reflect.Int8, reflect.Int16, reflect.Int32:
		bound(-math.Ldexp(1, t.Bits()-1), math.Ldexp(1, t.Bits()-1)-1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		bound(0, math.Ldexp(1, t.Bits())-1)
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		zero := 0.0
		schema.Minimum = &zero
	default:
		return nil
	}
	return schema
}

func checkKey(t reflect.Type) {
	switch kind := t.Kind(); {
	case kind == reflect.String, kind >= reflect.Int && kind <= reflect.Uintptr, t.Implements(textMarshalerType):
	default:
		fail("%s cannot be the key of a map", t)
	}
}

// object fills schema with the members of struct t.
func (s *schemas) object(t reflect.Type, schema *huma.Schema) {
	o := &object{byName: map[string]int{}}
	schema.Type, schema.Properties = huma.TypeObject, map[string]*huma.Schema{}
	s.objects[schema] = o
	for _, m := range parser.Members(t) {
		s.within = append(s.within, "."+m.Field.Name)
		fs := s.field(m)
		s.within = s.within[:len(s.within)-1]
		required := !m.Optional
		switch m.Field.Tag.Get("required") {
		case "true":
			required = true
		case "false":
			required = false
		}
		o.byName[m.Name] = len(o.members)
		o.members = append(o.members, member{m.Name, fs, required})
		schema.Properties[m.Name] = fs
		if required {
			schema.Required = append(schema.Required, m.Name)
		}
	}
	schema.PrecomputeMessages()
}

// field is the schema of one member with the bounds of its tags.
func (s *schemas) field(m parser.Member) *huma.Schema {
	if m.Quoted { // bounds of the number inside cannot be said about a string
		schema := &huma.Schema{Type: huma.TypeString, Description: m.Field.Tag.Get("doc"), Pattern: quotedPattern(m.Field.Type)}
		schema.PrecomputeMessages()
		return schema
	}
	fs := huma.SchemaFromField(s, m.Field, "")
	if tag := m.Field.Tag.Get("nullable"); tag == "" && m.Optional && m.Field.Type.Kind() != reflect.Struct {
		fs.Nullable = false // nil is left out
	} else if tag == "" && m.Field.Type.Kind() == reflect.Pointer && fs.Ref != "" {
		fs.Nullable = true
	}
	return fs
}

// quotedPattern is the text of a scalar inside a string.
func quotedPattern(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch kind := t.Kind(); {
	case kind == reflect.Bool:
		return "^(true|false)$"
	case kind >= reflect.Int && kind <= reflect.Int64:
		return "^-?(0|[1-9][0-9]*)$"
	case kind >= reflect.Uint && kind <= reflect.Uintptr:
		return "^(0|[1-9][0-9]*)$"
	case kind == reflect.Float32, kind == reflect.Float64:
		return "^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?$"
	default:
		return `^".*"$` // a string is quoted twice
	}
}

// SchemaFromRef implements huma.Registry.
func (s *schemas) SchemaFromRef(ref string) *huma.Schema {
	name, _ := strings.CutPrefix(ref, refPrefix)
	return s.named[name]
}

// TypeFromRef implements huma.Registry.
func (s *schemas) TypeFromRef(ref string) reflect.Type {
	name, _ := strings.CutPrefix(ref, refPrefix)
	return s.types[name]
}

// Map implements huma.Registry.
func (s *schemas) Map() map[string]*huma.Schema { return s.named }

// RegisterTypeAlias implements huma.Registry; nothing calls it.
func (s *schemas) RegisterTypeAlias(reflect.Type, reflect.Type) {}

var errNoNamespace = errors.New("contract: no namespace is given")
