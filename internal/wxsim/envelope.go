package wxsim

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"posthouse/internal/sleep"
)

// envelope is one push request, ready to be sent: everything a delivery needs
// that may differ from the one before it.
type envelope struct {
	query       url.Values
	body        string
	contentType string
	key         []byte // what the body was encrypted with; nil in plain mode
	slow        bool
}

// sealing is the randomness and time of one envelope. Tests fix them to compare
// bytes with the published vectors.
type sealing struct {
	timestamp int64
	nonce     string
	random16  string
}

// wrap protects the message as the account's mode says, then breaks what the
// plan says.
func (a Account) wrap(m message, openid string, mark sealing, faults plan) envelope {
	plain := faults.alter(m).xml()
	if faults.has(Doctype) {
		plain = "<!DOCTYPE xml [<!ENTITY e \"x\">]>" + plain
	}
	if r, ok := faults.rule(Stale); ok {
		mark.timestamp -= int64(or(r.Seconds, 600))
	}
	timestamp := strconv.FormatInt(mark.timestamp, 10)
	e := envelope{body: plain, contentType: "text/xml", slow: faults.has(SlowBody)}
	e.query = url.Values{
		"signature": {signature(a.Token, timestamp, mark.nonce)},
		"timestamp": {timestamp}, "nonce": {mark.nonce}, "openid": {openid},
	}
	if faults.has(BadSignature) {
		e.query.Set("signature", strings.Repeat("0", 40))
	}
	if faults.has(ContentType) {
		e.contentType = "application/json"
	}
	if a.Mode == Plain || faults.has(Downgrade) {
		return e
	}

	sealed := a.encrypt(&e, plain, mark.random16, faults)
	e.query.Set("encrypt_type", "aes")
	e.query.Set("msg_signature", signature(a.Token, timestamp, mark.nonce, sealed))
	if faults.has(BadMsgSignature) {
		e.query.Set("msg_signature", strings.Repeat("0", 40))
	}
	if a.Mode == Compat {
		e.body = compatBody(plain, sealed)
	} else {
		e.body = secureBody(a.OriginalID, sealed)
	}
	if faults.has(Doctype) && a.Mode == Secure {
		e.body = "<!DOCTYPE xml [<!ENTITY e \"x\">]>" + e.body
	}
	return e
}

func (a Account) encrypt(e *envelope, plain, random16 string, faults plan) string {
	encodingKey, appid := a.AESKey, a.AppID
	if faults.has(PreviousKey) {
		// Without a previous key the push is sealed with one that no account ever had.
		encodingKey = or(a.PreviousAESKey, strings.Repeat("PrevKey", 6)+"A")
	}
	if faults.has(ForeignAppID) {
		appid = "wxffffffffffffffff"
	}
	key, err := parseAESKey(encodingKey)
	if err != nil {
		panic(err) // accounts are checked when they are made
	}
	e.key = key
	sealed := seal(key, []byte(random16), []byte(plain), appid)
	if faults.has(Truncated) {
		sealed = sealed[:len(sealed)/2/4*4-4]
	}
	if faults.has(Garbled) {
		middle := len(sealed) / 2
		sealed = sealed[:middle] + strings.Map(func(r rune) rune {
			if r == 'A' {
				return 'B'
			}
			return 'A'
		}, sealed[middle:middle+32]) + sealed[middle+32:]
	}
	return sealed
}

// alter is the faults that change what the message says.
func (p plan) alter(m message) message {
	m.fields = slices.Clone(m.fields)
	if p.has(Lowercase) && m.kind == "event" {
		m.fields[0].Value = strings.ToLower(m.fields[0].Value)
	}
	if p.has(NoTicket) {
		m.fields = slices.DeleteFunc(m.fields, func(f field) bool { return f.Name == "Ticket" })
	}
	if p.has(HugeBody) {
		m.fields = append(m.fields, field{Name: "Filler", Value: strings.Repeat("x", 1<<20)})
	}
	return m
}

// request is the envelope addressed to one callback URL, whose own query is
// kept.
func (e envelope) request(ctx context.Context, callback string) (*http.Request, error) {
	u, err := url.Parse(callback)
	if err != nil {
		return nil, err
	}
	query := e.query.Encode()
	if u.RawQuery != "" {
		query = u.RawQuery + "&" + query
	}
	u.RawQuery = query
	var body io.Reader = strings.NewReader(e.body)
	if e.slow {
		body = &trickle{ctx: ctx, rest: e.body}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), body)
	if err != nil {
		return nil, err
	}
	r.ContentLength = int64(len(e.body))
	r.Header.Set("Content-Type", e.contentType)
	r.Header.Set("User-Agent", "Mozilla/4.0")
	return r, nil
}

// trickle gives a byte every 100 ms: a sender that holds a reader up.
type trickle struct {
	ctx  context.Context
	rest string
}

func (t *trickle) Read(p []byte) (int, error) {
	if t.rest == "" {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := sleep.For(t.ctx, 100*time.Millisecond); err != nil {
		return 0, err
	}
	p[0], t.rest = t.rest[0], t.rest[1:]
	return 1, nil
}
