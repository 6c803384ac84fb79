package socketio_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"posthouse/socketio"
)

// Whichever Shutdown comes first, the sockets see the end of the server.
func TestServe_ShutdownOfTheHTTPServer_DisconnectsTheSockets(t *testing.T) {
	for name, httpFirst := range map[string]bool{"http.Server first": true, "Socket.IO first": false} {
		t.Run(name, func(t *testing.T) {
			srv := socketio.NewServer(nil)
			connected, reasons := make(chan struct{}), make(chan socketio.Reason, 1)
			srv.OnConnection(func(s *socketio.Socket) {
				s.OnDisconnect(func(r socketio.Reason) { reasons <- r })
				close(connected)
			})
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			hs := &http.Server{Handler: srv}
			served := make(chan error, 1)
			go func() { served <- srv.Serve(listener, hs) }() // ends with hs

			url := "http://" + listener.Addr().String() + "/socket.io/?EIO=4&transport=polling"
			sid := between(t, fetch(t, http.MethodGet, url, ""), `"sid":"`, `"`)
			fetch(t, http.MethodPost, url+"&sid="+sid, "40")
			<-connected
			ends := []func(context.Context) error{srv.Shutdown, hs.Shutdown}
			if httpFirst {
				ends[0], ends[1] = ends[1], ends[0]
			}
			for _, end := range ends {
				if err := end(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if r := <-reasons; r != socketio.ReasonServerShutdown {
				t.Errorf("reason %q", r)
			}
			if err := <-served; err != http.ErrServerClosed { //nolint:errorlint // the very value
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

func fetch(t *testing.T, method, url, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %q, %v", res.StatusCode, b, err)
	}
	return string(b)
}

func between(t *testing.T, s, from, to string) string {
	t.Helper()
	_, s, ok := strings.Cut(s, from)
	s, _, ok2 := strings.Cut(s, to)
	if !ok || !ok2 {
		t.Fatalf("nothing between %q and %q", from, to)
	}
	return s
}
