package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"posthouse/internal/jsontext"
	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// checker reads JSON against schemas, where it lies. It ends at the first error: a
// validator that collects errors with their paths would let one message cost a thousand
// times its size. The bounds of a single value are huma's.
type checker struct {
	schemas      *schemas
	allowUnknown bool
}

// checkEvent checks the arguments of an event.
func (c *checker) checkEvent(e *event, args socketio.Args) *FieldError {
	i := 0
	for _, v := range args.All() {
		if i == len(e.args) {
			return nil // more than the handler looks at
		}
		w := walk{checker: c, attachments: v.Attachments}
		if len(e.args) > 1 {
			w.path = append(w.path, step{index: i})
		}
		if problem := w.argument(e, i, v.JSON); problem != "" {
			return &FieldError{Event: e.Name, Field: w.field(), Problem: problem}
		}
		i++
	}
	if i < len(e.args) && !e.optionalArg {
		return &FieldError{Event: e.Name, Problem: fmt.Sprintf("%d arguments given, %d wanted", i, len(e.args))}
	}
	return nil
}

// walk is the check of one argument.
type walk struct {
	*checker
	attachments [][]byte
	path        []step
}

// step is one part of the path to a value. It is written as text only for an error.
type step struct {
	key   []byte // of a member, as it is spelled and with its quotes; nil for an item
	index int
}

// maxFieldName bounds what an error repeats of a client's own words.
const maxFieldName = 200

func (w *walk) field() string {
	var text []byte
	for _, s := range w.path {
		switch {
		case s.key == nil:
			text = fmt.Appendf(text, "[%d]", s.index)
		case len(text) == 0:
			text = jsontext.AppendUnquoted(text, s.key)
		default:
			text = jsontext.AppendUnquoted(append(text, '.'), s.key)
		}
		if len(text) > maxFieldName {
			return strings.ToValidUTF8(string(text[:maxFieldName]), "") + "…"
		}
	}
	return string(text)
}

func (w *walk) argument(e *event, i int, raw []byte) string {
	if e.optionalArg && string(raw) == "null" {
		return ""
	}
	return w.value(e.args[i], raw)
}

// value checks one value and returns what is wrong; w.path then says where.
func (w *walk) value(schema *huma.Schema, raw []byte) string {
	if schema.Nullable && string(raw) == "null" {
		return ""
	}
	if schema.Ref != "" {
		schema = w.schemas.SchemaFromRef(schema.Ref)
	}
	_, end, binary := jsontext.Placeholder(raw, 0, len(w.attachments))
	binary = binary && end == len(raw)
	switch {
	case schema.Format == binaryFormat:
		if !binary {
			return "expected binary"
		}
		return w.length(schema, raw)
	case schema.Type == huma.TypeArray && len(raw) > 0 && raw[0] == '[':
		return w.array(schema, raw)
	case schema.Type == huma.TypeObject && len(raw) > 0 && raw[0] == '{' && !binary:
		return w.object(schema, raw)
	case schema.Type == "" && len(schema.OneOf)+len(schema.AnyOf)+len(schema.AllOf)+len(schema.Enum) == 0 && schema.Not == nil:
		return "" // unknown
	case binary:
		return "expected " + article(schema.Type) + ", not binary"
	default:
		return w.scalar(schema, raw)
	}
}

func article(schemaType string) string {
	if schemaType == "" {
		return "JSON"
	}
	return schemaType
}

// length checks the size of a binary value.
func (w *walk) length(schema *huma.Schema, raw []byte) string {
	num, _, _ := jsontext.Placeholder(raw, 0, len(w.attachments))
	switch n := len(w.attachments[num]); {
	case schema.MinLength != nil && n < *schema.MinLength:
		return fmt.Sprintf("expected at least %d bytes", *schema.MinLength)
	case schema.MaxLength != nil && n > *schema.MaxLength:
		return fmt.Sprintf("expected at most %d bytes", *schema.MaxLength)
	}
	return ""
}

