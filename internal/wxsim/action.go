package wxsim

import (
	"errors"
	"strconv"
	"time"
)

// Actions of people on their phones. Each action changes the platform under the
// lock, then pushes without it.

// Outcome is what a person's action came to: the event that was pushed, if any,
// and how the callback answered. The headless routes answer it.
type Outcome struct {
	Account    string     `json:"account"`
	Person     string     `json:"person"`
	OpenID     string     `json:"openid"`
	Event      string     `json:"event"` // empty: nothing was pushed
	Deliveries []Delivery `json:"deliveries"`
}

var (
	errUnknownCode = errors.New("unknown code")
	errExpiredCode = errors.New("expired code")
	errNoAccount   = errors.New("unknown account")
)

// scan is the camera: a follower causes SCAN, a stranger sees the follow page
// and causes nothing until he follows (docs/wechat.md §0 item 2).
func (s *Sim) scan(in scanBody) (Outcome, error) {
	s.mu.Lock()
	var only *account
	if in.Account != "" {
		if only = s.account(in.Account); only == nil {
			s.mu.Unlock()
			return Outcome{}, errNoAccount
		}
	}
	c := s.findCode(in.Ticket, string(in.Scene), in.URL, only)
	now := s.clock.now()
	if c == nil || c.expired(now) {
		s.mu.Unlock()
		if c == nil {
			return Outcome{}, errUnknownCode
		}
		return Outcome{}, errExpiredCode
	}
	r := s.relate(c.account, in.Person)
	c.scans++
	r.pending = c
	s.changed()
	var steps []happening
	switch {
	case r.follows:
		steps = append(steps, s.scanned(r, c))
	case in.Follow:
		steps = append(steps, s.followed(r))
	}
	if len(steps) == 1 && s.wantsBoth(r) {
		steps = append(steps, s.scanned(r, c))
	}
	s.mu.Unlock()
	return s.tellAll(r, steps), nil
}

func (s *Sim) tellAll(r *relation, steps []happening) Outcome {
	out := Outcome{Account: r.account.AppID, Person: r.person, OpenID: r.openid, Deliveries: []Delivery{}}
	for i, h := range steps {
		if i == 0 {
			out.Event = h.event
		}
		for _, d := range s.tell(h) {
			d.Query, d.Sent = "", "" // in the log
			out.Deliveries = append(out.Deliveries, d)
		}
	}
	return out
}

// scanned is the SCAN event of a follower. Holds s.mu.
func (s *Sim) scanned(r *relation, c *qrCode) happening {
	r.pending = nil
	r.openWindow(s.clock.now(), time.Minute, 3)
	r.say(chatLine{At: time.Now(), From: "person", Kind: "event", Text: "SCAN " + c.scene})
	return s.happens(r, "SCAN", c.scene, c.ticket)
}

// followed is the subscribe event, with the scene of the code whose follow page
// the person had open. Holds s.mu.
func (s *Sim) followed(r *relation) happening {
	c := r.pending
	r.pending = nil
	now := s.clock.now()
	r.follows, r.since, r.source, r.scene = true, now, "ADD_SCENE_SEARCH", ""
	r.openWindow(now, time.Minute, 3)
	r.say(chatLine{At: time.Now(), From: "person", Kind: "event", Text: "subscribe"})
	if c == nil || (c.expired(now) && r.account.DropLateScene) {
		return s.happens(r, "subscribe", "", "")
	}
	r.source, r.scene = "ADD_SCENE_QR_CODE", c.scene
	return s.happens(r, "subscribe", "qrscene_"+c.scene, c.ticket)
}

// follow taps the button of the follow page. A person who follows already does nothing.
// The follow page is the one of the code named here, else of the last scan.
func (s *Sim) follow(in scanBody) (Outcome, error) {
	if in.Ticket != "" || in.Scene != "" || in.URL != "" {
		in.Follow = true
		return s.scan(in)
	}
	if in.Account == "" {
		in.Account = s.followPage(in.Person)
	}
	return s.act(in.personBody, func(r *relation) []happening {
		if r.follows {
			return nil
		}
		return []happening{s.followed(r)}
	})
}

