package wechat

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Class says what a caller can do about an error (docs/wechat.md §1.6). The set is
// closed: it labels metrics.
type Class string

const (
	ClassRetry         Class = "retry"         // WeChat is busy, slow or away: try again soon
	ClassRefresh       Class = "refresh"       // the access token is bad, and a new one did not help
	ClassConfiguration Class = "configuration" // an operator must act: wrong secret, missing right, unlisted address
	ClassQuota         Class = "quota"         // the day's quota is spent
	ClassRate          Class = "rate"          // the minute's quota is spent
	ClassPerson        Class = "person"        // the openid is unknown or does not follow
	ClassWindow        Class = "window"        // a message that may not be sent now; dropped
	ClassRequest       Class = "request"       // we asked wrongly: a bug
	ClassUnknown       Class = "unknown"       // a code not known here; taken as permanent
)

// Error is a failed call of WeChat's API. It never contains a URL, a token, a
// secret or an openid, so it may be logged.
type Error struct {
	API   string // the path, for example /cgi-bin/qrcode/create
	Code  int    // WeChat's errcode; 0 when there was no proper answer
	Class Class
	RID   string     // WeChat's id of the request, for its support
	IP    netip.Addr // with 40164: our address as WeChat saw it
	// Until is when calls are let through again, if the failure closed the way
	// for a while; zero otherwise.
	Until time.Time

	cause error
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "wechat: %s: ", e.API)
	switch {
	case e.Code != 0:
		fmt.Fprintf(&b, "%d %s (%s)", e.Code, meaning(e.API, e.Code), e.Class)
	case e.cause != nil:
		b.WriteString(e.cause.Error())
	default:
		b.WriteString(string(e.Class))
	}
	if e.IP.IsValid() {
		fmt.Fprintf(&b, ", ip %s", e.IP)
	}
	if e.RID != "" {
		fmt.Fprintf(&b, ", rid %s", e.RID)
	}
	return b.String()
}

// Unwrap returns the scrubbed cause of a failure without an errcode.
func (e *Error) Unwrap() error { return e.cause }

// ClassOf is the class of err, ClassUnknown when it is no *Error.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return ClassUnknown
}

var (
	errAnswer   = errors.New("the answer is not WeChat's")
	errCircuit  = errors.New("not asked: it failed too often just now")
	errInFlight = errors.New("too many calls in flight")
)

type codeInfo struct {
	class Class
	means string
}

var codes = map[int]codeInfo{
	-1:    {ClassRetry, "busy"},
	40001: {ClassRefresh, "access token is not the latest"},
	40014: {ClassRefresh, "access token is invalid"},
	42001: {ClassRefresh, "access token has expired"},

	40002: {ClassRequest, "bad grant_type"},
	41001: {ClassRequest, "access token is missing"},
	41002: {ClassRequest, "appid is missing"},
	41004: {ClassRequest, "secret is missing"},
	40033: {ClassRequest, "bad characters"},
	40035: {ClassRequest, "bad argument"},
	40038: {ClassRequest, "bad format"},
	40052: {ClassRequest, "bad action name"},
	40053: {ClassRequest, "bad action info"},
	40097: {ClassRequest, "bad arguments"},
	43001: {ClassRequest, "must be GET"},
	43002: {ClassRequest, "must be POST"},
	43003: {ClassRequest, "must be HTTPS"},
	44002: {ClassRequest, "empty body"},
	47001: {ClassRequest, "body is not JSON"},

	40013: {ClassConfiguration, "invalid appid"},
	40066: {ClassConfiguration, "wrong path"},
	40125: {ClassConfiguration, "invalid AppSecret"},
	40164: {ClassConfiguration, "our address is not in the account's allow-list"},
	40243: {ClassConfiguration, "the AppSecret is frozen"},
	48001: {ClassConfiguration, "the account has no right to this API (is it a verified service account?)"},
	48004: {ClassConfiguration, "the API is banned for this account"},
	48006: {ClassConfiguration, "clear_quota is used up for this month"},
	48017: {ClassConfiguration, "the address asked is retired"},
	50001: {ClassConfiguration, "not authorised"},
	50002: {ClassConfiguration, "the account is blocked"},
	89501: {ClassConfiguration, "an administrator must confirm our address"},
	89503: {ClassConfiguration, "an administrator must confirm our address"},
	89506: {ClassConfiguration, "an administrator refused our address"},
	89507: {ClassConfiguration, "an administrator refused our address"},

	40003: {ClassPerson, "invalid openid"},
	43004: {ClassPerson, "the person does not follow"},
	46004: {ClassPerson, "no such person"},

	45009: {ClassQuota, "the day's quota is spent"},
	45011: {ClassRate, "the minute's quota is spent"},
	44991: {ClassRate, "the minute's quota is spent"},

	45015: {ClassWindow, "too long after the last interaction"},
	45047: {ClassWindow, "too many messages"},
}

// classify is the error table. For a token call 40001 is a wrong secret, which
// no new token cures.
func classify(api string, code int) Class {
	if api == apiToken && code == 40001 {
		return ClassConfiguration
	}
	if info, ok := codes[code]; ok {
		return info.class
	}
	return ClassUnknown
}

func meaning(api string, code int) string {
	if api == apiToken && code == 40001 {
		return "wrong AppSecret"
	}
	if info, ok := codes[code]; ok {
		return info.means
	}
	return "unknown code"
}

var (
	ridPattern = regexp.MustCompile(`rid: ?([0-9a-f-]{8,64})`)
	ipPattern  = regexp.MustCompile(`invalid ip +(?:ipv6 +)?([0-9a-fA-F.:]{2,45})`)
)

// codeError makes the error of an errcode. Of errmsg only the request's id and
// our own address are kept: its wording is not ours to trust with a log.
func codeError(api string, code int, errmsg string) *Error {
	e := &Error{API: api, Code: code, Class: classify(api, code)}
	if m := ridPattern.FindStringSubmatch(errmsg); m != nil {
		e.RID = m[1]
	}
	if m := ipPattern.FindStringSubmatch(errmsg); code == 40164 && m != nil {
		e.IP, _ = netip.ParseAddr(m[1])
		e.IP = e.IP.Unmap()
	}
	return e
}

// transportError makes the error of a call without a proper answer. net/http's
// own error quotes the URL, which holds the access token.
func transportError(api string, err error) *Error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &Error{API: api, Class: ClassRetry, cause: err}
}
