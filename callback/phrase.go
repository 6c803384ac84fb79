package callback

import (
	"fmt"
	"strings"

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
)

// LoggedInZH and LoggedInEN are words for LoggedIn, which by itself has none.
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
	Confirm:     "有人正在使用你的微信登录{site}。如果是你本人，请回复网页上显示的两位数字；如果不是，请回复“不是我”。",
	WrongNumber: "数字不一致，本次登录已取消。请在网页上刷新后重新扫码。",
	Denied:      "已取消本次登录。",
}

var english = map[Phrase]string{
	LoggedIn:    "",
	Same:        "",
	Taken:       "This code was already used by somebody else. Please refresh the page and scan again.",
	Expired:     "This code has expired. Please refresh the page and scan again.",
	Replaced:    "This code was refreshed. Please scan the newest one on the page.",
	Closed:      "The login page was closed. Please open it again and scan.",
	Confirm:     "Someone is logging in{site} with your WeChat. If it is you, reply with the two digits shown on the page; if not, reply “not me”.",
	WrongNumber: "That number does not match, so this login was cancelled. Please refresh the page and scan again.",
	Denied:      "The login was cancelled.",
}

// phrasebook joins the language's phrases with the account's own.
func phrasebook(cfg Account) (map[Phrase]string, error) {
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
	for p, text := range cfg.Phrases {
		if _, ok := book[p]; !ok {
			return nil, fmt.Errorf("unknown phrase %q", p)
		}
		out[p] = strings.ReplaceAll(text, "{site}", cfg.Site)
	}
	return out, nil
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
	case login.OutcomeExpired, login.OutcomeUnknown, login.OutcomeForeign:
		return Expired
	}
	return ""
}
