package wxsim_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"posthouse/internal/wxsim"
)

// bench stands for the *testing.T that an Example does not have.
type bench struct{ cleanups []func() }

func (*bench) Helper()                           {}
func (*bench) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (b *bench) Cleanup(f func())                { b.cleanups = append(b.cleanups, f) }
func (b *bench) end() {
	for _, f := range b.cleanups {
		f()
	}
}

// In a test, t takes the place of b: wxsim.Start(t, …).
func ExampleStart() {
	webhook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "success")
	}))
	defer webhook.Close()
	b := &bench{}
	defer b.end()

	sim := wxsim.Start(b, &wxsim.Options{Callbacks: []string{webhook.URL}})
	out := sim.Follow("ann")
	fmt.Println(out.Event, out.Deliveries[0].Verdict)

	sim.Break(wxsim.Rule{Kind: wxsim.Duplicate, Count: 2})
	fmt.Println(len(sim.Text("ann", "hello").Deliveries), "deliveries")
	fmt.Println(sim.Stats().Answered, "answered")
	// Output:
	// subscribe success
	// 3 deliveries
	// 4 answered
}

func TestAGoTestDrivesPeople(t *testing.T) {
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "success") }))
	defer hook.Close()
	var _ wxsim.TB = t
	sim := wxsim.Start(t, &wxsim.Options{Callbacks: []string{hook.URL}})
	r := &rig{t: t, sim: sim.Sim, server: &httptest.Server{URL: sim.URL[:len(sim.URL)-len("/sim")]}, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	ticket, _ := r.code("s1")
	if out := sim.Look("ann", ticket); out.Event != "" || len(out.Deliveries) != 0 {
		t.Errorf("a stranger's look: %+v", out)
	}
	if out := sim.Follow("ann"); out.Event != "subscribe" || out.Deliveries[0].Status != 200 {
		t.Errorf("follow: %+v", out)
	}
	if out := sim.Scan("ann", ticket); out.Event != "SCAN" {
		t.Errorf("scan: %+v", out)
	}
	if out := sim.Unfollow("ann"); out.Event != "unsubscribe" {
		t.Errorf("unfollow: %+v", out)
	}
	sim.Break(wxsim.Rule{Kind: wxsim.Drop})
	if out := sim.Text("ann", "hello"); len(out.Deliveries) != 0 {
		t.Errorf("dropped: %+v", out)
	}
	sim.Break()
	sim.Advance(301 * time.Second)
	for name, wrong := range map[string]func(*wxsim.Local){
		"an expired code":  func(l *wxsim.Local) { l.Scan("ann", ticket) },
		"an unknown fault": func(l *wxsim.Local) { l.Break(wxsim.Rule{Kind: "x"}) },
		"time backwards":   func(l *wxsim.Local) { l.Advance(-1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not fail the test", name)
				}
			}()
			b := &bench{}
			defer b.end()
			wrong(wxsim.Start(b, nil))
		}()
	}
}
