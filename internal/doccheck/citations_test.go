package doccheck_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A citation names a contract, perhaps a section, perhaps rows of a table or items
// of a list there: docs/reliability.md §4 rows 1 and 2, docs/wechat.md §3.3 race 13,
// docs/conformance.md behaviours 34 to 36.
var citation = regexp.MustCompile(`docs/([a-z]+)\.md` +
	`(?:(?: |, | and )§([0-9]+(?:\.[0-9]+)*)((?:(?:, | and )§[0-9]+(?:\.[0-9]+)*)*))?` +
	`(?: (?:rows?|races?|behaviours?|guarantees?|items?) ([FG]?[0-9]+(?:(?:, | and | to )[FG]?[0-9]+\b)*))?`)

// loose are the forms that name a contract without saying where it is.
var loose = []*regexp.Regexp{
	regexp.MustCompile(`\b(?:SOCKETIO|LOGIN|WECHAT|RELIABILITY|CONFORMANCE)(?:\.md)?\b`),
	regexp.MustCompile(`\b(?:protocol|conformance|project's) notes\b`),
	regexp.MustCompile(`\b[Ss]ections? [0-9]+\.[0-9]+`),
	regexp.MustCompile(`§§?[0-9]`),
	regexp.MustCompile(`\b(?:[Aa]buses?|[Rr]aces?|[Rr]ows?|[Bb]ehaviours?) [0-9]+\b`),
	regexp.MustCompile(`\b[FG][0-9]{1,2}\b`),
}

// TestCitationsResolve follows every citation in code, tests, scripts and
// configuration to its section and its row, and finds none in another form.
func TestCitationsResolve(t *testing.T) {
	contracts := map[string]string{}
	found := 0
	walk(t, root, func(name string, _ fs.DirEntry) {
		name = filepath.ToSlash(name)
		if !slices.Contains([]string{".go", ".js", ".mjs", ".cjs", ".lua", ".yml", ".yaml", ".cfg", ".conf", ".md", ".service"}, filepath.Ext(name)) ||
			strings.HasPrefix(name, "socketio/clientdist/") || strings.HasPrefix(name, "internal/doccheck/") {
			return
		}
		text := read(t, name)
		if filepath.Ext(name) != ".md" {
			text = comments(text)
		}
		for _, m := range citation.FindAllStringSubmatch(text, -1) {
			found++
			page := "docs/" + m[1] + ".md"
			if _, ok := contracts[page]; !ok {
				contracts[page] = read(t, page)
			}
			part := contracts[page]
			for _, number := range sections(m[2] + m[3]) {
				if part = section(contracts[page], number); part == "" {
					t.Errorf("%s: %q: %s has no section %s", name, m[0], page, number)
				}
			}
			for _, row := range items(m[4]) {
				if !regexp.MustCompile(`(?m)^(?:\| *` + row + ` \||` + row + `\. )|\b` + row + `\b`).MatchString(part) {
					t.Errorf("%s: %q: there is no %s", name, m[0], row)
				}
			}
		}
		if filepath.Ext(name) == ".md" {
			return // pages cite each other by links
		}
		rest := regexp.MustCompile(`RFC ?[0-9]+(?:,? (?:and )?§[0-9.]+)*`).ReplaceAllString(citation.ReplaceAllString(text, ""), "")
		for _, form := range loose {
			for _, at := range form.FindAllStringIndex(rest, -1) {
				t.Errorf("%s: %q cites nothing that can be found: write docs/….md §n", name, rest[max(0, at[0]-40):min(len(rest), at[1]+20)])
			}
		}
	})
	if found < 100 {
		t.Errorf("only %d citations found", found)
	}
}

// comments returns the comments of a source, each on one line.
func comments(source string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(source) {
		trimmed := strings.TrimSpace(line)
		i := regexp.MustCompile(`(?:^|[\s;{}(,])(//|#|--|/?\*+) `).FindStringIndex(trimmed)
		if i == nil {
			inside = false
			continue
		}
		whole := strings.HasPrefix(trimmed, strings.TrimSpace(trimmed[i[0]:i[1]]))
		if inside && whole {
			b.WriteByte(' ')
		} else {
			b.WriteByte('\n')
		}
		b.WriteString(strings.TrimSpace(trimmed[i[1]:]))
		inside = true
	}
	return b.String()
}

func sections(list string) []string {
	return regexp.MustCompile(`[0-9]+(?:\.[0-9]+)*`).FindAllString(list, -1)
}

func items(list string) []string {
	return regexp.MustCompile(`[FG]?[0-9]+`).FindAllString(list, -1)
}

// section returns the text below the heading with a number, up to the next
// heading of the same level or above.
func section(page, number string) string {
	lines := strings.SplitAfter(page, "\n")
	for i, line := range lines {
		m := regexp.MustCompile(`^(#+) ([0-9.]+?)\.? `).FindStringSubmatch(line)
		if m == nil || m[2] != number {
			continue
		}
		end := i + 1
		for end < len(lines) && !regexp.MustCompile(`^#{1,`+string(rune('0'+len(m[1])))+`} `).MatchString(lines[end]) {
			end++
		}
		return strings.Join(lines[i:end], "")
	}
	return ""
}
