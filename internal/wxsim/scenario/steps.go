package scenario

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/goccy/go-yaml"
)

// Script is a scenario file, YAML or JSON.
//
//	name: two people, one code
//	steps:
//	  - open: desk            # a tab connects
//	  - code: desk            # and asks for a QR code
//	  - scan: {person: ann, tab: desk, follow: true}
//	  - token: {tab: desk, person: ann}
//	  - scan: {person: bob, tab: desk, follow: true}
//	  - nothing: {tab: desk, within: 500ms}
type Script struct {
	Name  string `yaml:"name"`
	Seed  uint64 `yaml:"seed"`
	Needs string `yaml:"needs"` // of the gateway, in words; "all" leaves such a script out
	Steps []Step `yaml:"steps"`
}

// Step is one thing that happens, or one thing that is expected. Exactly one
// field is set.
type Step struct {
	Open      string     `yaml:"open,omitempty"`      // a tab connects
	Challenge string     `yaml:"challenge,omitempty"` // from now on this tab asks with a PKCE challenge
	Typed     string     `yaml:"typed,omitempty"`     // … and can show a code to type
	Code      string     `yaml:"code,omitempty"`      // the tab asks for a code
	Refresh   string     `yaml:"refresh,omitempty"`   // … for another one
	Cancel    string     `yaml:"cancel,omitempty"`    // the tab gives its ticket up
	Cut       string     `yaml:"cut,omitempty"`       // the tab's connection is lost
	Resume    string     `yaml:"resume,omitempty"`    // … and comes back
	Close     string     `yaml:"close,omitempty"`     // the tab is closed for good
	Scan      *ScanStep  `yaml:"scan,omitempty"`
	Follow    *PhoneStep `yaml:"follow,omitempty"`
	Unfollow  *PhoneStep `yaml:"unfollow,omitempty"`
	Text      *PhoneStep `yaml:"text,omitempty"`
	Message   *PhoneStep `yaml:"message,omitempty"`
	Event     *PhoneStep `yaml:"event,omitempty"`
	Number    *ScanStep  `yaml:"number,omitempty"` // the person answers with the number on the tab
	Faults    []rule     `yaml:"faults,omitempty"` // replaces all rules
	Heal      bool       `yaml:"heal,omitempty"`   // removes all rules
	Advance   string     `yaml:"advance,omitempty"`
	Wait      string     `yaml:"wait,omitempty"`

	Account    map[string]any `yaml:"account,omitempty"`  // changes the first account, as PATCH /sim/accounts does
	Settings   map[string]any `yaml:"settings,omitempty"` // … the platform, as PATCH /sim/settings does
	KillTokens bool           `yaml:"killTokens,omitempty"`

	Token   *TokenStep   `yaml:"token,omitempty"`
	State   *StateStep   `yaml:"state,omitempty"`
	Nothing *NothingStep `yaml:"nothing,omitempty"`
	Ended   *TabStep     `yaml:"ended,omitempty"`
	Refused *RefusedStep `yaml:"refused,omitempty"`
}

// ScanStep lets a person scan the code that a tab shows, or showed.
type ScanStep struct {
	Person string `yaml:"person"`
	Tab    string `yaml:"tab"`
	Follow bool   `yaml:"follow"`
	Old    bool   `yaml:"old"`  // the code before the last refresh
	Gone   bool   `yaml:"gone"` // the platform is expected not to know it
	Pushes *int   `yaml:"pushes"`
	Status *int   `yaml:"status"` // of every answer to the push
	Wrong  bool   `yaml:"wrong"`  // of number: another one
}

// RefusedStep asks for a code and expects to be refused.
type RefusedStep struct {
	Tab  string `yaml:"tab"`
	Code string `yaml:"code"` // of docs/login.md §2
}

// PhoneStep is another thing a person does.
type PhoneStep struct {
	Person string `yaml:"person"`
	Text   string `yaml:"text"`
	Type   string `yaml:"type"`   // of message: image, voice, …
	Event  string `yaml:"event"`  // of event
	Status *int   `yaml:"status"` // of every answer to the push
}

// TokenStep expects the tab to receive the person's token.
type TokenStep struct {
	Tab    string `yaml:"tab"`
	Person string `yaml:"person"`
	Within string `yaml:"within"` // default 10s
	Same   bool   `yaml:"same"`   // with the id of the last one
	NoAck  bool   `yaml:"noAck"`  // the connection is lost instead of the ack
}

// StateStep expects a state of the tab's ticket.
type StateStep struct {
	Tab    string `yaml:"tab"`
	Is     string `yaml:"is"`
	Within string `yaml:"within"`
}

