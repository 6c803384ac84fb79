package login

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"
)

// ErrDamaged answers a ticket that Redis holds with a field that no replica wrote. It
// is an ErrUnauthorized: such a ticket is worth as much as none.
var ErrDamaged = fmt.Errorf("%w: damaged in the store", ErrUnauthorized)

// What a replica writes is within these bounds. Lengths are in bytes.
const (
	maxIDLength   = 128       // ids, hashes, openids, names
	maxTextLength = 256       // what people read of a browser
	maxURLLength  = 1024      // a QR code's content, WeChat's ticket
	maxReply      = 128 << 10 // what a webhook keeps of an answer
	// maxEnd is how far ahead a ticket may end: WeChat grants 30 days.
	maxEnd = 32 * 24 * time.Hour
	// maxTime is the last millisecond of the year 9999.
	maxTime = 253402300799999
)

// The words that a script answers and a hash holds come from these sets.
var (
	knownStates   = setOf(Waiting, Claimed, Done, Expired, Replaced, Cancelled, Denied)
	knownOutcomes = setOf(OutcomeClaimed, OutcomeSame, OutcomeTaken, OutcomeExpired, OutcomeReplaced,
		OutcomeCancelled, OutcomeUnknown, OutcomeForeign, OutcomeDenied, OutcomeLeft)
	knownUnusual = setOf("", UnusualNetwork, UnusualBrowser, UnusualOften)
	// A reason that a newer version may write is read as reasonOther.
	knownReasons = setOf("", "late", "scan", "confirm_timeout", "denied", "confirmed", "refreshed", "cancelled",
		"timeout", "left")
)

const reasonOther = "other"

func setOf[T comparable](words ...T) map[T]bool {
	set := make(map[T]bool, len(words))
	for _, w := range words {
		set[w] = true
	}
	return set
}

// damageLog counts and logs what Redis holds and no replica wrote. Neither a value
// nor a key is logged: both may name a person.
type damageLog struct {
	counter Counter
	log     *slog.Logger
	line    rate.Sometimes // of the log
}

func newDamageLog(c Counter, log *slog.Logger) *damageLog {
	return &damageLog{counter: c, log: log, line: rate.Sometimes{First: 1, Interval: time.Minute}}
}

// report returns ErrDamaged. field is a name of this package, never a value.
func (d *damageLog) report(field string) error {
	d.counter.Count("damaged", "", field)
	d.line.Do(func() {
		d.log.Error("login: redis holds a ticket that no replica wrote; it is treated as unknown. "+
			"Give this deployment a Redis user or a POSTHOUSE_REDIS_URL of its own", "field", field)
	})
	return ErrDamaged
}

// fieldReader reads the hash of a ticket. bad is the first field that is out of
// bounds.
type fieldReader struct {
	fields map[string]string
	now    time.Time
	bad    string
}

func (f *fieldReader) check(name string, ok bool) {
	if !ok && f.bad == "" {
		f.bad = name
	}
}

// name reads visible ASCII: ids, hashes, tickets.
func (f *fieldReader) name(field string, most int) string {
	v := f.fields[field]
	f.check(field, isName(v, most))
	return v
}

// text reads what people read: UTF-8 without control characters.
func (f *fieldReader) text(field string, most int) string {
	v := f.fields[field]
	f.check(field, isText(v, most))
	return v
}

func (f *fieldReader) flag(field string) bool {
	v := f.fields[field]
	f.check(field, v == "" || v == "0" || v == "1")
	return v == "1"
}

// time reads milliseconds since 1970; "" is no time.
func (f *fieldReader) time(field string) time.Time {
	v := f.fields[field]
	if v == "" {
		return time.Time{}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	f.check(field, err == nil && n >= 0 && n <= maxTime)
	return time.UnixMilli(n)
}

// end reads a time that is needed and not far ahead.
func (f *fieldReader) end(field string) time.Time {
	t := f.time(field)
	f.check(field, !t.IsZero() && t.Before(f.now.Add(maxEnd)))
	return t
}

func isName(s string, most int) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= most
}

func isText(s string, most int) bool {
	if len(s) > most || !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// ticket reads the fields of a; ErrUnauthorized when there are none, ErrDamaged when
// one of them is not as a replica writes it.
func (r *Redis) ticket(id string, a stepAnswer) (Ticket, error) {
	if len(a.fields) == 0 {
		return Ticket{}, ErrUnauthorized
	}
	f := &fieldReader{fields: a.fields, now: a.now}
	t := Ticket{
		ID: id, WeChat: f.name("wx", maxURLLength), Account: f.text("acc", maxIDLength), AppID: f.name("app", maxIDLength),
		State: State(f.fields["st"]), SocketID: f.name("sid", maxIDLength), Raw: f.flag("raw"),
		ResumeHash: f.name("rh", maxIDLength), Challenge: f.name("ch", maxIDLength),
		URL: f.name("url", maxURLLength), ImageURL: f.name("img", maxURLLength), Before: f.name("was", maxIDLength),
		OpenID: f.name("oid", maxIDLength), UnionID: f.name("uid", maxIDLength), Unioned: f.flag("uset"),
		JTI: f.name("jti", maxIDLength), IssuedAt: f.time("iat"), EventAt: f.time("evt"),
		CreatedAt: f.time("cre"), ExpiresAt: f.end("exp"),
		Delivered: f.flag("del"), Number: f.name("num", 2), Reason: f.fields["why"],
		Browser: f.name("br", maxIDLength), Agent: f.text("ag", maxTextLength), Network: f.text("net", maxTextLength),
		Risk: f.flag("risk"), Asked: f.flag("ask"), Exchanged: !f.time("xat").IsZero(), Revoked: f.flag("rev"),
		Now: a.now, Moved: a.moved,
	}
	f.end("gone")
	f.check("st", knownStates[t.State])
	f.check("acc", len(r.accounts) == 0 || r.accounts[t.Account])
	// Done without a person or without a jti would be a token without an owner.
	f.check("oid", t.State != Done && t.State != Claimed || t.OpenID != "" && t.JTI != "" && !t.IssuedAt.IsZero())
	if f.bad != "" {
		return Ticket{}, r.damage.report(f.bad)
	}
	if !knownReasons[t.Reason] {
		t.Reason = reasonOther
	}
	return t, nil
}

// judged reads what a script says of a claim or a confirmation. Where there is no
// ticket, or a damaged one, the error is an ErrUnauthorized.
func (r *Redis) judged(id string, a stepAnswer) (Ticket, Outcome, error) {
	t, err := r.ticket(id, a)
	if err != nil {
		return Ticket{}, "", err
	}
	o := Outcome(a.outcome)
	if !knownOutcomes[o] {
		return Ticket{}, "", r.damage.report("outcome")
	}
	return t, o, nil
}

// names are those of list that are visible ASCII; the others are reported.
func (r *Redis) names(list []string) []string {
	good := list[:0]
	for _, s := range list {
		if s == "" || !isName(s, maxIDLength) {
			_ = r.damage.report("jti")
			continue
		}
		good = append(good, s)
	}
	return good
}
