package wxsim

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"posthouse/internal/sleep"
)

const (
	// maxReply is how much of an answer is read; a text reply has 2 KiB.
	maxReply = 64 << 10
	// maxLoggedBody bounds each body in the log.
	maxLoggedBody = 8 << 10
	// maxLate bounds copies and reordered pushes that wait in the background.
	maxLate = 20_000

	faultText = "该公众号提供的服务出现故障，请稍后再试"
)

// Delivery is one attempt to bring a push to a callback.
type Delivery struct {
	URL     string    `json:"url"`
	Status  int       `json:"status"` // 0: no answer
	Body    string    `json:"body"`   // as it came
	MS      int64     `json:"ms"`
	Attempt int       `json:"attempt"`
	Verdict string    `json:"verdict"`
	At      time.Time `json:"at"`
	Query   string    `json:"query,omitempty"` // of the push
	Sent    string    `json:"sent,omitempty"`  // body of the push
}

// Push is one event or message and what became of it.
type Push struct {
	ID         int        `json:"id"`
	At         time.Time  `json:"at"`
	Account    string     `json:"account"`
	Person     string     `json:"person"`
	OpenID     string     `json:"openid"`
	Event      string     `json:"event"` // or the kind of message
	Key        string     `json:"key,omitempty"`
	Ticket     string     `json:"ticket,omitempty"`
	Mode       Mode       `json:"mode"`
	Message    string     `json:"message"` // before encryption
	Faults     []string   `json:"faults,omitempty"`
	CopyOf     int        `json:"copyOf,omitempty"` // a duplicate of that push
	Deliveries []Delivery `json:"deliveries"`
	Verdict    string     `json:"verdict"` // of the last delivery
	Reply      string     `json:"reply,omitempty"`
}

// happening is something a person did, about to be pushed.
type happening struct {
	relation *relation
	account  Account // settings as they were when it happened
	event    string  // what rules select by
	key      string
	ticket   string
	message  message
}

// tell pushes what happened and returns the log's copies of every delivery made
// before it returns: its own, and those of duplicates without a delay.
func (s *Sim) tell(h happening) []Delivery {
	s.mu.Lock()
	p := s.planPush(h.relation, h.event)
	release := s.takeHeld(h)
	s.mu.Unlock()

	if r, ok := p.rule(Delay); ok {
		_ = sleep.For(s.life, time.Duration(r.MS)*time.Millisecond)
	}
	if p.has(Reorder) {
		s.holdBack(h)
	}
	if release != nil {
		defer close(release)
	}
	record := s.record(h, p, 0)
	if p.has(Drop) {
		s.finish(record, h, "dropped by a rule", answer{}, false)
		return nil
	}
	copies := s.duplicate(h, p, record.ID)
	deliveries := s.deliver(record, h, p)
	for _, c := range copies {
		deliveries = append(deliveries, <-c...)
	}
	return deliveries
}

// holdBack waits until the account's next push was answered, at most a retry
// pause long: alone in the queue there is nothing to change places with.
func (s *Sim) holdBack(h happening) {
	held := make(chan struct{})
	s.mu.Lock()
	a := h.relation.account
	if a.held != nil {
		s.mu.Unlock()
		return // one at a time: this is then the next push of the other
	}
	a.held = held
	s.mu.Unlock()

	timer := time.NewTimer(s.habits().retryPause)
	defer timer.Stop()
	select {
	case <-held:
	case <-timer.C:
	case <-s.life.Done():
	}
	s.mu.Lock()
	if a.held == held {
		a.held = nil
	}
	s.mu.Unlock()
}

// takeHeld is the other half: the push that takes the held push's turn must close the
// channel when it is through. Holds s.mu.
func (s *Sim) takeHeld(h happening) chan struct{} {
	held := h.relation.account.held
	h.relation.account.held = nil
	return held
}

