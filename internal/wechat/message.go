package wechat

import (
	"strings"
	"time"
)

// Message is a push, parsed: an event or something a person sent. Fields that
// the kind does not have are empty. Values are as signed, less the characters that
// XML forbids.
type Message struct {
	To       string    // the account's original id, gh_…
	From     string    // the person's openid; WeChat's own id in authorization events
	Created  time.Time // CreateTime, in seconds; repeats of a push carry the same
	Type     string    // MsgType: event, text, image, …
	Event    string    // as sent; compare with Is
	EventKey string
	Ticket   string // the scanned QR code's ticket
	MsgID    string
	Content  string // of a text
	OpenID   string // the person, in authorization events

	encrypt string // of an outer envelope
}

// The events this project acts on.
const (
	EventSubscribe           = "subscribe"
	EventScan                = "SCAN"
	EventUnsubscribe         = "unsubscribe"
	EventAuthorizationRevoke = "user_authorization_revoke"
	EventAuthorizationCancel = "user_authorization_cancellation"
)

// Is reports whether m is the named event. Case does not matter: "scan" has
// been seen in the wild.
func (m *Message) Is(event string) bool {
	return m.IsEvent() && strings.EqualFold(m.Event, event)
}

// IsEvent reports whether m is an event rather than something a person sent.
func (m *Message) IsEvent() bool { return strings.EqualFold(m.Type, "event") }

// IsText reports whether m is a text a person sent.
func (m *Message) IsText() bool { return strings.EqualFold(m.Type, "text") }

// Person is the openid that m is about, "" when it is about no person. In
// authorization events the sender is the platform and the person stands in
// OpenID.
func (m *Message) Person() string {
	if m.Is(EventAuthorizationRevoke) || m.Is(EventAuthorizationCancel) {
		return m.OpenID
	}
	return m.From
}

// Scene is the scene of the QR code that a follow or a scan came from; ok is
// false for every other push, and for a follow that came from elsewhere.
func (m *Message) Scene() (scene string, ok bool) {
	switch {
	case m.Is(EventSubscribe):
		// Exactly one prefix is WeChat's; without it the key is something else
		// ("last_trade_no_…": followed after a payment).
		scene, ok = strings.CutPrefix(m.EventKey, "qrscene_")
	case m.Is(EventScan):
		scene, ok = m.EventKey, true
	}
	return scene, ok && scene != "" && len(scene) <= 64
}

// ValidOpenID reports whether s has the shape of an openid. Anything else never
// becomes a person.
func ValidOpenID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
