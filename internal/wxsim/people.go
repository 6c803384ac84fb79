package wxsim

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxPersonName = 64      // characters
	maxPeople     = 100_000 // the oldest are forgotten beyond it, and meet every account anew
	maxChatLines  = 100     // per person and account; older lines go
)

// relation is one person as one account knows them.
type relation struct {
	person  string
	account *account
	openid  string

	follows bool
	since   time.Time
	source  string // subscribe_scene of the follow
	scene   string // scene of the follow, not of the last scan
	pending *qrCode

	pushes int // so far: what faults are drawn by
	chat   []chatLine
	window window
}

// chatLine is one bubble of the phone. From is "person", "account" or "system".
type chatLine struct {
	At    time.Time `json:"at"`
	From  string    `json:"from"`
	Kind  string    `json:"kind"` // text, news, image, event, fault, custom
	Text  string    `json:"text"`
	Title string    `json:"title,omitempty"`
	URL   string    `json:"url,omitempty"`
}

// window is how many customer-service messages an interaction opened, and for
// how long (docs/wechat.md §1.5).
type window struct {
	until time.Time
	left  int
}

func (r *relation) say(line chatLine) {
	r.chat = append(r.chat, line)
	if over := len(r.chat) - maxChatLines; over > 0 {
		r.chat = append(r.chat[:0], r.chat[over:]...)
	}
}

// openWindow lets the account write: three messages in a minute after a follow,
// a scan or a menu click, five in 48 hours after a text.
func (r *relation) openWindow(now time.Time, life time.Duration, messages int) {
	if end := now.Add(life); end.After(r.window.until) || r.window.left == 0 {
		r.window = window{until: end, left: messages}
	}
}

// checkPerson accepts any name a human could have typed.
func checkPerson(name string) error {
	switch {
	case name == "":
		return errors.New("person is missing")
	case !utf8.ValidString(name):
		return errors.New("person is not valid UTF-8")
	case utf8.RuneCountInString(name) > maxPersonName:
		return errors.New("person is longer than 64 characters")
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return errors.New("person has a character that cannot be shown")
		}
	}
	return nil
}

// stableID derives an identifier that is the same in every run: tests and
// restarts meet the same person again.
func stableID(length int, parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))[:length]
}

// openIDOf is 28 characters, the first six alike within an account as on the
// platform.
func openIDOf(appid, person string) string {
	return "o" + stableID(5, "account", appid) + stableID(22, "openid", appid, person)
}

// unionIDOf is one per person and open platform account.
func unionIDOf(group, person string) string {
	return "o6" + stableID(26, "unionid", group, person)
}

// relate finds or makes the relation of person and account. Holds s.mu.
func (s *Sim) relate(a *account, person string) *relation {
	openid := openIDOf(a.AppID, person)
	if r := a.byOpenID[openid]; r != nil {
		return r
	}
	if len(s.people) >= maxPeople {
		oldest := s.people[0]
		delete(oldest.account.byOpenID, oldest.openid)
		s.people[0] = nil
		s.people = s.people[1:]
	}
	r := &relation{person: person, account: a, openid: openid}
	a.byOpenID[openid] = r
	s.people = append(s.people, r)
	s.changed()
	return r
}
