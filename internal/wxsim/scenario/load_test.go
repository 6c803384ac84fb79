package scenario

import (
	"strings"
	"testing"
	"time"
)

func loadToy(t *testing.T, s sin, mix Mix) Report {
	t.Helper()
	g := newToy(t, s)
	r, err := Load(t.Context(), LoadOptions{
		Target: Target{Gateways: []string{g.server.URL + "/"}}, Logins: 60, Concurrency: 20, Rate: -1, Timeout: 2 * time.Second, Seed: 3, Mix: &mix,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLoadPassesAnHonestGateway(t *testing.T) {
	t.Parallel()
	mix := DefaultMix()
	mix.PKCE, mix.Delays, mix.Reorders = 0, 0, 0 // the toy knows no challenge
	r := loadToy(t, honest, mix)
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