// duplicate starts the copies a rule asks for. Copies without a delay are
// waited for through the returned channels; the others belong to s.tasks.
func (s *Sim) duplicate(h happening, p plan, of int) []chan []Delivery {
	r, ok := p.rule(Duplicate)
	if !ok {
		return nil
	}
	rest := slices.DeleteFunc(slices.Clone(p), func(r Rule) bool { return r.Kind == Duplicate })
	var now []chan []Delivery
	for range or(r.Count, 1) {
		if r.MS == 0 {
			done := make(chan []Delivery, 1)
			now = append(now, done)
			s.tasks.Go(func() { done <- s.deliver(s.record(h, rest, of), h, rest) })
			continue
		}
		s.mu.Lock()
		room := s.late < maxLate
		if room {
			s.late++
		}
		s.mu.Unlock()
		if !room {
			continue
		}
		s.tasks.Go(func() {
			if sleep.For(s.life, time.Duration(r.MS)*time.Millisecond) == nil {
				s.deliver(s.record(h, rest, of), h, rest)
			}
			s.mu.Lock()
			s.late--
			s.mu.Unlock()
		})
	}
	return now
}

// record opens the log entry of a push.
func (s *Sim) record(h happening, p plan, copyOf int) *Push {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushCount++
	s.tally.Pushes++
	record := &Push{
		ID: s.pushCount, At: time.Now(), Account: h.account.AppID, Person: h.relation.person,
		OpenID: h.relation.openid, Event: h.event, Key: h.key, Ticket: h.ticket, Mode: h.account.Mode,
		Message: shorten(h.message.xml()), Faults: p.names(), CopyOf: copyOf,
		Deliveries: []Delivery{}, Verdict: "on its way",
	}
	s.pushes = append(s.pushes, record)
	if over := len(s.pushes) - s.opts.LogSize; over > 0 {
		clear(s.pushes[:over])
		s.pushes = s.pushes[over:]
	}
	s.changed()
	return record
}

// deliver brings the push to a callback: up to three times, five seconds each.
func (s *Sim) deliver(record *Push, h happening, p plan) []Delivery {
	if s.blocked(h) {
		s.finish(record, h, "not sent: too many failures, pushes stop for a minute", answer{}, false)
		return nil
	}
	habits := s.habits()
	var all []Delivery
	var mark sealing
	verdict, said, legal := "no callback URL", answer{}, false
	for attempt := 1; attempt <= habits.deliveries; attempt++ {
		if attempt == 1 || !h.account.SameNonceOnRetry {
			mark = s.seals()
		}
		began := time.Now()
		made, got, again := s.attempt(record, h, h.account.wrap(h.message, h.relation.openid, mark, p), p, attempt)
		if len(made) == 0 {
			break
		}
		all = append(all, made...)
		verdict, said, legal = made[len(made)-1].Verdict, got, got.kind != ""
		if !legal {
			s.countFailure(h)
		}
		if !again || attempt == habits.deliveries ||
			sleep.For(s.life, time.Until(began.Add(habits.retryPause))) != nil {
			break
		}
	}
	s.finish(record, h, verdict, said, legal || len(all) == 0)
	return all
}

// seals makes the time and randomness of one delivery. The wall clock, not the
// advanced one: see clock.
func (s *Sim) seals() sealing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sealing{timestamp: time.Now().Unix(), nonce: s.rand.digits(10), random16: s.rand.text(16)}
}

