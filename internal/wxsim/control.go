package wxsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxControlBody bounds requests of the headless routes.
const maxControlBody = 64 << 10

// Handler serves everything below [Options.Prefix]: the API side, the headless
// routes and the phone page. It answers loopback peers only, unless
// Options.AllowRemote says otherwise.
func (s *Sim) Handler() http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, h http.HandlerFunc) {
		method, path, _ := cutMethod(pattern)
		mux.HandleFunc(method+s.opts.Prefix+path, h)
	}
	route("/cgi-bin/", s.serveAPI)

	route("GET /connect/oauth2/authorize", s.authorizeWeb)
	route("GET /sns/oauth2/access_token", s.exchangeWebCode)

	route("POST /scan", action(s.scan))
	route("POST /follow", action(s.follow))
	route("POST /unfollow", action(s.unfollow))
	route("POST /text", action(s.text))
	route("POST /message", action(s.send))
	route("POST /menu", action(s.menu))
	route("POST /location", action(s.location))
	route("POST /event", action(s.anyEvent))
	route("POST /people", action(s.meet))

	route("GET /log", s.getLog)
	route("DELETE /log", s.clearLog)
	route("GET /stats", s.getStats)
	route("DELETE /stats", s.resetStats)
	route("GET /faults", s.getFaults)
	route("POST /faults", s.postFaults)
	route("DELETE /faults", s.deleteFaults)
	route("GET /settings", s.getSettings)
	route("PATCH /settings", s.patchSettings)
	route("GET /clock", s.getClock)
	route("POST /clock", s.postClock)
	route("GET /accounts", s.getAccounts)
	route("POST /accounts", s.postAccount)
	route("PATCH /accounts/{id}", s.patchAccount)
	route("POST /accounts/{id}/kill-tokens", s.killTokens)
	route("POST /accounts/{id}/verify", s.verifyAccount)

	s.routePage(route)
	return s.guard(mux)
}

// cutMethod splits "GET /path" of a mux pattern; the method keeps its space.
func cutMethod(pattern string) (method, path string, ok bool) {
	for i := range len(pattern) {
		if pattern[i] == ' ' {
			return pattern[:i+1], pattern[i+1:], true
		}
	}
	return "", pattern, false
}

type errorBody struct {
	Error string `json:"error"`
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// writeError maps what went wrong to a status, in this one place.
func writeError(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, errUnknownCode), errors.Is(err, errExpiredCode), errors.Is(err, errNoAccount):
		status = http.StatusNotFound
	case errors.Is(err, errDuplicateAccount):
		status = http.StatusConflict
	case errors.As(err, &tooLarge):
		status, err = http.StatusRequestEntityTooLarge, errors.New("the request is too large")
	}
	writeJSON(w, status, errorBody{err.Error()})
}

// readJSON takes one JSON value; fields it does not know are a mistake worth
// hearing about.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		return fmt.Errorf("the body is not the expected JSON: %w", err)
	}
	return nil
}

// checked is a request body that knows what it needs.
type checked interface{ check() error }

// action makes a headless route of something people do.
func action[In checked](do func(In) (Outcome, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		err := readJSON(w, r, &in)
		if err == nil {
			err = in.check()
		}
		var out Outcome
		if err == nil {
			out, err = do(in)
		}
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	}
}

type personBody struct {
	Person  string `json:"person"`
	Account string `json:"account"` // appid or original id; empty: the first
}

func (b personBody) check() error { return checkPerson(b.Person) }

type scanBody struct {
	personBody
	Ticket string    `json:"ticket"`
	Scene  sceneText `json:"scene"`
	URL    string    `json:"url"`
	Follow bool      `json:"follow"`
}

// sceneText takes "abc" and 123 alike.
type sceneText string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *sceneText) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '"' {
		n, err := strconv.ParseUint(string(data), 10, 32)
		if err != nil {
			return errors.New("scene is a text or a positive number")
		}
		*t = sceneText(strconv.FormatUint(n, 10))
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}

