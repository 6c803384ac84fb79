package access

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxClaim is the longest claim that becomes part of a room's name
// (docs/realtime.md §1).
const maxClaim = 255

// pattern is a template of room names: literal text, claims in braces and, where
// allowed, stars.
type pattern []part

// part is a literal, a claim or a star.
type part struct {
	literal string
	claim   string
	star    bool
}

// parsePattern reads a template; its error says what is wrong with it.
func parsePattern(text string, stars bool) (pattern, error) {
	fail := func(why string) (pattern, error) { return nil, fmt.Errorf("access: room %q: %s", text, why) }
	if text == "" {
		return fail("it is empty")
	}
	var p pattern
	for rest := text; rest != ""; {
		i := strings.IndexAny(rest, "{}*")
		if i < 0 {
			i = len(rest)
		}
		if i > 0 {
			p = append(p, part{literal: rest[:i]})
			rest = rest[i:]
			continue
		}
		switch rest[0] {
		case '}':
			return fail("a } without its {")
		case '*':
			if !stars {
				return fail("a star is for what clients may join, not for a room to be in")
			}
			p, rest = append(p, part{star: true}), rest[1:]
		case '{':
			name, after, closed := strings.Cut(rest[1:], "}")
			if !closed || name == "" || strings.ContainsAny(name, "{*") {
				return fail("a claim must be {name}")
			}
			p, rest = append(p, part{claim: name}), after
		}
	}
	return p, nil
}

// Matching returns a function that reports whether a room fits one of the patterns: text,
// and * for one or more characters. A pattern that begins with * fits no private room of a
// socket.
func Matching(patterns ...string) (func(room string) bool, error) {
	list := make([]pattern, len(patterns))
	for i, text := range patterns {
		p, err := parsePattern(text, true)
		if err != nil {
			return nil, err
		}
		if p.claims() {
			return nil, fmt.Errorf("access: room %q: a claim cannot stand here", text)
		}
		list[i] = p
	}
	return func(room string) bool {
		for _, p := range list {
			if p.match(room, nil) {
				return true
			}
		}
		return false
	}, nil
}

// claims reports whether the pattern names any.
func (p pattern) claims() bool {
	for _, part := range p {
		if part.claim != "" {
			return true
		}
	}
	return false
}

// lookup finds a claim of the socket that a pattern is for.
type lookup func(name string) (value string, ok bool)

// value is the text of a part that is no star; false when its claim cannot be used.
func (t part) value(claim lookup) (string, bool) {
	if t.claim == "" {
		return t.literal, true
	}
	v, ok := claim(t.claim)
	return v, ok && v != "" && len(v) <= maxClaim
}

// expand makes the room's name of a pattern without stars.
func (p pattern) expand(claim lookup) (room string, ok bool) {
	var b strings.Builder
	for _, part := range p {
		v, ok := part.value(claim)
		if !ok {
			return "", false
		}
		b.WriteString(v)
	}
	return b.String(), true
}

// match reports whether a room's name fits. A star stands for one or more characters;
// the text between two stars is looked for from the left, which finds a fit when there
// is one, in one pass.
func (p pattern) match(room string, claim lookup) bool {
	var texts []string // between the stars
	var b strings.Builder
	for _, part := range p {
		if part.star {
			texts = append(texts, b.String())
			b.Reset()
			continue
		}
		v, ok := part.value(claim)
		if !ok {
			return false
		}
		b.WriteString(v)
	}
	last := b.String()
	if len(texts) == 0 {
		return room == last
	}
	rest, ok := strings.CutPrefix(room, texts[0])
	if !ok || texts[0] == "" && private(room) {
		return false
	}
	for _, text := range texts[1:] {
		if rest, ok = afterOne(rest); !ok {
			return false
		}
		if _, rest, ok = strings.Cut(rest, text); !ok {
			return false
		}
	}
	rest, ok = afterOne(rest)
	return ok && strings.HasSuffix(rest, last)
}

// afterOne cuts the first character off.
func afterOne(text string) (rest string, ok bool) {
	if text == "" {
		return "", false
	}
	_, size := utf8.DecodeRuneInString(text)
	return text[size:], true
}

// private reports the shape of a socket's own room: a client in it would get what is
// sent to that socket alone.
func private(room string) bool {
	if strings.Contains(room, "#") {
		return true // of Socket.IO v2 clients
	}
	if len(room) != 20 {
		return false
	}
	for i := range len(room) {
		switch c := room[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
