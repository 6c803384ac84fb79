package wechat

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Mode is how the account's console says that pushes are sent.
type Mode string

const (
	Secure Mode = "secure" // encrypted; the default
	Compat Mode = "compat" // encrypted, with a readable copy that nothing signs
	Plain  Mode = "plain"  // readable; the signature does not cover the body
)

// Reason says why a push is refused. The set is closed (it labels a metric);
// the peer is never told.
type Reason string

const (
	ReasonQuery     Reason = "query"     // a parameter is missing, repeated or no text
	ReasonSignature Reason = "signature" // of the query
	ReasonStale     Reason = "stale"     // outside the freshness window
	ReasonDowngrade Reason = "downgrade" // not sent in the mode that is configured
	ReasonBody      Reason = "msg_signature"
	ReasonEnvelope  Reason = "envelope" // no key opens it
	ReasonAppID     Reason = "appid"    // it opens, but is another account's
	ReasonAccount   Reason = "to_user"  // addressed to another original id
)

// ErrRefused is what every refusal is: a push that WeChat did not send to this
// account, or did not send now.
var ErrRefused = errors.New("wechat: push refused")

// RefusedError carries the reason, for counters and logs.
type RefusedError struct {
	Reason Reason
	// Seen is what the push had instead of what the account expects, where an
	// operator can compare it: a mode, an AppID, an original id, an offset of
	// clocks. It is short and holds no secret and no openid; "" for the others.
	Seen string
}

func (e *RefusedError) Error() string { return fmt.Sprintf("%v (%s)", ErrRefused, e.Reason) }

// Is makes errors.Is(err, ErrRefused) hold.
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }

func refuse(r Reason) error { return &RefusedError{Reason: r} }

// maxSeen bounds RefusedError.Seen: longer than every AppID and original id.
const maxSeen = 32

// refuseSeen is refuse with what was seen. A text that has not the shape of an id
// is left out: it may be anything.
func refuseSeen(r Reason, seen string) error {
	if len(seen) > maxSeen || !ValidOpenID(seen) {
		seen = ""
	}
	return &RefusedError{Reason: r, Seen: seen}
}

// Query is the part of a callback's query string that has a meaning. The openid
// that WeChat adds is left out on purpose: nothing signs it.
type Query struct {
	Signature    string
	Timestamp    string
	Nonce        string
	EncryptType  string
	MsgSignature string
	EchoStr      string
}

// maxQuery bounds the work on a query that is not signed; real ones have about
// 250 bytes.
const maxQuery = 2048

// ParseQuery reads a raw query. A repeated parameter is refused: proxies and
// servers disagree on which of two counts.
func ParseQuery(raw string) (Query, error) {
	var q Query
	if len(raw) > maxQuery {
		return q, refuse(ReasonQuery)
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, refuse(ReasonQuery)
	}
	for name, into := range map[string]*string{
		"signature": &q.Signature, "timestamp": &q.Timestamp, "nonce": &q.Nonce,
		"encrypt_type": &q.EncryptType, "msg_signature": &q.MsgSignature, "echostr": &q.EchoStr,
	} {
		switch v := values[name]; len(v) {
		case 0:
		case 1:
			*into = v[0]
		default:
			return Query{}, refuse(ReasonQuery)
		}
	}
	return q, nil
}

// ReceiverOptions configure a Receiver.
type ReceiverOptions struct {
	AppID      string
	OriginalID string // gh_…; "" accepts any ToUserName
	Mode       Mode   // "" is Secure

	// Token and AESKey are the console's; the previous ones, when set, are
	// accepted as well while a change is under way.
	Token, PreviousToken   Secret
	AESKey, PreviousAESKey Secret

	// Window is how far a push's timestamp may be from the clock; 0 is 5 min.
	Window time.Duration
}

// Receiver opens the pushes of one account. It is immutable.
type Receiver struct {
	appID, originalID string
	mode              Mode
	tokens            []Secret
	keys              []AESKey
	window            time.Duration
}

// NewReceiver checks the options and makes a Receiver.
func NewReceiver(opts *ReceiverOptions) (*Receiver, error) {
	var o ReceiverOptions
	if opts != nil {
		o = *opts
	}
	r := &Receiver{appID: o.AppID, originalID: o.OriginalID, mode: o.Mode, window: o.Window}
	switch r.mode {
	case "":
		r.mode = Secure
	case Secure, Compat, Plain:
	default:
		return nil, fmt.Errorf("wechat: unknown mode %q (secure, compat or plain)", o.Mode)
	}
	if r.window == 0 {
		r.window = 5 * time.Minute
	}
	if o.Token == "" {
		return nil, errors.New("wechat: a callback needs a Token")
	}
	for _, t := range []Secret{o.Token, o.PreviousToken} {
		if t != "" {
			r.tokens = append(r.tokens, t)
		}
	}
	for _, s := range []Secret{o.AESKey, o.PreviousAESKey} {
		if s == "" {
			continue
		}
		k, err := ParseAESKey(s)
		if err != nil {
			return nil, err
		}
		r.keys = append(r.keys, k)
	}
	if r.mode != Plain && (len(r.keys) == 0 || o.AppID == "") {
		return nil, fmt.Errorf("wechat: mode %s needs an AppID and an EncodingAESKey", r.mode)
	}
	return r, nil
}