func (b scanBody) check() error {
	return b.personBody.check()
}

type textBody struct {
	personBody
	Text    string `json:"text"`
	Content string `json:"content"` // the platform's own word for it
}

func (b textBody) content() string { return or(b.Text, b.Content) }

func (b textBody) check() error {
	if t := b.content(); t == "" || len(t) > maxText || !utf8.ValidString(t) {
		return errors.New("text has 1 to 2048 bytes of UTF-8")
	}
	return b.personBody.check()
}

// maxKey is the longest key or link of a menu entry.
const maxKey = 1024

type menuBody struct {
	personBody
	Key string `json:"key"`
	URL string `json:"url"`
}

func (b menuBody) check() error {
	if (b.Key == "") == (b.URL == "") || len(b.Key) > maxKey || len(b.URL) > maxKey {
		return errors.New("a menu entry has either a key or a url of at most 1024 bytes")
	}
	return b.personBody.check()
}

type locationBody struct {
	personBody
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Precision float64 `json:"precision"`
}

type eventBody struct {
	personBody
	Event  string `json:"event"`
	Fields []struct {
		Name   string `json:"name"`
		Value  string `json:"value"`
		Number bool   `json:"number"`
	} `json:"fields"`
}

func (b eventBody) check() error {
	if b.Event == "" || len(b.Event) > 64 || len(b.Fields) > 20 {
		return errors.New("an event has a name of at most 64 bytes and at most 20 fields")
	}
	for _, f := range b.Fields {
		if !isElementName(f.Name) {
			return fmt.Errorf("%q is no element name", f.Name)
		}
		if _, err := strconv.ParseFloat(f.Value, 64); f.Number && err != nil {
			return fmt.Errorf("the value of %s is no number", f.Name)
		}
	}
	return b.personBody.check()
}

func isElementName(name string) bool {
	for _, r := range name {
		if (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return false
		}
	}
	return name != "" && len(name) <= 64 && (name[0] < '0' || name[0] > '9')
}

type meetBody struct {
	personBody
	Follows *bool `json:"follows"`
	Leave   bool  `json:"leave"` // closes the follow page
}

// meet makes a person known, as a follower of old if asked to. Nothing is
// pushed: this is how things stood before.
func (s *Sim) meet(in meetBody) (Outcome, error) {
	return s.act(in.personBody, func(r *relation) []happening {
		if in.Leave {
			r.pending = nil
		}
		if in.Follows != nil && *in.Follows != r.follows {
			r.follows, r.since, r.source = *in.Follows, s.clock.now(), "ADD_SCENE_SEARCH"
		}
		return nil
	})
}

func (s *Sim) getClock(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	writeJSON(w, http.StatusOK, s.clockBody())
}

// clockBody is the platform's time. Holds s.mu.
func (s *Sim) clockBody() map[string]any {
	return map[string]any{"now": s.clock.now().UTC().Format(time.RFC3339Nano), "aheadMs": s.clock.ahead.Milliseconds()}
}

// postClock moves the platform's time on: seconds, or a duration such as 2h.
func (s *Sim) postClock(w http.ResponseWriter, r *http.Request) {
	advance := r.URL.Query().Get("advance")
	if advance == "" {
		var in struct {
			Advance json.RawMessage `json:"advance"`
		}
		if err := readJSON(w, r, &in); err != nil {
			writeError(w, err)
			return
		}
		var text string
		if json.Unmarshal(in.Advance, &text) != nil {
			text = string(in.Advance)
		}
		advance = text
	}
	d, err := time.ParseDuration(advance)
	if seconds, failed := strconv.ParseFloat(advance, 64); failed == nil {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	const century = 100 * 365 * 24 * time.Hour
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || d < 0 || s.clock.ahead+d > century || s.clock.ahead+d < 0 {
		writeError(w, errors.New("advance is a number of seconds or a duration such as 2h; time only goes forward"))
		return
	}
	s.clock.ahead += d
	s.changed()
	writeJSON(w, http.StatusOK, s.clockBody())
}
