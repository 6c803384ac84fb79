package main

import (
	"net"
	"runtime"
	"testing"
)

// Connections that a server has count; those that their peers have left do not, nor do its
// peers' ends.
func TestEstablished_ServersEndsOnly(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux lists its connections")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var left net.Conn
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		left = c
	}
	base := "http://" + l.Addr().String()
	if n := established(base); n != 3 {
		t.Errorf("%v established connections, not 3", n)
	}
	left.Close()
	if n := established(base); n != 2 {
		t.Errorf("%v established connections, not 2, when a peer has left", n)
	}
}
