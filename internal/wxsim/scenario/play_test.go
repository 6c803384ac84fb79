package scenario

import (
	"strings"
	"testing"
)

func play(t *testing.T, s sin, text string) (string, error) {
	t.Helper()
	script, err := ReadScript(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = Play(t.Context(), script, Target{Gateways: []string{newToy(t, s).server.URL}}, &out)
	return out.String(), err
}

const twoPeopleScript = `
name: two people, one code
seed: 7
steps:
  - open: desk
  - code: desk
  - scan: {person: ann, tab: desk, pushes: 0}
  - scan: {person: ann, tab: desk, follow: true, pushes: 1}
  - scan: {person: bob, tab: desk, follow: true}
  - token: {tab: desk, person: ann}
  - ended: {tab: desk}
`

func TestPlayTellsStepsApart(t *testing.T) {
	t.Parallel()
	if out, err := play(t, honest, twoPeopleScript); err != nil || !strings.HasSuffix(out, "PASS\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := play(t, neverLeaves, twoPeopleScript); err == nil || !strings.Contains(out, "step 7 of 7 failed") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPlayComesBackForTheSameToken(t *testing.T) {
	t.Parallel()
	out, err := play(t, honest, `
name: a browser dies as the token arrives
steps:
  - open: desk
  - code: desk
  - scan: {person: ann, tab: desk, follow: true}
  - token: {tab: desk, person: ann, noAck: true}
  - resume: desk
  - token: {tab: desk, person: ann, same: true}
`)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPlayExpiryRefreshAndCancel(t *testing.T) {
	t.Parallel()
	out, err := play(t, honest, `
name: dead codes
steps:
  - open: desk
  - code: desk
  - refresh: desk
  - faults: [{kind: duplicate, count: 1}]
  - scan: {person: ann, tab: desk, old: true, follow: true, pushes: 2}
  - heal: true
  - nothing: {tab: desk, within: 100ms}
  - cancel: desk
  - scan: {person: ann, tab: desk, pushes: 1}
  - nothing: {tab: desk, within: 100ms}
  - text: {person: ann, text: hello}
  - unfollow: {person: ann}
  - advance: 301s
  - scan: {person: ann, tab: desk, gone: true}
  - wait: 10ms
  - cut: desk
`)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestReadScriptRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "no steps",
		"steps: []":                          "no steps",
		"steps: [{}]":                        "has 0 actions",
		"steps: [{open: a, code: a}]":        "has 2 actions",
		"steps: [{jump: a}]":                 "jump",
		"steps: [{wait: soon}]":              "soon",
		"steps: [{token: {within: never}}]":  "never",
		`{"steps": [{"open": "a"}], "x": 1}`: "x",
	} {
		if _, err := ReadScript(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ReadScript(strings.NewReader(`{"name": "json", "steps": [{"open": "a"}]}`)); err != nil {
		t.Errorf("JSON: %v", err)
	}
}
