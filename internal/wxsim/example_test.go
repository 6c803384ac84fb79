package wxsim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"

	"posthouse/internal/wxsim"
)

// A test starts a simulator, points it at the webhook under test, and lets a
// person follow.
func ExampleNew() {
	webhook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "success")
	}))
	defer webhook.Close()

	sim, err := wxsim.New(&wxsim.Options{Callbacks: []string{webhook.URL}})
	if err != nil {
		panic(err)
	}
	defer sim.Close()
	server := httptest.NewServer(sim.Handler())
	defer server.Close()

	resp, err := http.Post(server.URL+"/sim/follow", "application/json", bytes.NewReader([]byte(`{"person":"ann"}`)))
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	var out struct {
		Event      string
		Deliveries []wxsim.Delivery
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		panic(err)
	}
	fmt.Println(out.Event, out.Deliveries[0].Status, out.Deliveries[0].Verdict)
	// Output: subscribe 200 success
}

func ExampleServe() {
	ctx, cancel := context.WithCancel(context.Background())
	err := wxsim.Serve(ctx, wxsim.ServeOptions{
		Callbacks: []string{"http://127.0.0.1:3000/callback/wechat", "http://127.0.0.1:3001/callback/wechat"},
		Output:    os.Stderr,
		Ready:     func(string) { cancel() }, // a real one stops with a signal
	})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleDevAccount() {
	a := wxsim.DevAccount()
	a.Mode = wxsim.Plain // as a sandbox account has it
	sim, err := wxsim.New(&wxsim.Options{Accounts: []wxsim.Account{a}})
	if err != nil {
		panic(err)
	}
	defer sim.Close()
	fmt.Println(a.AppID, len(a.AESKey))
	// Output: wx0d0e5b1a7c2f4e68 43
}
