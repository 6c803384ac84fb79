package doccheck_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// settingNames finds the names of settings in the blocks of code of docs/oidc.md §4.
var settingNames = map[string]*regexp.Regexp{
	"ini": regexp.MustCompile(`(?m)^(\w+) = `),
	"sh":  regexp.MustCompile(`--([a-z0-9-]+)`),
	"js":  regexp.MustCompile(`(?:[{,]\s*)(\w+):`),
}

var codeBlock = regexp.MustCompile("(?s)```(\\w+)\n(.*?)```")

// The configurations that docs/oidc.md gives for applications have only settings that these
// document, and redirect URIs as these build them.
func TestOIDC_ApplicationsConfigurations_HaveDocumentedFields(t *testing.T) {
	doc := strings.ToLower(read(t, "docs/oidc.md"))
	var section string
	var names []string
	seen := 0
	judge := func() {
		if section == "" {
			return
		}
		for _, block := range codeBlock.FindAllStringSubmatch(section, -1) {
			pattern := settingNames[block[1]]
			if pattern == nil {
				continue
			}
			for _, m := range pattern.FindAllStringSubmatch(block[2], -1) {
				seen++
				if !slices.Contains(names, m[1]) {
					t.Errorf("%s is no setting of %.30q", m[1], section)
				}
			}
		}
	}
	for line := range strings.Lines(strings.ToLower(read(t, "internal/doccheck/testdata/oidc-fields.txt"))) {
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " "):
			names = append(names, strings.Fields(line)...)
		default:
			judge()
			application, redirect, _ := strings.Cut(strings.TrimSpace(line), " ")
			_, section, _ = strings.Cut(doc, "\n### "+application)
			section, _, _ = strings.Cut(section, "\n### ")
			names = nil
			if _, path, _ := strings.Cut(redirect, "host"); section == "" || !strings.Contains(section, ".example.com"+path+"`") {
				t.Errorf("docs/oidc.md §4 lacks %s with the redirect URI …%s", application, path)
			}
		}
	}
	judge()
	if seen < 25 {
		t.Errorf("only %d settings were found", seen)
	}
}

// The options of oauth2-proxy are those with which examples/oidc really starts it, or options
// of the place where it runs.
func TestOIDC_OAuth2Proxy_OptionsAreThoseOfTheExample(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "docs/oidc.md"), "\n### oauth2-proxy")
	section, _, _ = strings.Cut(section, "\n## ")
	example := read(t, "examples/oidc/main.go")
	options := settingNames["sh"].FindAllString(section, -1)
	if len(options) < 10 {
		t.Fatalf("%q", options)
	}
	for _, option := range options {
		if !strings.Contains(example, `"`+option+"=") {
			t.Errorf("examples/oidc does not use %s", option)
		}
	}
}
