package faultproxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"posthouse/internal/testenv/faultproxy"
)

// edge is a proxy to a server that echoes lines, and a connection through it.
func edge(t *testing.T) (*faultproxy.Proxy, func() (net.Conn, *bufio.Reader)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				_, _ = io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	p, err := faultproxy.New(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); p.Close() })
	return p, func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		return c, bufio.NewReader(c)
	}
}

// echo sends a line and reads one.
func echo(t *testing.T, c net.Conn, r *bufio.Reader, line string) {
	t.Helper()
	if _, err := io.WriteString(c, line); err != nil {
		t.Fatal(err)
	}
	if got, err := r.ReadString('\n'); err != nil || got != line {
		t.Fatalf("%q %v", got, err)
	}
}

func TestProxy_Blackhole_HoldsWhatSendsTheWordUntilTheEdgeHeals(t *testing.T) {
	p, dial := edge(t)
	commands, commandsReader := dial()
	subscription, subscriptionReader := dial()
	echo(t, commands, commandsReader, "GET a\n")
	echo(t, subscription, subscriptionReader, "SUBSCRIBE b\n")
	p.Set("subscribe", faultproxy.Fault{Blackhole: true})
	echo(t, commands, commandsReader, "GET c\n")
	if _, err := io.WriteString(subscription, "late\n"); err != nil {
		t.Fatal(err)
	}
	_ = subscription.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := subscriptionReader.ReadString('\n'); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	_ = subscription.SetReadDeadline(time.Now().Add(20 * time.Second))
	p.Heal()
	if got, err := subscriptionReader.ReadString('\n'); err != nil || got != "late\n" {
		t.Errorf("%q %v", got, err)
	}
}

func TestProxy_Cut_ResetsConnections(t *testing.T) {
	p, dial := edge(t)
	c, r := dial()
	echo(t, c, r, "one\n")
	if n := p.Cut("two"); n != 0 {
		t.Errorf("%d connections sent no such word", n)
	}
	if n := p.Cut("ONE"); n != 1 {
		t.Errorf("%d connections", n)
	}
	if _, err := r.ReadString('\n'); !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	p.Set("", faultproxy.Fault{Refuse: true})
	refused, err := net.Dial("tcp", p.Addr())
	if err != nil { // the reset came before the dial had returned
		return
	}
	defer refused.Close()
	_ = refused.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(refused, "three\n")
	if _, err := bufio.NewReader(refused).ReadString('\n'); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a refused edge: %v", err)
	}
}

func TestProxy_DelayAndRate_SlowTheEdge(t *testing.T) {
	p, dial := edge(t)
	for _, f := range []faultproxy.Fault{{Delay: 60 * time.Millisecond}, {Rate: 50}} {
		p.Set("", f)
		c, r := dial()
		began := time.Now()
		echo(t, c, r, "a line\n")
		if took := time.Since(began); took < 60*time.Millisecond {
			t.Errorf("%+v: %v", f, took)
		}
	}
}