// followPage is the account whose follow page the person has open, if any.
func (s *Sim) followPage(person string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		if r := a.byOpenID[openIDOf(a.AppID, person)]; r != nil && r.pending != nil {
			return a.AppID
		}
	}
	return ""
}

func (s *Sim) unfollow(in personBody) (Outcome, error) {
	return s.act(in, func(r *relation) []happening {
		if !r.follows {
			return nil
		}
		r.follows, r.pending, r.window = false, nil, window{}
		r.say(chatLine{At: time.Now(), From: "person", Kind: "event", Text: "unsubscribe"})
		return []happening{s.happens(r, "unsubscribe", "", "")}
	})
}

// text sends a message. Strangers may write too: WeChat lets them.
func (s *Sim) text(in textBody) (Outcome, error) {
	return s.act(in.personBody, func(r *relation) []happening {
		r.openWindow(s.clock.now(), 48*time.Hour, 5)
		r.say(chatLine{At: time.Now(), From: "person", Kind: "text", Text: in.content()})
		h := s.happens(r, "text", "", "")
		h.message.kind = "text"
		h.message.fields = []field{{Name: "Content", Value: in.content()}, s.newMsgID()}
		return []happening{h}
	})
}

// menu taps an entry of the account's menu: a key (CLICK) or a link (VIEW).
func (s *Sim) menu(in menuBody) (Outcome, error) {
	return s.act(in.personBody, func(r *relation) []happening {
		name, key := "CLICK", in.Key
		if in.URL != "" {
			name, key = "VIEW", in.URL
		}
		r.openWindow(s.clock.now(), time.Minute, 3)
		r.say(chatLine{At: time.Now(), From: "person", Kind: "event", Text: name + " " + key})
		h := s.happens(r, name, key, "")
		if name == "VIEW" {
			h.message.fields = append(h.message.fields, field{Name: "MenuId", Value: "412345678", Bare: true})
		}
		return []happening{h}
	})
}

// location is the report of a phone that allows it.
func (s *Sim) location(in locationBody) (Outcome, error) {
	return s.act(in.personBody, func(r *relation) []happening {
		number := func(f float64) string { return strconv.FormatFloat(f, 'f', 6, 64) }
		r.say(chatLine{At: time.Now(), From: "person", Kind: "event", Text: "LOCATION"})
		h := s.happens(r, "LOCATION", "", "")
		h.message.fields = event("LOCATION",
			field{"Latitude", number(in.Latitude), true}, field{"Longitude", number(in.Longitude), true},
			field{"Precision", number(or(in.Precision, 100)), true})
		return []happening{h}
	})
}

// anyEvent pushes an event the simulator has no button for.
func (s *Sim) anyEvent(in eventBody) (Outcome, error) {
	return s.act(in.personBody, func(r *relation) []happening {
		h := s.happens(r, in.Event, "", "")
		h.message.fields = event(in.Event)
		for _, f := range in.Fields {
			h.message.fields = append(h.message.fields, field{f.Name, f.Value, f.Number})
		}
		if len(in.Fields) == 0 {
			defaultEvent(&h)
		}
		return []happening{h}
	})
}

// act finds the person and account, lets do change them and pushes the result.
func (s *Sim) act(in personBody, do func(*relation) []happening) (Outcome, error) {
	s.mu.Lock()
	a := s.account(in.Account)
	if a == nil {
		s.mu.Unlock()
		return Outcome{}, errNoAccount
	}
	r := s.relate(a, in.Person)
	steps := do(r)
	s.changed()
	s.mu.Unlock()
	return s.tellAll(r, steps), nil
}

// happens builds an event of r. Holds s.mu.
func (s *Sim) happens(r *relation, name, key, ticket string) happening {
	h := happening{
		relation: r, account: r.account.snapshot(), event: name, key: key, ticket: ticket,
		message: message{to: r.account.OriginalID, from: r.openid, created: time.Now().Unix(), kind: "event"},
	}
	fields := event(name, field{Name: "EventKey", Value: key})
	if ticket != "" {
		fields = append(fields, field{Name: "Ticket", Value: ticket})
	}
	h.message.fields = fields
	return h
}
