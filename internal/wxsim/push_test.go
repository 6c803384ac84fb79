package wxsim

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wire is the network of a bubble: a callback as a function, no sockets.
type wire struct {
	mu   sync.Mutex
	seen []seen
	say  func(r *http.Request, body string) (int, string, error)
}

type seen struct {
	at    time.Duration
	host  string
	query url.Values
	body  string
}

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // where bubbles begin

func (n *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.seen = append(n.seen, seen{time.Since(epoch), r.URL.Host, r.URL.Query(), string(body)})
	n.mu.Unlock()
	status, answer, err := n.say(r, string(body))
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// all is what was sent so far.
func (n *wire) all() []seen {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]seen(nil), n.seen...)
}

// silence is a callback that never answers.
func silence(r *http.Request, _ string) (int, string, error) {
	<-r.Context().Done()
	return 0, "", r.Context().Err()
}

func refuse(*http.Request, string) (int, string, error) {
	return 0, "", &net.OpError{Op: "dial", Err: errors.New("connection refused")}
}

func answers(status int, body string) func(*http.Request, string) (int, string, error) {
	return func(*http.Request, string) (int, string, error) { return status, body, nil }
}

// inBubble runs a test on fake time with a simulator whose pushes go to say.
func inBubble(t *testing.T, opts Options, say func(*http.Request, string) (int, string, error), test func(t *testing.T, s *Sim, n *wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if opts.Callbacks == nil {
			opts.Callbacks = []string{"http://one/callback"}
		}
		opts.Seed = 1
		if opts.Accounts == nil {
			a := DevAccount()
			a.Mode = Plain
			opts.Accounts = []Account{a}
		}
		s, err := New(&opts)
		if err != nil {
			t.Fatal(err)
		}
		n := &wire{say: say}
		s.client.Transport = n
		defer s.Close()
		test(t, s, n)
	})
}

func text(t *testing.T, s *Sim, person string) []Delivery {
	t.Helper()
	out, err := s.text(textBody{personBody: personBody{Person: person}, Text: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	return out.Deliveries
}

func lastLine(s *Sim, person string) chatLine {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.relate(s.accounts[0], person)
	return r.chat[len(r.chat)-1]
}

func TestSilenceIsDeliveredThreeTimesFiveSecondsApart(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, silence, func(t *testing.T, s *Sim, n *wire) {
		d := text(t, s, "ann")
		if len(d) != 3 || len(n.all()) != 3 {
			t.Fatalf("%d deliveries, %d seen", len(d), len(n.all()))
		}
		for i, want := range []time.Duration{0, 5 * time.Second, 10 * time.Second} {
			if n.all()[i].at != want {
				t.Errorf("delivery %d at %s", i+1, n.all()[i].at)
			}
			if d[i].MS != 5000 || d[i].Verdict != "no answer in time" || d[i].Status != 0 || d[i].Attempt != i+1 {
				t.Errorf("delivery %d: %+v", i+1, d[i])
			}
		}
		if n.all()[0].body != n.all()[1].body {
			t.Error("CreateTime or MsgId changed between deliveries")
		}
		if n.all()[0].query.Get("nonce") == n.all()[1].query.Get("nonce") {
			t.Error("the nonce was repeated")
		}
		if line := lastLine(s, "ann"); line.Kind != "fault" || line.Text != faultText {
			t.Errorf("the person saw %+v", line)
		}
	})
}

func TestNonceIsRepeatedWhenSwitchedOn(t *testing.T) {
	t.Parallel()
	a := DevAccount()
	a.SameNonceOnRetry = true
	inBubble(t, Options{Accounts: []Account{a}}, silence, func(t *testing.T, s *Sim, n *wire) {
		text(t, s, "ann")
		if n.all()[0].query.Encode() != n.all()[2].query.Encode() || n.all()[0].body != n.all()[2].body {
			t.Error("the deliveries differ")
		}
	})
}

func TestLateSuccessEndsTheDeliveries(t *testing.T) {
	t.Parallel()
	calls := 0
	second := func(r *http.Request, body string) (int, string, error) {
		if calls++; calls == 1 {
			return silence(r, body)
		}
		return 200, "success", nil
	}
	inBubble(t, Options{}, second, func(t *testing.T, s *Sim, _ *wire) {
		if d := text(t, s, "ann"); len(d) != 2 || d[1].Verdict != "success" {
			t.Errorf("%+v", d)
		}
	})
}

func TestServerErrorIsAnIllegalAnswerUnlessSwitched(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, answers(500, "{}"), func(t *testing.T, s *Sim, _ *wire) {
		if d := text(t, s, "ann"); len(d) != 1 || d[0].Status != 500 || d[0].Verdict != "illegal answer: HTTP 500" {
			t.Errorf("%+v", d)
		}
	})
	a := DevAccount()
	a.RetryOn5xx = true
	inBubble(t, Options{Accounts: []Account{a}}, answers(503, ""), func(t *testing.T, s *Sim, n *wire) {
		if d := text(t, s, "ann"); len(d) != 3 || n.all()[2].at != 10*time.Second {
			t.Errorf("%+v", d)
		}
	})
}

