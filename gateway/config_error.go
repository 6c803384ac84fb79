package gateway

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// configError is a setting that cannot be used.
type configError struct {
	settingName string // as the operator calls it: POSTHOUSE_X, or accounts.shop.token in the file
	problem     string // is wrong, such as `"x" is not usable`
	fixAdvice   string
}

func (e *configError) Error() string {
	colon := ": "
	if e.problem == unknown {
		colon = "; "
	}
	return "config: " + e.settingName + " " + e.problem + colon + e.fixAdvice
}

// unknown is what is wrong with a name that no setting has.
const unknown = "is unknown"

// keyError says what is wrong with a setting and how to mend it. An empty value is a
// missing one; "…" stands for one that must not be shown.
func keyError(key, value, fix string) error {
	what := "is missing"
	if value != "" {
		what = "= " + strconv.Quote(withoutPassword(value)) + " is not usable"
	}
	return &configError{key, what, fix}
}

// withoutPassword is a value as an error may show it: a URL has no password, and one that
// cannot be read, of which it is not known where a password stands, is not shown.
func withoutPassword(value string) string {
	if strings.Contains(value, "@") && strings.Contains(value, "://") {
		if _, err := url.Parse(value); err != nil {
			return "…"
		}
	}
	return maskPasswords(value)
}

// configErrors are all things that are wrong, so that they can be mended in one go.
type configErrors struct{ problems []error }

// add notes errors that are not nil, each of a joined one by itself.
func (e *configErrors) add(errs ...error) {
	for _, err := range errs {
		var joined interface{ Unwrap() []error }
		switch {
		case err == nil:
		case errors.As(err, &joined):
			e.add(joined.Unwrap()...)
		default:
			e.problems = append(e.problems, err)
		}
	}
}

// joinErrors returns nil when nothing is wrong.
func (e *configErrors) joinErrors() error { return errors.Join(e.problems...) }