func (w *walk) array(schema *huma.Schema, raw []byte) string {
	n := 0
	var seen map[string]bool
	if schema.UniqueItems {
		seen = map[string]bool{}
	}
	for item := range parser.Elements(parser.List(raw)) {
		if schema.MaxItems != nil && n >= *schema.MaxItems {
			return fmt.Sprintf("expected at most %d items", *schema.MaxItems)
		}
		if schema.UniqueItems {
			if seen[string(item)] {
				return "expected unique items"
			}
			seen[string(item)] = true
		}
		if schema.Items != nil {
			w.path = append(w.path, step{index: n})
			if problem := w.value(schema.Items, item); problem != "" {
				return problem
			}
			w.path = w.path[:len(w.path)-1]
		}
		n++
	}
	if schema.MinItems != nil && n < *schema.MinItems {
		return fmt.Sprintf("expected at least %d items", *schema.MinItems)
	}
	return ""
}

func (w *walk) object(schema *huma.Schema, raw []byte) string {
	o := w.schemas.objects[schema]
	elem, _ := schema.AdditionalProperties.(*huma.Schema)
	if o == nil && elem == nil {
		return w.whole(schema, raw)
	}
	seen := 0 // members, of a map
	var found []bool
	if o != nil {
		found = make([]bool, len(o.members))
	}
	for list := raw[1 : len(raw)-1]; len(list) > 0; {
		var key, value []byte
		key, value, list = jsontext.NextMember(list)
		w.path = append(w.path, step{key: key})
		seen++
		if problem := w.member(o, elem, key, value, found); problem != "" {
			return problem
		}
		w.path = w.path[:len(w.path)-1]
	}
	if o != nil {
		for i, m := range o.members {
			if m.required && !found[i] {
				w.path = append(w.path, step{key: jsontext.AppendQuoted(nil, m.name)})
				return "is missing"
			}
		}
	}
	switch {
	case schema.MinProperties != nil && seen < *schema.MinProperties:
		return fmt.Sprintf("expected at least %d properties", *schema.MinProperties)
	case schema.MaxProperties != nil && seen > *schema.MaxProperties:
		return fmt.Sprintf("expected at most %d properties", *schema.MaxProperties)
	}
	return ""
}

// member checks a member of a struct, or of a map with elements of schema elem.
func (w *walk) member(o *object, elem *huma.Schema, key, value []byte, found []bool) string {
	if o == nil {
		return w.value(elem, value)
	}
	i := o.find(key)
	if i < 0 {
		if w.allowUnknown {
			return ""
		}
		return "is unknown"
	}
	m := &o.members[i]
	found[i] = true
	if !m.required && string(value) == "null" {
		return "" // as if it were left out
	}
	return w.value(m.schema, value)
}

// find returns the member that encoding/json would store a name in: case makes no
// difference when no member has exactly this name. A check that let another spelling
// pass would not see what the handler gets.
func (o *object) find(key []byte) int {
	if jsontext.Plain(key) {
		if i, ok := o.byName[string(key[1:len(key)-1])]; ok {
			return i
		}
	}
	name := string(jsontext.AppendUnquoted(nil, key))
	if i, ok := o.byName[name]; ok {
		return i
	}
	return slices.IndexFunc(o.members, func(m member) bool { return strings.EqualFold(m.name, name) })
}

// scalar leaves a value that is not an object or an array of a known schema to huma.
func (w *walk) scalar(schema *huma.Schema, raw []byte) string {
	if len(raw) > 0 && (raw[0] == '{' || raw[0] == '[') && schema.Type != "" {
		return "expected " + schema.Type
	}
	if schema.Type == huma.TypeInteger && bytes.ContainsAny(raw, ".eE") {
		return "expected integer" // as encoding/json, which takes 1.0 for none
	}
	return w.whole(schema, raw)
}

// maxWhole bounds a value that is checked as a whole: one whose schema a type has made
// by itself.
const maxWhole = 4 << 10

func (w *walk) whole(schema *huma.Schema, raw []byte) string {
	if len(raw) > maxWhole && raw[0] != '"' {
		return "is too long"
	}
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return "is not JSON" // the decoder has looked at it
	}
	var result huma.ValidateResult
	huma.Validate(w.schemas, schema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, &result)
	if len(result.Errors) == 0 {
		return ""
	}
	detail, ok := errors.AsType[*huma.ErrorDetail](result.Errors[0])
	if !ok {
		return "does not fit"
	}
	if detail.Location != "" {
		w.path = append(w.path, step{key: jsontext.AppendQuoted(nil, detail.Location)})
	}
	if schema.Format == "" {
		return detail.Message
	}
	message, _, _ := strings.Cut(detail.Message, ": ") // a parser's words about the value, with the value
	return message
}
