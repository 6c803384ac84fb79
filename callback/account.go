package callback

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"posthouse/internal/loglimit"

	"posthouse/internal/wechat"
)

// DefaultAccount is the name of the account that a path without a name means.
const DefaultAccount = "default"

// Account is one Official Account's webhook.
type Account struct {
	Name       string // "" is DefaultAccount
	AppID      string
	OriginalID string // gh_…; "" does not compare it
	Mode       wechat.Mode

	// The console's Token and EncodingAESKey; the previous ones stay good while
	// a change is under way.
	Token, PreviousToken   wechat.Secret
	AESKey, PreviousAESKey wechat.Secret

	// Confirm says which scans need a confirm step before they become a login; ""
	// is ConfirmOff.
	Confirm ConfirmPolicy

	// Upstream gets every push that is no login, unchanged; "" answers them
	// "success".
	Upstream string
	// ForwardLogins says whether Upstream also gets the follows and scans that are
	// logins; "" is LoginsKept.
	ForwardLogins LoginForwarding

	// CodeWords are texts by which a person asks for a code of Options.ChatCodes. They win
	// over every other use of a text; case, width and space around them do not matter.
	CodeWords []string

	// NoTypedCodes says that texts are never codes at this account.
	NoTypedCodes bool

	// Language of the built-in phrases: "zh-CN" (also "") or "en". Phrases
	// replace single ones; an empty text there answers without words. {site}, {browser},
	// {place} and {time} in them are filled in.
	Language string
	Phrases  map[Phrase]string
	// Site is what {site} stands for in phrases.
	Site string

	// IPs is WeChat's list of senders and what to do with others; nil is off.
	IPs      *IPList
	IPPolicy IPPolicy
}

// ConfirmPolicy is when a person is asked whether a login is theirs.
type ConfirmPolicy string

// People that ConfirmRisk does not ask are told of the login afterwards.
const (
	ConfirmOff    ConfirmPolicy = "off"    // never
	ConfirmRisk   ConfirmPolicy = "risk"   // where it is unusual: login.Unusual
	ConfirmAlways ConfirmPolicy = "always" // before every login
)

// LoginForwarding is what the account's own bot hears of logins. A bot that greets
// or tags new followers needs to hear of those too that followed by a login's code.
type LoginForwarding string

const (
	LoginsKept     LoginForwarding = "off"    // nothing
	LoginsCopied   LoginForwarding = "copy"   // every follow and scan; its answer is ignored
	LoginsAnswered LoginForwarding = "answer" // likewise; its answer is used where the webhook has none
)

// account is an Account ready to serve.
type account struct {
	Account
	handler     *Handler
	receiver    *wechat.Receiver
	phrases     map[Phrase]string
	upstreamBot *upstream      // nil: none
	logKey      wechat.Secret  // of pseudonyms; the Token, which all replicas have
	notices     loglimit.Keyed // by reason
}

func newAccount(h *Handler, cfg Account) (*account, error) {
	if cfg.Name == "" {
		cfg.Name = DefaultAccount
	}
	if cfg.AppID == "" {
		return nil, errors.New("no AppID")
	}
	receiver, err := wechat.NewReceiver(&wechat.ReceiverOptions{
		AppID: cfg.AppID, OriginalID: cfg.OriginalID, Mode: cfg.Mode,
		Token: cfg.Token, PreviousToken: cfg.PreviousToken,
		AESKey: cfg.AESKey, PreviousAESKey: cfg.PreviousAESKey,
	})
	if err != nil {
		return nil, err
	}
	phrases, err := newPhrasebook(cfg)
	if err != nil {
		return nil, err
	}
	switch cfg.Confirm {
	case "", ConfirmOff, ConfirmRisk, ConfirmAlways:
	default:
		return nil, fmt.Errorf("unknown confirm policy %q (off, risk or always)", cfg.Confirm)
	}
	switch cfg.ForwardLogins {
	case "":
		cfg.ForwardLogins = LoginsKept
	case LoginsKept, LoginsCopied, LoginsAnswered:
	default:
		return nil, fmt.Errorf("unknown forwarding of logins %q (off, copy or answer)", cfg.ForwardLogins)
	}
	if cfg.ForwardLogins != LoginsKept && cfg.Upstream == "" {
		return nil, errors.New("forwarding logins needs an upstream")
	}
	switch cfg.IPPolicy {
	case "":
		cfg.IPPolicy = IPOff
	case IPOff, IPLog, IPEnforce:
	default:
		return nil, fmt.Errorf("unknown IP policy %q (off, log or enforce)", cfg.IPPolicy)
	}
	if len(cfg.CodeWords) > 0 && h.options.ChatCodes == nil {
		return nil, errors.New("words for codes need Options.ChatCodes")
	}
	if cfg.IPPolicy != IPOff && cfg.IPs == nil {
		return nil, errors.New("an IP policy needs an IP list")
	}
	a := &account{Account: cfg, handler: h, receiver: receiver, phrases: phrases, logKey: cfg.Token, notices: loglimit.Keyed{Every: noticeTime}}
	if cfg.Upstream != "" {
		u, err := url.Parse(cfg.Upstream)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("the upstream is no http(s) URL") // not echoed: it may hold a key
		}
		a.upstreamBot = newUpstream(u, h.options.Limits)
	}
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		a.verifyURL(w, r)
	case http.MethodPost:
		a.servePush(w, r)
	default:
		w.Header().Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}