// attempt is one delivery. A refused connection is passed on to the next
// callback at once, as the balancer in front of replicas would; all of that is
// one attempt. again tells that WeChat would deliver once more.
func (s *Sim) attempt(record *Push, h happening, e envelope, p plan, n int) (made []Delivery, got answer, again bool) {
	for _, callback := range s.route(h, p) {
		d, body, err := s.post(e, callback)
		d.Attempt = n
		outcome := illegalAnswer
		switch {
		case err != nil:
			outcome = outcomeOf(err)
			d.Verdict, again = failureWord(err), true
		case d.Status >= 500 && h.account.RetryOn5xx:
			d.Verdict, again = "HTTP "+strconv.Itoa(d.Status), true
		case d.Status != http.StatusOK:
			d.Verdict, again = "illegal answer: HTTP "+strconv.Itoa(d.Status), false
		default:
			again = false
			if got, err = h.account.judge(body, h.relation.openid, e.key); err != nil {
				got = answer{}
				d.Verdict = "illegal answer: " + err.Error()
				err = nil
			} else {
				d.Verdict, outcome = got.kind, legalAnswer
			}
		}
		made = append(made, d)
		s.count(record, d, outcome, e.slow)
		if !refused(err) {
			break
		}
	}
	return made, got, again
}

// post sends one envelope and reads the answer within the timeout.
func (s *Sim) post(e envelope, callback string) (Delivery, []byte, error) {
	d := Delivery{URL: callback, At: time.Now(), Query: e.query.Encode(), Sent: shorten(e.body)}
	ctx, cancel := context.WithTimeout(s.life, s.habits().timeout)
	defer cancel()
	r, err := e.request(ctx, callback)
	if err != nil {
		return d, nil, err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		d.MS = elapsed(d.At)
		return d, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	d.MS = elapsed(d.At)
	d.Status, d.Body = resp.StatusCode, shorten(string(body))
	return d, body, err
}

// route is the callbacks to try, first the one whose turn it is.
func (s *Sim) route(h happening, p plan) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	urls := s.callbacksOf(h.relation.account)
	if len(urls) == 0 {
		return nil
	}
	if r, ok := p.rule(Replica); ok {
		return urls[r.Replica%len(urls):][:1]
	}
	first := s.turn % len(urls)
	s.turn++
	return append(slices.Clone(urls[first:]), urls[:first]...)
}

// callbacksOf is the account's push URLs. Holds s.mu.
func (s *Sim) callbacksOf(a *account) []string {
	if len(a.Callbacks) > 0 {
		return a.Callbacks
	}
	return s.callbacks
}

// blocked tells whether MarkFail keeps pushes of the account back.
func (s *Sim) blocked(h happening) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.now().Before(h.relation.account.blocked)
}

// countFailure is MarkFail (docs/wechat.md §2.5): many failures within a minute stop
// the account's pushes for the next one. All three are settings.
func (s *Sim) countFailure(h happening) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settings.markFail < 0 {
		return
	}
	a, now := h.relation.account, s.clock.now()
	a.failures = slices.DeleteFunc(a.failures, func(t time.Time) bool { return now.Sub(t) > s.settings.markFailWindow })
	a.failures = append(a.failures, now)
	if len(a.failures) >= s.settings.markFail {
		a.failures = nil
		a.blocked = now.Add(s.settings.markFailPause)
	}
}

// finish closes the log entry and shows the person what came of it.
func (s *Sim) finish(record *Push, h happening, verdict string, said answer, quiet bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record.Verdict, record.Reply = verdict, said.text
	line := chatLine{At: time.Now(), From: "account", Kind: said.kind, Text: said.text, URL: said.link}
	switch {
	case !quiet && h.event != "unsubscribe":
		line.From, line.Kind, line.Text = "system", "fault", faultText
		h.relation.say(line)
	case said.text != "":
		h.relation.say(line)
	}
	s.changed()
	s.log.Info("push", "id", record.ID, "event", h.event, "deliveries", len(record.Deliveries), "verdict", verdict)
}

const (
	timeoutWord = "no answer in time"
	refusedWord = "no connection"
)

func failureWord(err error) string {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return timeoutWord
	case refused(err):
		return refusedWord
	default:
		return "connection broke"
	}
}

// refused tells that nothing was sent: another replica may be asked.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func shorten(body string) string {
	if len(body) <= maxLoggedBody {
		return body
	}
	return strings.ToValidUTF8(body[:maxLoggedBody], "") + "…"
}
