package callback

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"posthouse/internal/wechat"
)

// advice is what an operator reads of a refusal: what it means, and the account's
// setting that mends it ("" when no setting does), or another remedy.
type advice struct{ meaning, setting, fix string }

// advices has an entry for every reason there is.
var advices = map[string]advice{
	string(wechat.ReasonQuery):     {meaning: "not a call of WeChat's, or a proxy changed its query string", fix: "let the proxy pass the query string on unchanged; posthouse doctor asks"},
	string(wechat.ReasonSignature): {meaning: "not WeChat's, or the Token here is not the one on WeChat's page", setting: "token"},
	string(wechat.ReasonStale):     {meaning: "signed push outside the freshness window; is the clock right?", fix: "synchronize the clock of this machine (chrony, systemd-timesyncd)"},
	string(wechat.ReasonDowngrade): {meaning: "the push is not in the account's mode: choose the same one here and on WeChat's page", setting: "mode"},
	string(wechat.ReasonBody):      {meaning: "the encrypted body is signed with another Token than the one here", setting: "token"},
	string(wechat.ReasonEnvelope):  {meaning: "the EncodingAESKey here is not the one on WeChat's page", setting: "aes-key"},
	string(wechat.ReasonAppID):     {meaning: "the push is for another AppID", setting: "appid"},
	string(wechat.ReasonAccount):   {meaning: "the push is addressed to another original id", setting: "original-id"},

	"doctype":   {meaning: "a push with a DOCTYPE, which WeChat never sends"},
	"too_large": {meaning: "a body above 64 KiB, which WeChat never sends"},
	"slow_body": {meaning: "a body that did not arrive within 3 s"},
	"malformed": {meaning: "a body that broke off"},
	"ip":        {meaning: "the sender is not on WeChat's list of addresses; a proxy that is not trusted hides the sender", setting: "ip-allow-list"},
	"busy":      {meaning: "too many pushes are worked on at once", fix: "find what is slow in posthouse_webhook_seconds: Redis, or the server of forward"},
	"flood":     {meaning: "more pushes a second than are let in", fix: "raise POSTHOUSE_LIMIT_WEBHOOK if they are WeChat's; otherwise keep other senders off the path"},
}

// refuseRequest answers whatever is not WeChat's: 403 for every reason there is, 400 for
// a DOCTYPE, never a body. The peer learns nothing else; the operator reads the
// reason.
func (a *account) refuseRequest(w http.ResponseWriter, call string, err error) {
	var refused *wechat.RefusedError
	if !errors.As(err, &refused) {
		a.turnAway(w, http.StatusBadRequest, call, "doctype", "")
		return
	}
	a.turnAway(w, http.StatusForbidden, call, string(refused.Reason), refused.Seen)
}

func (a *account) refuseFlood(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(1))
	a.turnAway(w, http.StatusTooManyRequests, callPush, "flood", "")
}

// The reasons of a call: WeChat pushes, or checks the address.
const (
	callPush   = "push"
	callVerify = "verify" // of the URL, when it is saved on WeChat's page
)

func (a *account) turnAway(w http.ResponseWriter, status int, call, reason, seen string) {
	a.handler.options.Metrics.Refused(a.Name, reason)
	w.WriteHeader(status)
	attrs := []any{slog.String("call", call)}
	if seen != "" {
		attrs = append(attrs, slog.String("seen", seen))
	}
	a.logNotice(call+" "+reason, reason, advices[reason], attrs...)
}

// logNotice logs a line for the operator, at most one a minute for each account and
// key. The line says how many more there were since the last one.
func (a *account) logNotice(key, reason string, about advice, attrs ...any) {
	more, ok := a.notices.Allow(key)
	if !ok {
		return
	}
	attrs = append([]any{slog.String("account", a.Name), slog.String("reason", reason)}, attrs...)
	if about.setting != "" {
		attrs = append(attrs, slog.String("setting", a.handler.options.SettingName(a.Name, about.setting)))
	}
	if about.fix != "" {
		attrs = append(attrs, slog.String("fix", about.fix))
	}
	if more > 0 {
		attrs = append(attrs, slog.Int64("more", more))
	}
	a.handler.options.Logger.Warn("webhook: "+about.meaning, attrs...)
}

// noticeTime is how long one line stands for all of its kind.
const noticeTime = time.Minute