func TestRefusedConnectionGoesToTheNextReplicaAtOnce(t *testing.T) {
	t.Parallel()
	oneDead := func(r *http.Request, body string) (int, string, error) {
		if r.URL.Host == "one" {
			return refuse(r, body)
		}
		return 200, "success", nil
	}
	opts := Options{Callbacks: []string{"http://one/", "http://two/", "http://three/"}}
	inBubble(t, opts, oneDead, func(t *testing.T, s *Sim, n *wire) {
		if d := text(t, s, "ann"); len(d) != 2 || d[1].URL != "http://two/" || d[1].Attempt != 1 || time.Since(epoch) != 0 {
			t.Errorf("%+v after %s", d, time.Since(epoch))
		}
		text(t, s, "ann")
		text(t, s, "ann")
		var hosts []string
		for _, r := range n.all() {
			hosts = append(hosts, r.host)
		}
		if got := strings.Join(hosts, " "); got != "one two two three" {
			t.Errorf("turns: %s", got)
		}
	})
	inBubble(t, Options{}, refuse, func(t *testing.T, s *Sim, n *wire) {
		if d := text(t, s, "ann"); len(d) != 3 || d[0].Verdict != "no connection" || n.all()[2].at != 10*time.Second {
			t.Errorf("%+v", d)
		}
	})
}

func TestManyFailuresStopPushesForAMinute(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{MarkFail: 3}, answers(500, ""), func(t *testing.T, s *Sim, n *wire) {
		for range 3 {
			text(t, s, "ann")
		}
		if d := text(t, s, "ann"); len(d) != 0 || len(n.all()) != 3 {
			t.Errorf("pushes went on: %+v", d)
		}
		n.say = answers(200, "success")
		if err := wait(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if d := text(t, s, "ann"); len(d) != 1 {
			t.Errorf("pushes did not resume: %+v", d)
		}
	})
	inBubble(t, Options{MarkFail: -1}, answers(500, ""), func(t *testing.T, s *Sim, n *wire) {
		for range 100 {
			text(t, s, "ann")
		}
		if len(n.all()) != 100 {
			t.Errorf("%d of 100 sent", len(n.all()))
		}
	})
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, silence, func(t *testing.T, s *Sim, _ *wire) {
		withRules(t, s, &Rule{Kind: Duplicate, MS: 3_000_000})
		var pushing sync.WaitGroup
		pushing.Go(func() { text(t, s, "ann") })
		synctest.Wait()
		s.Close()
		pushing.Wait()
		if time.Since(epoch) != 0 {
			t.Errorf("took %s", time.Since(epoch))
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if wait(ctx, time.Hour) == nil {
		t.Error("waited on a cancelled context")
	}
}
