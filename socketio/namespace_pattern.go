package socketio

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// namePattern is the pattern of OfPattern: one entry per segment of a name.
type namePattern []patternSegment

// patternSegment matches one segment: literally, or any text when it has a
// parameter.
type patternSegment struct {
	literal string
	param   string // "" for a literal segment, "*" for the trailing star
}

// String returns the pattern as it was given.
func (p namePattern) String() string {
	var text strings.Builder
	for _, segment := range p {
		text.WriteByte('/')
		switch segment.param {
		case "":
			text.WriteString(segment.literal)
		case "*":
			text.WriteByte('*')
		default:
			text.WriteString("{" + segment.param + "}")
		}
	}
	return text.String()
}

// OfPattern adds dynamic namespaces whose names match a pattern by segments:
// "/team/{id}" takes "/team/7", and a trailing "*" one more segment of any text.
// Namespace.Param tells what stood there, for the star under "*". It panics when the
// pattern is malformed, as http.ServeMux does.
func (s *Server) OfPattern(pattern string) *ParentNamespace {
	compiled, err := parseNamePattern(pattern)
	if err != nil {
		panic(err)
	}
	return s.addParent(&ParentNamespace{pattern: compiled, patternText: compiled.String(), acceptName: func(_ context.Context, name string, _ json.RawMessage) bool {
		_, ok := compiled.match(name, "")
		return ok
	}})
}

// Param returns the segment of the namespace's name that stands at a parameter of
// the pattern given to OfPattern, as the client wrote it; "" for any other name.
func (n *Namespace) Param(name string) string {
	if n.parent == nil || name == "" {
		return ""
	}
	value, _ := n.parent.pattern.match(n.name, name)
	return value
}

// Pattern returns the pattern of OfPattern that the namespace is a child of; "" for any
// other namespace. It names many namespaces as one, in a metric for example.
func (n *Namespace) Pattern() string {
	if n.parent == nil {
		return ""
	}
	return n.parent.patternText
}

func parseNamePattern(pattern string) (namePattern, error) {
	fail := func(why string) (namePattern, error) {
		return nil, fmt.Errorf("socketio: namespace pattern %q: %s", pattern, why)
	}
	rest, ok := strings.CutPrefix(pattern, "/")
	if !ok || rest == "" {
		return fail("it must begin with a slash and name a segment")
	}
	texts := strings.Split(rest, "/")
	p := make(namePattern, len(texts))
	for i, text := range texts {
		switch {
		case text == "":
			return fail("it has an empty segment")
		case text == "*" && i == len(texts)-1:
			p[i].param = "*"
		case strings.HasPrefix(text, "{") && strings.HasSuffix(text, "}"):
			p[i].param = text[1 : len(text)-1]
			if p[i].param == "" || strings.ContainsAny(p[i].param, "{}*") {
				return fail("a parameter must be {name}")
			}
			if slices.ContainsFunc(p[:i], func(s patternSegment) bool { return s.param == p[i].param }) {
				return fail("the parameter " + text + " occurs twice")
			}
		case strings.ContainsAny(text, "{}*"):
			return fail("a parameter takes a whole segment, a star only the last one")
		default:
			p[i].literal = text
		}
	}
	return p, nil
}

// match reports whether a name matches, and returns the text of one parameter. It
// allocates nothing: clients choose the names.
func (p namePattern) match(name, param string) (value string, ok bool) {
	rest, ok := strings.CutPrefix(name, "/")
	if !ok || len(p) == 0 {
		return "", false
	}
	for i, want := range p {
		text, after, more := strings.Cut(rest, "/")
		switch {
		case text == "" || more != (i < len(p)-1):
			return "", false
		case want.param == "" && text != want.literal:
			return "", false
		case want.param != "" && want.param == param:
			value = text
		}
		rest = after
	}
	return value, true
}
