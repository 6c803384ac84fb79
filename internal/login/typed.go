package login

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// typedAlphabet is Crockford's base 32: no i, l, o or u. 8 of it are 40 bits, too
// many to hit another person's code in five minutes, by chance or on purpose.
const (
	typedAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	typedLength   = 8
)

const (
	maxTypedText  = 2048 // bytes of the longest text that is read; WeChat's own bound
	maxTypedCodes = 4    // what one text is taken to say at most: each costs a look at the store
	maxAnswer     = 64   // bytes of the longest answer to a question
)

// Typed is what a text that a person sent from the phone may say to a login.
type Typed struct {
	// Answer is the letters and digits of the text, without case, width and
	// everything between them; "" when they are more than an answer has.
	Answer string
	// Codes are the codes that the text may hold, the likeliest first.
	Codes []string
	// Near says that the text was surely meant as a code: one that no page shows is
	// worth a word back.
	Near bool
}

// ReadTyped reads what phones make of a code that a page shows: keyboards write
// full-width letters, capitals and other punctuation, people copy quotes and line
// breaks, read 0 as O, type the groups of the page, and put words around it all.
//
// A code is 8 characters of the code alphabet that form one word, or several words
// with nothing but space and punctuation between them.
func ReadTyped(text string) Typed {
	if len(text) > maxTypedText {
		return Typed{}
	}
	groups, foreign := typedWords(text)
	var t Typed
	var found []typedCode
	var all strings.Builder
	for _, g := range groups {
		found = append(found, g.candidateCodes()...)
		all.WriteString(strings.Join(g, ""))
	}
	if answer := all.String() + foreign; len(answer) <= maxAnswer && (foreign == "" || all.Len() == 0) {
		t.Answer = answer
	}
	slices.SortStableFunc(found, func(a, b typedCode) int { return cmp.Compare(b.score, a.score) })
	for _, c := range found {
		if len(t.Codes) < maxTypedCodes && !slices.Contains(t.Codes, c.code) {
			t.Codes = append(t.Codes, c.code)
		}
	}
	named := slices.ContainsFunc(typedKeywords, func(k string) bool { return strings.Contains(foreign, k) })
	t.Near = slices.ContainsFunc(groups, func(g typedGroup) bool { return g.isNearCode(named, len(groups) == 1 && foreign == "") })
	return t
}

// typedKeywords are what people call the code in front of it.
var typedKeywords = []string{"验证码", "校验码", "登录码", "登陆码"}

// typedGroup is words of ASCII letters and digits, in lower case, with nothing but
// space and punctuation between them.
type typedGroup []string

// typedWords splits a text into groups, and gives its other letters beside them.
func typedWords(text string) (groups []typedGroup, foreign string) {
	var (
		group typedGroup
		word  strings.Builder
		other strings.Builder
	)
	endWord := func() {
		if word.Len() > 0 {
			group = append(group, word.String())
			word.Reset()
		}
	}
	endGroup := func() {
		endWord()
		if len(group) > 0 {
			groups, group = append(groups, group), nil
		}
	}
	// NFKC turns full-width letters, digits and spaces into the usual ones.
	for _, r := range norm.NFKC.String(strings.ToValidUTF8(text, " ")) {
		r = unicode.ToLower(r)
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			word.WriteRune(r)
		case unicode.In(r, unicode.Cf, unicode.Mn, unicode.Cc) && r != '\n' && r != '\r' && r != '\t':
			// Invisible: zero-width spaces, variation selectors, control characters.
		case unicode.IsLetter(r), unicode.IsNumber(r):
			endGroup()
			other.WriteRune(r)
		default:
			endWord()
		}
	}
	endGroup()
	return groups, other.String()
}

// typedCode is a possible code; the higher its score the likelier it is meant.
type typedCode struct {
	code  string
	score int
}

// candidateCodes are the runs of words in g that are as long as a code and written in its
// alphabet.
func (g typedGroup) candidateCodes() []typedCode {
	var found []typedCode
	for first := range g {
		length := 0
		for last := first; last < len(g) && length < typedLength; last++ {
			if length += len(g[last]); length != typedLength {
				continue
			}
			words := g[first : last+1]
			code, ok := readTypedCode(strings.Join(words, ""))
			whole := len(words) == len(g)
			if !ok || !isMixed(words) && !whole {
				continue // words of a sentence: 19 in 20 codes have letters and digits
			}
			found = append(found, typedCode{code, scoreWords(words, whole, last == len(g)-1)})
		}
	}
	return found
}

// scoreWords prefers letters with digits, single words, pages' equal groups, and the end
// of what was written.
func scoreWords(words []string, whole, atEnd bool) int {
	n := 0
	if isMixed(words) {
		n += 8
	}
	if len(words) == 1 {
		n += 4
	}
	if !slices.ContainsFunc(words, func(w string) bool { return len(w) != len(words[0]) }) {
		n += 2
	}
	if whole || atEnd {
		n++
	}
	return n
}

// isNearCode reports whether g was surely meant as a code. It stands alone (or is called
// one), has letters and digits and is one word of a code's length, give or take one
// character, or groups as pages show them: "hello 12" is a greeting.
func (g typedGroup) isNearCode(named, alone bool) bool {
	length := len(strings.Join(g, ""))
	if length < typedLength-1 || length > typedLength+1 {
		return false
	}
	grouped := length == typedLength && !slices.ContainsFunc(g, func(w string) bool { return len(w) > typedLength/2 })
	return named || alone && isMixed(g) && (len(g) == 1 || grouped)
}

// isMixed reports whether the words have a letter and a digit.
func isMixed(words []string) bool {
	letter, digit := false, false
	for _, w := range words {
		for i := range len(w) {
			if w[i] <= '9' {
				digit = true
			} else {
				letter = true
			}
		}
	}
	return letter && digit
}

// readTypedCode undoes what people misread; false when word is no code.
func readTypedCode(word string) (string, bool) {
	code := strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(word)
	if len(code) != typedLength || strings.Trim(code, typedAlphabet) != "" {
		return "", false
	}
	return code, true
}
