package wxsim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"posthouse/internal/wxsim"
)

func TestServeRefusesAnAddressOthersReach(t *testing.T) {
	for _, host := range []string{"0.0.0.0", "::", "192.0.2.1", "example.com"} {
		if err := wxsim.Serve(t.Context(), wxsim.ServeOptions{Host: host}); !errors.Is(err, wxsim.ErrUnsafeListen) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestServeRunsUntilItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan string, 1)
	ended := make(chan error, 1)
	var out strings.Builder
	go func() { // ends with ctx; waited for below
		ended <- wxsim.Serve(ctx, wxsim.ServeOptions{
			Callbacks: []string{"http://127.0.0.1:9/callback/wechat"}, Output: &out, Ready: func(addr string) { ready <- addr },
		})
	}()
	addr := <-ready
	client := &http.Client{Transport: &http.Transport{}}
	for _, path := range []string{"/", "/sim", "/sim/", "/sim/q/x"} {
		resp, err := client.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "<h1>") {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	client.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("stop: %v", err)
	}
	for _, want := range []string{"SIMULATOR", "http://" + addr + "/sim", "callback/wechat", wxsim.DevAccount().AppID} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("banner has no %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), wxsim.DevAccount().Secret) {
		t.Error("the banner shows the secret")
	}
	// The port is free again at once.
	again, stop := context.WithCancel(t.Context())
	stop()
	if err := wxsim.Serve(again, wxsim.ServeOptions{}); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("again: %v", err)
	}
}
