package webtransport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"posthouse/socketio/engineio"
	engineclient "posthouse/socketio/engineio/client"
	"posthouse/socketio/engineio/webtransport"
)

func (r *rig) clientTLS(t *testing.T) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(r.cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	return &tls.Config{RootCAs: pool}
}

func TestDial_ServesTheClientOfThisModule(t *testing.T) {
	for name, transports := range map[string][]string{
		"alone": {"webtransport"}, "upgrade": {"polling", "webtransport"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, engineio.Options{PingInterval: 100 * time.Millisecond})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c, err := engineclient.Dial(ctx, "http://"+r.addr, &engineclient.Options{
				Transports: transports, WebTransport: webtransport.Dial(&webtransport.DialOptions{TLS: r.clientTLS(t)}),
			})
			if err != nil {
				t.Fatal(err)
			}
			got, upgraded := make(chan string, 1000), make(chan string, 1)
			pings := make(chan bool, 1000)
			ended := make(chan error, 1)
			go func() {
				ended <- c.Serve(context.Background(), engineclient.Handler{
					Message: func(m engineio.Message) error { got <- fmt.Sprint(len(m.Data), m.Binary); return nil },
					Ping:    func() { pings <- true }, Upgrade: func(name string) { upgraded <- name },
					UpgradeError: func(err error) { upgraded <- err.Error() },
				})
			}()
			if name == "upgrade" {
				if to := <-upgraded; to != "webtransport" {
					t.Fatal(to)
				}
			}
			if c.Transport() != "webtransport" {
				t.Error(c.Transport())
			}
			for _, n := range []int{1, 124, 125, 126, 65535, 65536, 300_000} {
				c.Send(engineio.Message{Data: []byte(strings.Repeat("x", n))}, engineio.Message{Data: make([]byte, n), Binary: true})
				for _, binary := range []bool{false, true} {
					if m := <-got; m != fmt.Sprint(n, binary) {
						t.Fatalf("got %s, want %d", m, n)
					}
				}
			}
			<-pings
			<-pings
			c.Close()
			<-ended
			if reason := <-r.closed; reason != string(engineio.ReasonTransportClose) {
				t.Errorf("the server's reason is %q", reason)
			}
		})
	}
}

func TestDial_UntrustedCertificate_IsAnError(t *testing.T) {
	r := newRig(t, engineio.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := engineclient.Dial(ctx, "https://"+r.addr, &engineclient.Options{
		Transports: []string{"webtransport"}, WebTransport: webtransport.Dial(nil),
	})
	if err == nil {
		c.Close()
		t.Fatal("a self-signed certificate is trusted")
	}
}
