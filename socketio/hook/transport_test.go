package hook

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// answers is a back end that writes one of the texts for each request of a connection and
// closes the connection after the last one, of which closed tells.
func answers(t *testing.T, texts ...string) (url string, closed <-chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{}, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			reader := bufio.NewReader(nc)
			for _, text := range texts {
				r, err := http.ReadRequest(reader)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(nc, text)
			}
			_ = nc.Close()
			ended <- struct{}{}
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return "http://" + ln.Addr().String() + "/", ended
}

func ask(t *testing.T, rt http.RoundTripper, ctx context.Context, url string) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := rt.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	return fmt.Sprint(w.StatusCode, " ", string(text)), err
}

func TestTransport_KeepsAConnectionThatWasReadToItsEnd(t *testing.T) {
	t.Parallel()
	const ok, chunked = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
	url, closed := answers(t, ok, chunked, ok)
	rt := newTransport(1).(*transport)
	defer rt.CloseIdleConnections()
	for i, want := range []string{"200 ok", "201 ok", "200 ok"} {
		if got, err := ask(t, rt, t.Context(), url); got != want || err != nil {
			t.Fatalf("%d: %q, %v", i, got, err)
		}
	}
	<-closed // the first one, which had them all
}

// The bound is the head's: a body may be as long as a hook's answer, and longer.
func TestTransport_LongBodies(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 2<<20)
	chunked := strings.Repeat(fmt.Sprintf("%x\r\n%s\r\n", 64<<10, body[:64<<10]), 32) + "0\r\n\r\n"
	url, _ := answers(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+body)
	rt := newTransport(1).(*transport)
	defer rt.CloseIdleConnections()
	for i := range 3 {
		if got, err := ask(t, rt, t.Context(), url); got != "200 "+body || err != nil {
			t.Errorf("%d: %d bytes, %v", i, len(got), err)
		}
	}
	if len(rt.idle) != 0 {
		t.Error("the connection is kept that the back end closes")
	}
}

// A back end that cannot be reached is an error, and so is a request whose time is over.
func TestTransport_NoBackEnd(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	_ = ln.Close()
	rt := newTransport(1).(*transport)
	if got, err := ask(t, rt, t.Context(), "http://"+address+"/"); err == nil {
		t.Errorf("%q", got)
	}
	if _, err := ask(t, rt, t.Context(), "http://127.9.9.9/"); err == nil || !strings.Contains(err.Error(), "127.9.9.9:80") {
		t.Errorf("without a port: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	url, _ := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	if got, err := ask(t, rt, ended, url); !errors.Is(err, context.Canceled) {
		t.Errorf("%q, %v", got, err)
	}
	if len(rt.idle) != 0 {
		t.Error("a connection is kept")
	}
}

// A back end such as Node's closes a connection that has been idle for five seconds.
func TestTransport_IdleConnectionThatTheBackEndClosed_IsNotUsed(t *testing.T) {
	t.Parallel()
	url, closed := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	rt := newTransport(4).(*transport)
	defer rt.CloseIdleConnections()
	for i := range 20 {
		if got, err := ask(t, rt, t.Context(), url); got != "200 ok" || err != nil {
			t.Fatalf("%d: %q, %v", i, got, err)
		}
		<-closed
	}
}

func TestTransport_EndOfTheContext_EndsTheRequest(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(asked)
		<-r.Context().Done()
	}))
	defer backend.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	rt := newTransport(4).(*transport)
	if _, err := ask(t, rt, ctx, backend.URL); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(rt.idle) != 0 {
		t.Error("the connection is kept")
	}
}

func TestTransport_BadAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ answer, want string }{
		"long head":        {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n", "longer than 64 KiB"},
		"half":             {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "unexpected EOF"},
		"none":             {"", "EOF"},
		"no HTTP":          {"hello\r\n\r\n", "malformed"},
		"only information": {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 6), "does not come to an end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := answers(t, c.answer)
			rt := newTransport(4).(*transport)
			if got, err := ask(t, rt, t.Context(), url); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q, %v", got, err)
			}
			if len(rt.idle) != 0 {
				t.Error("the connection is kept")
			}
		})
	}
}

func TestTransport_KeepsNoMoreIdleConnectionsThanRequests(t *testing.T) {
	t.Parallel()
	together := make(chan struct{}, 3)
	release := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		together <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "ok")
	}))
	defer backend.Close()
	rt := newTransport(2).(*transport)
	defer rt.CloseIdleConnections()
	results := make(chan error)
	for range 3 {
		go func() {
			_, err := ask(t, rt, t.Context(), backend.URL)
			results <- err
		}()
	}
	for range 3 {
		<-together
	}
	close(release)
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if len(rt.idle) != 2 {
		t.Errorf("%d connections are kept", len(rt.idle))
	}
	rt.expire(rt.idle[0])
	if len(rt.idle) != 1 {
		t.Error("an expired connection is kept")
	}
}