// NothingStep expects that no token comes.
type NothingStep struct {
	Tab    string `yaml:"tab"`
	Within string `yaml:"within"` // default 500ms
}

// TabStep expects that the server disconnects the tab.
type TabStep struct {
	Tab    string `yaml:"tab"`
	Within string `yaml:"within"`
}

// maxScript bounds a scenario file.
const maxScript = 1 << 20

// ReadScript parses a scenario file and checks every step of it.
func ReadScript(r io.Reader) (Script, error) {
	var s Script
	data, err := io.ReadAll(io.LimitReader(r, maxScript))
	if err != nil {
		return s, err
	}
	if err := yaml.UnmarshalWithOptions(data, &s, yaml.Strict()); err != nil {
		return s, fmt.Errorf("scenario: %w", err)
	}
	if len(s.Steps) == 0 {
		return s, errors.New("scenario: the file has no steps")
	}
	for i, step := range s.Steps {
		if _, err := step.action(); err != nil {
			return s, fmt.Errorf("scenario: step %d: %w", i+1, err)
		}
	}
	return s, nil
}

// action is what the one set field of a step does.
func (s Step) action() (func(*player) error, error) {
	var found []func(*player) error
	add := func(set bool, run func(*player) error) {
		if set {
			found = append(found, run)
		}
	}
	add(s.Open != "", func(p *player) error { return p.open(s.Open) })
	add(s.Challenge != "", func(p *player) error { return p.challenge(s.Challenge) })
	add(s.Typed != "", func(p *player) error { return p.typed(s.Typed) })
	add(s.Code != "", func(p *player) error { return p.code(s.Code, false) })
	add(s.Refresh != "", func(p *player) error { return p.code(s.Refresh, true) })
	add(s.Cancel != "", func(p *player) error { return p.cancel(s.Cancel) })
	add(s.Cut != "", func(p *player) error { return p.cut(s.Cut) })
	add(s.Resume != "", func(p *player) error { return p.resume(s.Resume) })
	add(s.Close != "", func(p *player) error { return p.cut(s.Close) })
	add(s.Scan != nil, func(p *player) error { return p.scan(*s.Scan) })
	add(s.Follow != nil, func(p *player) error { return p.phone("follow", *s.Follow) })
	add(s.Unfollow != nil, func(p *player) error { return p.phone("unfollow", *s.Unfollow) })
	add(s.Text != nil, func(p *player) error { return p.phone("text", *s.Text) })
	add(s.Message != nil, func(p *player) error { return p.phone("message", *s.Message) })
	add(s.Event != nil, func(p *player) error { return p.phone("event", *s.Event) })
	add(s.Number != nil, func(p *player) error { return p.number(*s.Number) })
	add(s.Account != nil, func(p *player) error { return p.people.patchAccount(p.ctx, s.Account) })
	add(s.Settings != nil, func(p *player) error { return p.people.patch(p.ctx, "settings", s.Settings) })
	add(s.KillTokens, func(p *player) error { return p.people.killTokens(p.ctx) })
	add(s.Refused != nil, func(p *player) error { return p.refused(*s.Refused) })
	add(s.Faults != nil, func(p *player) error { return p.people.setFaults(p.ctx, s.Faults, p.script.Seed) })
	add(s.Heal, func(p *player) error { return p.people.setFaults(p.ctx, []rule{}, 0) })
	add(s.Advance != "", func(p *player) error { return p.people.advance(p.ctx, s.Advance) })
	add(s.Wait != "", func(p *player) error { return p.wait(s.Wait) })
	add(s.Token != nil, func(p *player) error { return p.token(*s.Token) })
	add(s.State != nil, func(p *player) error { return p.state(*s.State) })
	add(s.Nothing != nil, func(p *player) error { return p.nothing(*s.Nothing) })
	add(s.Ended != nil, func(p *player) error { return p.ended(*s.Ended) })
	if len(found) != 1 {
		return nil, fmt.Errorf("has %d actions, not one", len(found))
	}
	return found[0], s.checkTimes()
}

func (s Step) checkTimes() error {
	times := []string{s.Wait}
	if s.Token != nil {
		times = append(times, s.Token.Within)
	}
	if s.State != nil {
		times = append(times, s.State.Within)
	}
	if s.Nothing != nil {
		times = append(times, s.Nothing.Within)
	}
	if s.Ended != nil {
		times = append(times, s.Ended.Within)
	}
	for _, t := range times {
		if t == "" {
			continue
		}
		if _, err := time.ParseDuration(t); err != nil {
			return err
		}
	}
	return nil
}