// Mode is the mode that pushes must have.
func (r *Receiver) Mode() Mode { return r.mode }

// Echo answers the verification of the callback's URL: the text to send back.
func (r *Receiver) Echo(q Query) (string, error) {
	if _, err := r.token(q); err != nil {
		return "", err
	}
	if q.EchoStr == "" || len(q.EchoStr) > 256 {
		return "", refuse(ReasonQuery)
	}
	return q.EchoStr, nil
}

// token finds the Token that signed the query.
func (r *Receiver) token(q Query) (Secret, error) {
	if q.Signature == "" || q.Timestamp == "" || q.Nonce == "" {
		return "", refuse(ReasonQuery)
	}
	for _, t := range r.tokens {
		if signed(q.Signature, t, q.Timestamp, q.Nonce) {
			return t, nil
		}
	}
	return "", refuse(ReasonSignature)
}

// Check judges a push by its query alone, before a byte of the body is read:
// mode, signature, freshness.
func (r *Receiver) Check(q Query, now time.Time) error {
	encrypted := q.EncryptType == "aes"
	if !encrypted && q.EncryptType != "" && q.EncryptType != "raw" {
		return refuse(ReasonQuery)
	}
	// In compat mode msg_signature alone decides (it covers the timestamp and
	// the nonce as well), and Open checks it.
	if r.mode != Compat || q.Signature != "" {
		if _, err := r.token(q); err != nil {
			return err
		}
	}
	if encrypted != (r.mode != Plain) {
		if encrypted {
			return refuseSeen(ReasonDowngrade, "encrypted")
		}
		return refuseSeen(ReasonDowngrade, "plain")
	}
	sent, err := strconv.ParseInt(q.Timestamp, 10, 64)
	if err != nil || sent < 0 {
		return refuse(ReasonQuery)
	}
	if d := now.Unix() - sent; d > int64(r.window/time.Second) || -d > int64(r.window/time.Second) {
		return refuseSeen(ReasonStale, strconv.FormatInt(d, 10)+"s")
	}
	return nil
}

// Push is an opened push, and what an answer to it needs.
type Push struct {
	Message Message
	Body    []byte // the readable message, as it was signed or sealed

	appID string
	mode  Mode
	nonce string
	token Secret
	key   *AESKey // nil: the answer is not encrypted
	json  bool
}

// Open verifies and decrypts a push and parses the message inside. The errors
// are ErrRefused and ErrMalformed. With an ErrMalformed the push is not nil when
// its signatures are good and only the message in it cannot be read; its Message is
// then empty. Check comes first.
func (r *Receiver) Open(q Query, body []byte) (*Push, error) {
	if r.mode == Plain {
		token, err := r.token(q)
		if err != nil {
			return nil, err
		}
		return r.finish(&Push{mode: r.mode, nonce: q.Nonce, token: token}, "", body)
	}
	outer, _, err := parseFields(body)
	if err != nil {
		if _, unsigned := r.token(q); unsigned != nil {
			return nil, refuse(ReasonBody) // in compat mode nothing else is signed
		}
		return nil, err
	}
	if q.EncryptType != "aes" || outer.encrypt == "" {
		return nil, refuseSeen(ReasonDowngrade, "plain")
	}
	p := &Push{appID: r.appID, mode: r.mode, nonce: q.Nonce}
	encrypt := strings.TrimSpace(outer.encrypt)
	for _, t := range r.tokens {
		if q.MsgSignature != "" && signed(q.MsgSignature, t, q.Timestamp, q.Nonce, encrypt) {
			p.token = t
			break
		}
	}
	if p.token == "" {
		return nil, refuse(ReasonBody)
	}
	why, seen := ReasonEnvelope, ""
	for i := range r.keys {
		msg, err := r.keys[i].Open(encrypt, r.appID)
		if err == nil {
			p.key = &r.keys[i]
			return r.finish(p, outer.To, msg)
		}
		if foreign, ok := errors.AsType[*foreignError](err); ok {
			why, seen = ReasonAppID, foreign.appID
		}
	}
	return nil, refuseSeen(why, seen)
}

// finish parses the readable message. Only this copy counts: the outside of an
// envelope is signed by nothing.
func (r *Receiver) finish(p *Push, outerTo string, body []byte) (*Push, error) {
	p.Body, p.json = body, isJSON(body)
	m, err := Parse(body)
	if err != nil {
		return p, err
	}
	if outerTo != "" && outerTo != m.To || r.originalID != "" && r.originalID != m.To {
		return nil, refuseSeen(ReasonAccount, m.To)
	}
	p.Message = m
	return p, nil
}
