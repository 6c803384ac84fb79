package wxsim

import (
	"errors"
	"net/http"
	"time"
)

// settings are the platform's habits that tests change while it runs: some are
// documented, of some only the existence is known (docs/wechat.md §2.5, §8).
// Guarded by Sim.mu; take a copy with Sim.habits.
type settings struct {
	timeout    time.Duration // how long an answer is waited for
	deliveries int           // of one push at most
	retryPause time.Duration // from the start of one delivery to the next

	markFail       int           // so many failed deliveries …
	markFailWindow time.Duration // … within this time
	markFailPause  time.Duration // stop pushes for this long; markFail < 0: never
}

func (o Options) settings() settings {
	timeout := or(o.Timeout, 5*time.Second)
	return settings{
		timeout: timeout, deliveries: or(o.Deliveries, 3), retryPause: or(o.RetryPause, timeout),
		markFail: or(o.MarkFail, 50), markFailWindow: or(o.MarkFailWindow, time.Minute), markFailPause: or(o.MarkFailPause, time.Minute),
	}
}

func (s *Sim) habits() settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings
}

// settingsBody is the settings as the admin route speaks of them. Absent fields
// are left as they are.
type settingsBody struct {
	TimeoutMS        *int64 `json:"timeoutMs"`
	Deliveries       *int   `json:"deliveries"`
	RetryPauseMS     *int64 `json:"retryPauseMs"`
	MarkFail         *int   `json:"markFail"`
	MarkFailWindowMS *int64 `json:"markFailWindowMs"`
	MarkFailPauseMS  *int64 `json:"markFailPauseMs"`
}

func (v settings) body() settingsBody {
	ms := func(d time.Duration) *int64 { n := d.Milliseconds(); return &n }
	return settingsBody{
		ms(v.timeout), &v.deliveries, ms(v.retryPause), &v.markFail, ms(v.markFailWindow), ms(v.markFailPause),
	}
}

// apply changes what the body names; an error changes nothing.
func (v settings) apply(b settingsBody) (settings, error) {
	good := true
	duration := func(into *time.Duration, ms *int64, least int64) {
		if ms != nil {
			good = good && *ms >= least && *ms <= maxFaultMS
			*into = time.Duration(*ms) * time.Millisecond
		}
	}
	duration(&v.timeout, b.TimeoutMS, 1)
	duration(&v.retryPause, b.RetryPauseMS, 0)
	duration(&v.markFailWindow, b.MarkFailWindowMS, 1)
	duration(&v.markFailPause, b.MarkFailPauseMS, 1)
	set(&v.deliveries, b.Deliveries)
	set(&v.markFail, b.MarkFail)
	good = good && v.timeout > 0 && v.retryPause >= 0 && v.markFailWindow > 0 && v.markFailPause > 0
	if !good || v.deliveries < 1 || v.deliveries > maxDuplicates || v.markFail == 0 {
		return v, errors.New("times are 1 to 3600000 ms, deliveries 1 to 50, and markFail is a number of failures, or -1 for never")
	}
	return v, nil
}

func (s *Sim) getSettings(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.habits().body())
}

func (s *Sim) patchSettings(w http.ResponseWriter, r *http.Request) {
	var in settingsBody
	err := readJSON(w, r, &in)
	if err == nil {
		err = s.changeSettings(in)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	s.getSettings(w, r)
}

func (s *Sim) changeSettings(in settingsBody) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, err := s.settings.apply(in)
	if err != nil {
		return err
	}
	s.settings = changed
	s.changed()
	return nil
}
