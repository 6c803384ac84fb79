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
	m.reasonSeries.allowAccounts(len(list))
	for _, a := range list {
		m.knownAccounts[a.Name] = true
		m.loginEvents.WithLabelValues(m.reasonSeries.labelsOf("login", "claim", a.Name, "claimed"))
		m.webhookEvents.WithLabelValues(m.reasonSeries.labelsOf("webhook", "claim", a.Name, "claimed"))
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

// The bounds of the series that reasons make, of logins and of pushes together: with all
// others they stay below the 200 that docs/operations.md promises for one account.
const (
	maxReasonSeries  = 48
	moreForAnAccount = 24 // for each account but the first
)

// reasonSeries are the labels, what, account and reason, that became series of a counter.
// A reason may have been read from Redis, where anybody may have written it.
type reasonSeries struct {
	mu    sync.Mutex // guards what follows
	limit int        // 0: maxReasonSeries
	known map[[4]string]bool
}

// labelsOf are the labels themselves, if the reason has the characters of one and there is
// room for another series. Else the reason is otherLabel; and once there is room for no other
// account either, what and account are it too. So the series of a family are bounded whatever
// is counted.
func (r *reasonSeries) labelsOf(family, what, account, reason string) (string, string, string) {
	if len(reason) > maxLabel || strings.Trim(reason, "abcdefghijklmnopqrstuvwxyz_:- ") != "" {
		reason = otherLabel
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	limit := r.limit
	if limit == 0 {
		limit = maxReasonSeries
	}
	if r.known == nil {
		r.known = map[[4]string]bool{}
	}
	// A quarter of the room is for what has no room with its own reason.
	for _, try := range []struct {
		reason string
		limit  int
	}{{reason, limit - limit/4}, {otherLabel, limit - 2}} {
		key := [4]string{family, what, account, try.reason}
		if r.known[key] {
			return what, account, try.reason
		}
		if len(r.known) < try.limit {
			r.known[key] = true
			return what, account, try.reason
		}
	}
	r.known[[4]string{family, otherLabel, otherLabel, otherLabel}] = true // one for each of the two families
	return otherLabel, otherLabel, otherLabel
}

// count is how many series there are.
func (r *reasonSeries) count() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(len(r.known))
}

// allowAccounts widens the bound for n accounts.
func (r *reasonSeries) allowAccounts(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit = maxReasonSeries + moreForAnAccount*max(n-1, 0)
}
