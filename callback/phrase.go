package callback

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"posthouse/internal/login"
)

// Phrase names something the person's phone is told in the chat.
type Phrase string

const (
	LoggedIn    Phrase = "logged_in"    // done; silent unless configured, the page says it
	Same        Phrase = "same"         // scanned again by the same person; likewise
	Taken       Phrase = "taken"        // another person used the code
	Expired     Phrase = "expired"      // too late, or never known
	Replaced    Phrase = "replaced"     // the page shows a newer code
	Closed      Phrase = "closed"       // the page is gone
	Confirm     Phrase = "confirm"      // asks for the number on the page
	WrongNumber Phrase = "wrong_number" // that was another number
	Denied      Phrase = "denied"       // the person said no
	NoSuchCode  Phrase = "no_such_code" // a typed code that no page shows
	ChatCode    Phrase = "chat_code"    // gives the code that the person asked for
)

// LoggedInZH and LoggedInEN are words for LoggedIn, which by itself has none unless
// the account's policy is ConfirmRisk.
const (
	LoggedInZH = "登录成功。如果不是你本人操作，请回复“不是我”。"
	LoggedInEN = "You are logged in. If this was not you, reply “not me”."
)

var chinese = map[Phrase]string{
	LoggedIn:    "",
	Same:        "",
	Taken:       "这个二维码已被其他人使用，请在网页上刷新后重新扫码。",
	Expired:     "二维码已过期，请在网页上刷新后重新扫码。",
	Replaced:    "二维码已刷新，请扫描网页上最新的二维码。",
	Closed:      "登录页面已关闭，请重新打开页面后再扫码。",
	Confirm:     "有人正在使用你的微信登录{site}（{time}，浏览器：{browser}，网络：{place}）。如果是你本人，请回复网页上显示的两位数字；如果不是，请回复“不是我”。",
	WrongNumber: "数字不一致，本次登录已取消。请在网页上刷新后重新扫码。",
	Denied:      "已取消本次登录。",
	NoSuchCode:  "没有找到这个登录码，或者它已过期。请核对网页上显示的登录码，然后重新发送。",
	ChatCode:    "验证码：{code}\n{minutes} 分钟内有效，请勿告诉他人。",
}

var english = map[Phrase]string{
	LoggedIn:    "",
	Same:        "",
	Taken:       "This code was already used by somebody else. Please refresh the page and scan again.",
	Expired:     "This code has expired. Please refresh the page and scan again.",
	Replaced:    "This code was refreshed. Please scan the newest one on the page.",
	Closed:      "The login page was closed. Please open it again and scan.",
	Confirm:     "Someone is logging in{site} with your WeChat ({time}, browser: {browser}, network: {place}). If it is you, reply with the two digits shown on the page; if not, reply “not me”.",
	WrongNumber: "That number does not match, so this login was cancelled. Please refresh the page and scan again.",
	Denied:      "The login was cancelled.",
	NoSuchCode:  "There is no such code, or it has expired. Please compare it with the one on the page and send it again.",
	ChatCode:    "Your code: {code}\nIt is good for {minutes} minutes. Tell it to no other person.",
}

// newPhrasebook joins the language's phrases with the account's own.
func newPhrasebook(cfg Account) (map[Phrase]string, error) {
	book, site := chinese, cfg.Site
	switch cfg.Language {
	case "", "zh", "zh-CN":
		if site != "" {
			site = "「" + site + "」"
		}
	case "en":
		book = english
		if site != "" {
			site = " to " + site
		}
	default:
		return nil, fmt.Errorf("unknown language %q (zh-CN or en)", cfg.Language)
	}
	out := make(map[Phrase]string, len(book))
	for p, text := range book {
		out[p] = strings.ReplaceAll(text, "{site}", site)
	}
	if cfg.Confirm == ConfirmRisk {
		// The person was not asked, and must hear of a login that was not theirs.
		out[LoggedIn] = LoggedInZH
		if cfg.Language == "en" {
			out[LoggedIn] = LoggedInEN
		}
	}
	for p, text := range cfg.Phrases {
		if _, ok := book[p]; !ok {
			return nil, fmt.Errorf("unknown phrase %q", p)
		}
		out[p] = strings.ReplaceAll(text, "{site}", cfg.Site)
	}
	return out, nil
}

// page is what a person is told of the page that shows the code, so that they can
// tell theirs from another person's: the kind of browser and its network.
type page struct {
	Browser string `json:"b,omitempty"`
	Network string `json:"n,omitempty"`
}

// chinaTime is what WeChat's users read on their clocks.
var chinaTime = time.FixedZone("UTC+8", 8*60*60)

// wordsFor are a phrase about a page; the time is the event's, the same in a repeat.
func (a *account) wordsFor(p Phrase, about page, at time.Time) string {
	unknown, clock := "未知", "15:04"
	if a.Language == "en" {
		unknown, clock = "unknown", "15:04 MST"
	}
	return strings.NewReplacer(
		"{browser}", cmp.Or(about.Browser, unknown), "{place}", cmp.Or(about.Network, unknown),
		"{time}", at.In(chinaTime).Format(clock),
	).Replace(a.phrases[p])
}

// phraseFor says what the phone is told after a claim. A spooled claim is not
// judged yet, so nothing is said.
func phraseFor(o login.Outcome, t login.Ticket) Phrase {
	switch o {
	case login.OutcomeClaimed, login.OutcomeSame:
		switch {
		case t.State == login.Claimed:
			return Confirm
		case o == login.OutcomeSame:
			return Same
		}
		return LoggedIn
	case login.OutcomeTaken:
		return Taken
	case login.OutcomeReplaced:
		return Replaced
	case login.OutcomeCancelled:
		return Closed
	case login.OutcomeDenied:
		return Denied
	case login.OutcomeExpired, login.OutcomeUnknown, login.OutcomeForeign, login.OutcomeLeft:
		return Expired
	}
	return ""
}
