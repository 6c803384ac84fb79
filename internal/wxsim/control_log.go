package wxsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
)

// getLog answers the latest pushes, newest first: ?limit=N (100), ?person=,
// ?event=, ?since=ID.
func (s *Sim) getLog(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(or(q.Get("limit"), "100"))
	if err != nil || limit < 1 {
		writeError(w, errors.New("limit is a positive number"))
		return
	}
	since, _ := strconv.Atoi(q.Get("since"))
	s.mu.Lock()
	pushes := s.latest(limit, func(p *Push) bool {
		return p.ID > since && (q.Get("person") == "" || p.Person == q.Get("person")) &&
			(q.Get("event") == "" || p.Event == q.Get("event"))
	})
	total := s.pushCount
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"pushes": pushes, "total": total})
}

// latest copies the newest pushes that match, newest first. Holds s.mu.
func (s *Sim) latest(limit int, match func(*Push) bool) []Push {
	out := []Push{}
	for _, p := range slices.Backward(s.pushes) {
		if len(out) == limit {
			break
		}
		if match(p) {
			c := *p
			c.Deliveries = slices.Clone(p.Deliveries)
			out = append(out, c)
		}
	}
	return out
}

func (s *Sim) clearLog(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.pushes = nil
	s.changed()
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"pushes": []Push{}})
}

func (s *Sim) getFaults(w http.ResponseWriter, _ *http.Request) { s.answerFaults(w) }

func (s *Sim) answerFaults(w http.ResponseWriter) {
	s.mu.Lock()
	rules := s.ruleList()
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"rules": rules, "kinds": faultKinds})
}

// ruleList copies the rules. Holds s.mu.
func (s *Sim) ruleList() []Rule {
	rules := make([]Rule, len(s.rules))
	for i, r := range s.rules {
		rules[i] = *r
	}
	return rules
}

// postFaults takes {"rules":[…], "seed":N}, which replaces all rules, or one
// rule, which is added.
func (s *Sim) postFaults(w http.ResponseWriter, r *http.Request) {
	var raw json.RawMessage
	if err := readJSON(w, r, &raw); err != nil {
		writeError(w, err)
		return
	}
	var in struct {
		Rules []*Rule `json:"rules"`
		Seed  uint64  `json:"seed"`
	}
	replace := bytes.HasPrefix(raw, []byte("["))
	var err error
	if replace {
		err = strict(raw, &in.Rules)
	} else if err = strict(raw, &in); err == nil {
		replace = true
	} else {
		in.Rules = []*Rule{{}}
		err = strict(raw, in.Rules[0])
	}
	for _, rule := range in.Rules {
		if err != nil {
			break
		}
		if rule == nil {
			err = errors.New("a rule is an object")
			break
		}
		rule.Matches, rule.Hits = 0, 0
		err = rule.check()
	}
	if err == nil {
		err = s.addRules(in.Rules, replace, in.Seed)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	s.answerFaults(w)
}

func strict(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func (s *Sim) addRules(rules []*Rule, replace bool, seed uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if replace {
		s.rules = nil
	}
	if len(s.rules)+len(rules) > maxRules {
		return errors.New("at most 100 rules")
	}
	s.rules = append(s.rules, rules...)
	if seed != 0 {
		s.faultSeed = seed
	}
	s.changed()
	return nil
}

// deleteFaults removes the rules of ?kind= (and ?errcode=), or all.
func (s *Sim) deleteFaults(w http.ResponseWriter, r *http.Request) {
	kind, code := FaultKind(r.URL.Query().Get("kind")), r.URL.Query().Get("errcode")
	s.mu.Lock()
	s.rules = slices.DeleteFunc(s.rules, func(r *Rule) bool {
		return (kind == "" || r.Kind == kind) && (code == "" || strconv.Itoa(r.ErrCode) == code)
	})
	s.changed()
	s.mu.Unlock()
	s.answerFaults(w)
}
