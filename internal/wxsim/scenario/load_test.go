package scenario

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func loadToy(t *testing.T, s sin, mix Mix) Report {
	t.Helper()
	g := newToy(t, s)
	limit := 2 * time.Second // for tokens that do not come
	if s == honest || s == hangsUp || s == dawdles {
		limit = time.Minute // every token comes, on a busy machine too
	}
	r, err := Load(t.Context(), LoadOptions{
		Target: Target{Gateways: []string{g.server.URL + "/"}}, Logins: 60, Concurrency: 20, Rate: -1, Timeout: limit, Seed: 3, Mix: &mix,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// judgeAsQuick judges again as if pushes had been answered at once: how long that takes belongs
// to the machine here, and TestLoadHoldsTheCallbackAgainstItsBars has those bars.
func (r *Report) judgeAsQuick() {
	r.Callback.P99MS, r.Callback.MaxMS, r.Bars = 1, 1, nil
	r.judge(false)
}

func TestLoadPassesAnHonestGateway(t *testing.T) {
	t.Parallel()
	mix := DefaultMix()
	mix.PKCE, mix.Delays, mix.Reorders = 0, 0, 0 // the toy knows no challenge
	r := loadToy(t, honest, mix)
	r.judgeAsQuick()
	var out strings.Builder
	r.Print(&out)
	if !r.OK() || r.Logins != 60 || r.SignedIn < 40 || !strings.HasSuffix(out.String(), "PASS\n") {
		t.Errorf("\n%s", out.String())
	}
	if r.Faults["duplicate"] == 0 {
		t.Error("no duplicate was played")
	}
}

// A verdict that cannot turn red proves nothing: each sin must show.
func TestLoadFindsEachSin(t *testing.T) {
	t.Parallel()
	for s, count := range map[sin]func(Report) int{
		loses:        func(r Report) int { return r.Lost },
		doubles:      func(r Report) int { return r.Doubled },
		misdelivers:  func(r Report) int { return r.Misdelivered },
		ignoresFirst: func(r Report) int { return r.Misdelivered + r.Doubled },
		answersSlow:  func(r Report) int { return r.Broken },
	} {
		t.Run(string(s), func(t *testing.T) {
			t.Parallel()
			r := loadToy(t, s, Mix{TwoPeople: 30, LostAck: 20, Duplicates: 50})
			if r.OK() || count(r) == 0 {
				t.Errorf("the sin went unseen: %+v", r)
			}
		})
	}
}

func TestLoadHoldsTheCallbackAgainstItsBars(t *testing.T) {
	t.Parallel()
	r := loadToy(t, dawdles, Mix{})
	if r.OK() || len(r.Bars) != 1 || !strings.Contains(r.Bars[0], "p99") || r.Lost+r.Doubled+r.Misdelivered+r.Broken != 0 {
		t.Errorf("%+v", r)
	}
	r.Bars = nil
	if r.judge(true); len(r.Bars) != 0 {
		t.Errorf("while things are killed: %v", r.Bars)
	}
	for want, c := range map[string]Callback{
		"4500": {MaxMS: 4500}, "in time": {Silent: 1}, "refused": {Refused: 1}, "illegally": {Illegal: 1}, "no connection": {Unconnected: 1}, "lost it": {Broke: 1},
	} {
		r := Report{Callback: c, Logins: 1}
		if r.judge(false); len(r.Bars) != 1 || !strings.Contains(r.Bars[0], want) || r.OK() {
			t.Errorf("%+v: %v", c, r.Bars)
		}
	}
}

// A gateway that hangs up on people who then come back and get their token all
// the same has still done something wrong.
func TestLoadNoticesConnectionsThatEndByThemselves(t *testing.T) {
	t.Parallel()
	r := loadToy(t, hangsUp, Mix{})
	r.judgeAsQuick()
	if r.OK() || r.Dropped == 0 || len(r.Bars) != 1 || r.SignedIn != 60 {
		t.Errorf("%+v", r)
	}
	r.Bars = nil
	if r.judge(true); !r.OK() {
		t.Errorf("while things are killed: %v", r.Bars)
	}
}

// The person answers in the chat for so long that the gateway stops waiting for the
// acknowledgement, counts the token as delivered, and leaves.
func TestATokenThatArrivedBeforeTheEndCounts(t *testing.T) {
	t.Parallel()
	g := newToy(t, honest)
	b := &tab{gateway: g.server.URL, dialer: newDialer(nil, "/socket.io/")}
	if err := b.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer b.close()
	b.confirm = func(context.Context, string) {
		g.tabs[0].emit(`42/login,1["token","e30.eyJqdGkiOiJ0MSJ9.x"]`)
		g.tabs[0].emit("41/login,")
		<-b.client.done
	}
	g.tabs[0].emit(`42/login,["state",{"state":"claimed","number":"47"}]`)
	if c, err := b.awaitToken(t.Context(), false); err != nil || c.ID != "t1" || b.reconnects > 0 {
		t.Errorf("%+v, %v after %d reconnects", c, err, b.reconnects)
	}
	if !b.client.left() {
		t.Error("the end went unseen")
	}
}

// The toy never asks for a number: where one is due, every token is one too many.
func TestLoadMissesTheConfirmation(t *testing.T) {
	t.Parallel()
	g := newToy(t, honest)
	r, err := Load(t.Context(), LoadOptions{
		Target: Target{Gateways: []string{g.server.URL}}, Logins: 10, Rate: -1, Mix: &Mix{}, Confirm: true,
	})
	if err != nil || r.OK() || r.Misdelivered != 10 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestPushesAreJudgedByTheirAnswers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]bool{ // without and with outages: good?
		`{"event":"SCAN","deliveries":[{"status":200}]}`:                                                      {true, true},
		`{"event":"SCAN","deliveries":[{"status":200,"ms":4501}]}`:                                            {false, false},
		`{"event":"SCAN","deliveries":[{"status":403}]}`:                                                      {false, false},
		`{"event":"SCAN","deliveries":[{"status":0,"verdict":"connection broke"},{"status":200}]}`:            {false, true},
		`{"event":"SCAN","deliveries":[{"status":0,"verdict":"no connection"}]}`:                              {false, false},
		`{"event":"SCAN","deliveries":[{"status":0,"verdict":"no answer in time","ms":5000},{"status":200}]}`: {false, false},
		`{"event":"SCAN","deliveries":[]}`:                                                                    {false, false},
		`{"event":"","deliveries":[]}`:                                                                        {true, true},
	} {
		var p pushed
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		for i, outages := range []bool{false, true} {
			if err := p.fault(outages); (err == nil) != want[i] {
				t.Errorf("%s with outages %v: %v", text, outages, err)
			}
		}
	}
}

func TestTheMixIsSetByName(t *testing.T) {
	t.Parallel()
	var m Mix
	for name := range m.shares() {
		if err := m.Set(name, 7); err != nil {
			t.Error(err)
		}
	}
	if m != (Mix{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}) {
		t.Errorf("a share has no name: %+v", m)
	}
	if err := m.Set("two", 1); err == nil || !strings.Contains(err.Error(), "two-people") {
		t.Errorf("unknown share: %v", err)
	}
	if m.Set("late", 101) == nil || m.Set("late", -1) == nil {
		t.Error("a share that is no percentage was accepted")
	}
}

func TestTabsSpreadOnlyOverThisMachine(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]bool{
		"http://127.0.0.1:3000": false, "http://localhost:3000": false, "http://[::1]:3000": true,
		"http://192.0.2.1": true, "https://www.example.com": true, ":": true,
	} {
		if got := isElsewhere(base); got != want {
			t.Errorf("%s is elsewhere: %v", base, got)
		}
	}
	g := newToy(t, honest)
	r, err := Load(t.Context(), LoadOptions{
		Target: Target{Gateways: []string{g.server.URL}, Spread: true}, Logins: 20, Rate: -1, Mix: &Mix{},
	})
	if err != nil || !r.OK() {
		t.Errorf("%+v %v", r, err)
	}
}

func TestLoadIsDeterministicBySeed(t *testing.T) {
	t.Parallel()
	g := newToy(t, honest)
	kinds := func() map[string]int {
		r, err := Load(t.Context(), LoadOptions{
			Target: Target{Gateways: []string{g.server.URL}}, Logins: 40, Concurrency: 5, Rate: -1, Seed: 7,
			Mix: &Mix{NeverScan: 30, Cancelled: 30, Replaced: 20},
		})
		if err != nil || !r.OK() {
			t.Fatalf("%+v %v", r, err)
		}
		return r.Kinds
	}
	first, second := kinds(), kinds()
	for name, n := range first {
		if second[name] != n {
			t.Errorf("%s: %d, then %d", name, n, second[name])
		}
	}
}
