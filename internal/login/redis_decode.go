package login

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"
	"unicode/utf8"

	"posthouse/internal/loglimit"
)

// ErrDamaged answers a ticket that Redis holds with a field that no replica wrote. It
// is an ErrUnauthorized: such a ticket is worth as much as none.
var ErrDamaged = fmt.Errorf("%w: damaged in the store", ErrUnauthorized)

// The fields that a replica writes are within these bounds. Lengths are in bytes.
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
	logLine loglimit.Limiter
}

func newDamageLog(c Counter, log *slog.Logger) *damageLog {
	return &damageLog{counter: c, log: log, logLine: loglimit.Limiter{Every: time.Minute}}
}

// reportField returns ErrDamaged. field is a name of this package, never a value.
func (d *damageLog) reportField(field string) error {
	d.counter.Count("damaged", "", field)
	if held, ok := d.logLine.Allow(); ok {
		d.log.Error("login: redis holds a ticket that no replica wrote; it is treated as unknown. "+
			"Give this deployment a Redis user or a POSTHOUSE_REDIS_URL of its own", "field", field, "not_logged", held)
	}
	return ErrDamaged
}

// fieldReader reads the hash of a ticket. bad is the first field that is out of
// bounds.
type fieldReader struct {
	fields       map[string]string
	now          time.Time
	firstDamaged string
}

func (f *fieldReader) checkField(name string, ok bool) {
	if !ok && f.firstDamaged == "" {
		f.firstDamaged = name
	}
}

// readName reads visible ASCII: ids, hashes, tickets.
func (f *fieldReader) readName(field string, most int) string {
	v := f.fields[field]
	f.checkField(field, isName(v, most))
	return v
}

// readText reads what people read: UTF-8 without control characters.
func (f *fieldReader) readText(field string, most int) string {
	v := f.fields[field]
	f.checkField(field, isText(v, most))
	return v
}

// readOpaque reads what a page has sent along.
func (f *fieldReader) readOpaque(field string) string {
	v := f.fields[field]
	f.checkField(field, ValidContext(v))
	return v
}

func (f *fieldReader) readFlag(field string) bool {
	v := f.fields[field]
	f.checkField(field, v == "" || v == "0" || v == "1")
	return v == "1"
}

// readTime reads milliseconds since 1970; "" is no time.
func (f *fieldReader) readTime(field string) time.Time {
	v := f.fields[field]
	if v == "" {
		return time.Time{}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	f.checkField(field, err == nil && n >= 0 && n <= maxTime)
	return time.UnixMilli(n)
}

// readEnd reads a time that is needed and not far ahead.
func (f *fieldReader) readEnd(field string) time.Time {
	t := f.readTime(field)
	f.checkField(field, !t.IsZero() && t.Before(f.now.Add(maxEnd)))
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

// decodeTicket reads the fields of a; ErrUnauthorized when there are none, ErrDamaged when
// one of them is not as a replica writes it.
func (r *Redis) decodeTicket(id string, a stepAnswer) (Ticket, error) {
	if len(a.fields) == 0 {
		return Ticket{}, ErrUnauthorized
	}
	f := &fieldReader{fields: a.fields, now: a.now}
	t := Ticket{
		ID: id, WeChat: f.readName("wx", maxURLLength), Account: f.readText("acc", maxIDLength), AppID: f.readName("app", maxIDLength),
		State: State(f.fields["st"]), SocketID: f.readName("sid", maxIDLength), Raw: f.readFlag("raw"),
		ResumeHash: f.readName("rh", maxIDLength), Challenge: f.readName("ch", maxIDLength),
		URL: f.readName("url", maxURLLength), ImageURL: f.readName("img", maxURLLength), Before: f.readName("was", maxIDLength),
		OpenID: f.readName("oid", maxIDLength), UnionID: f.readName("uid", maxIDLength), Unioned: f.readFlag("uset"),
		JTI: f.readName("jti", maxIDLength), IssuedAt: f.readTime("iat"), EventAt: f.readTime("evt"),
		CreatedAt: f.readTime("cre"), ExpiresAt: f.readEnd("exp"),
		Delivered: f.readFlag("del"), Number: f.readName("num", 2), Reason: f.fields["why"],
		Browser: f.readName("br", maxIDLength), Agent: f.readText("ag", maxTextLength), Network: f.readText("net", maxTextLength),
		Context: f.readOpaque("ctx"), Trace: f.readName("tp", maxIDLength), Risk: f.readFlag("risk"), Asked: f.readFlag("ask"), Exchanged: !f.readTime("xat").IsZero(), Revoked: f.readFlag("rev"),
		Now: a.now, Moved: a.wasMoved,
	}
	f.readEnd("gone")
	f.checkField("st", knownStates[t.State])
	f.checkField("acc", len(r.knownAccounts) == 0 || r.knownAccounts[t.Account])
	// Done without a person or without a jti would be a token without an owner.
	f.checkField("oid", t.State != Done && t.State != Claimed || t.OpenID != "" && t.JTI != "" && !t.IssuedAt.IsZero())
	if f.firstDamaged != "" {
		return Ticket{}, r.damageLog.reportField(f.firstDamaged)
	}
	if !knownReasons[t.Reason] {
		t.Reason = reasonOther
	}
	return t, nil
}

// decodeOutcome reads what a script says of a claim or a confirmation. Where there is no
// ticket, or a damaged one, the error is an ErrUnauthorized.
func (r *Redis) decodeOutcome(id string, a stepAnswer) (Ticket, Outcome, error) {
	t, err := r.decodeTicket(id, a)
	if err != nil {
		return Ticket{}, "", err
	}
	o := Outcome(a.outcome)
	if !knownOutcomes[o] {
		return Ticket{}, "", r.damageLog.reportField("outcome")
	}
	return t, o, nil
}

// visibleNames are those of list that are visible ASCII; the others are reported.
func (r *Redis) visibleNames(list []string) []string {
	good := list[:0]
	for _, s := range list {
		if s == "" || !isName(s, maxIDLength) {
			_ = r.damageLog.reportField("jti")
			continue
		}
		good = append(good, s)
	}
	return good
}
