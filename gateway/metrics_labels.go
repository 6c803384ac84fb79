package gateway

import (
	"strings"
	"sync"
)

// A label of a metric comes from a closed set (docs/reliability.md §4 row 42). What
// callers pass is a word of the code or the name of an account; a value from a store or
// a client that slipped through becomes otherLabel instead of a new series, and never
// the panic that the metrics library answers invalid UTF-8 with.
const otherLabel = "other"

// maxLabel is longer than any word of the code that becomes a label.
const maxLabel = 64

// noAccount is the label of a push for an account that does not exist.
const noAccount = "unknown"

// knowAccounts closes the set of accounts. It is called before anything is counted.
func (m *metrics) knowAccounts(list []*account) {
	m.knownAccounts = map[string]bool{"": true, noAccount: true}
	for _, a := range list {
		m.knownAccounts[a.Name] = true
		m.loginEvents.WithLabelValues("claim", a.Name, "claimed")
		m.webhookEvents.WithLabelValues("claim", a.Name, "claimed")
		m.answerTimes.WithLabelValues(a.Name, "login", "success")
		m.apiErrors.WithLabelValues(a.Name, "/cgi-bin/qrcode/create", "ok")
	}
}

func (m *metrics) accountLabel(name string) string {
	if m.knownAccounts != nil && !m.knownAccounts[name] {
		return otherLabel
	}
	return labelText(name)
}

// labelText is text, or otherLabel when it is no short visible text.
func labelText(text string) string {
	if len(text) > maxLabel {
		return otherLabel
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return otherLabel
		}
	}
	return text
}

// maxReasons bounds the reasons of logins that become labels; it is far more than
// the code knows.
const maxReasons = 128

// reasonLabels are the reasons that became labels of the login counter.
type reasonLabels struct {
	mu           sync.Mutex // guards known
	knownReasons map[string]bool
}

// labelOf is the reason itself, if it has the characters of a reason and is among the
// first maxReasons. A reason may have been read from Redis.
func (r *reasonLabels) labelOf(text string) string {
	if len(text) > maxLabel || strings.Trim(text, "abcdefghijklmnopqrstuvwxyz_:- ") != "" {
		return otherLabel
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.knownReasons[text] {
		if len(r.knownReasons) >= maxReasons {
			return otherLabel
		}
		if r.knownReasons == nil {
			r.knownReasons = map[string]bool{}
		}
		r.knownReasons[text] = true
	}
	return text
}
