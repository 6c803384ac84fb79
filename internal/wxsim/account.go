package wxsim

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Mode is how pushes of an account are protected (docs/wechat.md §2.3).
type Mode string

// The three modes of the account's message push settings.
const (
	Plain  Mode = "plain"
	Compat Mode = "compat"
	Secure Mode = "secure"
)

// Kind decides what an account may do (docs/wechat.md §0).
type Kind string

// The kinds of account that differ for a login.
const (
	Service      Kind = "service"      // verified service account: scene QR codes allowed
	Subscription Kind = "subscription" // no scene QR codes: 48001
	Sandbox      Kind = "sandbox"      // test account: plain mode only, smaller quotas
)

// Account is one Official Account of the simulated platform.
// AppID, Secret, Token and OriginalID are required, AESKey too unless the mode
// is plain; the zero value of every other field is WeChat's ordinary case.
type Account struct {
	AppID      string // "wx" and 16 hex digits
	Secret     string // AppSecret, the password of the token calls
	OriginalID string // "gh_" and 12 hex digits: ToUserName of every push
	Name       string // what a person reads; default "Posthouse"

	Token          string // signs pushes, 3 to 32 letters and digits
	AESKey         string // EncodingAESKey, 43 characters
	PreviousAESKey string // what the fault "previous_key" encrypts with
	Mode           Mode   // default Secure
	Kind           Kind   // default Service

	Callbacks  []string         // push URLs, used in turn; none: those of SetCallbacks
	UnionGroup string           // open platform account; empty: no unionid
	AllowIPs   []string         // token calls from elsewhere are refused with 40164; empty: any
	Limits     map[string]Limit // by API path, instead of the platform's

	Frozen bool // the secret was frozen by its owner: 40243
	Lapsed bool // the yearly verification ran out: 48001
	Banned bool // the QR API was taken away: 48004

	// SameNonceOnRetry repeats timestamp and nonce when a push is delivered
	// again. WeChat does not document which it does.
	SameNonceOnRetry bool
	// RetryOn5xx treats a 5xx answer as silence, to be delivered again, and
	// not as an illegal answer. WeChat does not document which it does.
	RetryOn5xx bool
	// DropLateScene makes a follow that was begun by a code which has expired
	// meanwhile arrive without its scene. Not documented either.
	DropLateScene bool
	// SceneWins is the field that counts when a request for a code carries both
	// scene_id and scene_str; default ByAction. Not documented either.
	SceneWins SceneField
}

// SceneField names one of the two fields that a scene may come in.
type SceneField string

// The field that counts when both are sent: the one that the action name asks for,
// or one of them whatever the action.
const (
	ByAction SceneField = "action"
	ByID     SceneField = "scene_id"
	ByString SceneField = "scene_str"
)

// Limit bounds calls of one API. Zero leaves the platform's value, a negative
// number means none.
type Limit struct {
	Daily  int `json:"daily,omitempty"`
	Minute int `json:"minute,omitempty"`
}

// DevAccount is the invented account of local development: the gateway uses it
// when no WeChat account is configured, and [New] when it is given none. Its
// secrets are public on purpose and open nothing but a simulator.
func DevAccount() Account {
	return Account{
		AppID:      "wx0d0e5b1a7c2f4e68",
		Secret:     "5d1c0ffee5d1c0ffee5d1c0ffee5d1c0",
		OriginalID: "gh_0d0e5b1a7c2f",
		Name:       "Posthouse",
		Token:      "posthouseLocalToken",
		AESKey:     "Y8mK2vQ7sB4tW9zN1cL6pR3xF5hJ0gD8aE2uU7iO4kA",
		Mode:       Secure,
		Kind:       Service,
		UnionGroup: "posthouse-local",
	}
}

var (
	appIDShape      = regexp.MustCompile(`^wx[0-9a-f]{16}$`)
	originalIDShape = regexp.MustCompile(`^gh_[0-9a-f]{12}$`)
	pushTokenShape  = regexp.MustCompile(`^[A-Za-z0-9]{3,32}$`)
)

// withDefaults fills in the ordinary case and checks the rest.
func (a Account) withDefaults() (Account, error) {
	if a.Name == "" {
		a.Name = "Posthouse"
	}
	if a.Kind == "" {
		a.Kind = Service
	}
	a.SceneWins = or(a.SceneWins, ByAction)
	if a.Mode == "" {
		a.Mode = Secure
		if a.Kind == Sandbox {
			a.Mode = Plain
		}
	}
	switch {
	case !appIDShape.MatchString(a.AppID):
		return a, errors.New("wxsim: an appid is \"wx\" and 16 hex digits")
	case !originalIDShape.MatchString(a.OriginalID):
		return a, errors.New("wxsim: an original id is \"gh_\" and 12 hex digits")
	case !pushTokenShape.MatchString(a.Token):
		return a, errors.New("wxsim: a push token is 3 to 32 letters and digits")
	case a.Secret == "":
		return a, errors.New("wxsim: an account needs a secret")
	case a.Kind != Service && a.Kind != Subscription && a.Kind != Sandbox:
		return a, fmt.Errorf("wxsim: unknown account kind %q (service, subscription, sandbox)", a.Kind)
	case a.Mode != Plain && a.Mode != Compat && a.Mode != Secure:
		return a, fmt.Errorf("wxsim: unknown push mode %q (plain, compat, secure)", a.Mode)
	case a.SceneWins != ByAction && a.SceneWins != ByID && a.SceneWins != ByString:
		return a, fmt.Errorf("wxsim: unknown scene field %q (action, scene_id, scene_str)", a.SceneWins)
	case a.Kind == Sandbox && a.Mode != Plain:
		return a, errors.New("wxsim: a sandbox account has the plain mode only")
	}
	for _, key := range []string{a.AESKey, a.PreviousAESKey} {
		if key == "" && (key != a.AESKey || a.Mode == Plain) {
			continue
		}
		if _, err := parseAESKey(key); err != nil {
			return a, err
		}
	}
	for _, u := range a.Callbacks {
		if err := checkCallback(u); err != nil {
			return a, err
		}
	}
	return a, nil
}

// account is an Account and its life on the platform. Guarded by Sim.mu.
type account struct {
	Account

	tokens   tokens
	usage    map[string]*usage // by API path
	clears   monthly
	byOpenID map[string]*relation
	byScene  map[string]*qrCode // the latest code of each scene
	failures []time.Time        // failed pushes inside the MarkFail window
	blocked  time.Time          // no pushes before this moment (MarkFail)
	held     chan struct{}      // closed when the push after a held one was answered
}

// snapshot is the account's settings, safe to use without the lock.
func (a *account) snapshot() Account {
	return a.Account // slices and maps are replaced, never changed in place
}
