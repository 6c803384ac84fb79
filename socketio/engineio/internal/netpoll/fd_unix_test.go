//go:build unix

package netpoll_test

import (
	"crypto/tls"
	"net"
	"testing"

	"posthouse/socketio/engineio/internal/netpoll"
)

type wrapped struct {
	net.Conn
	plain net.Conn
}

func (w wrapped) PlainConn() net.Conn { return w.plain }

func TestRawConn_PlainConnectionsOnly(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tcp := conn.(*net.TCPConn)
	pipe, _ := net.Pipe()
	for name, test := range map[string]struct {
		conn net.Conn
		want bool
	}{
		"TCP":                {tcp, true},
		"wrapped":            {wrapped{tcp, tcp}, true},
		"wrapped, not empty": {wrapped{tcp, nil}, false},
		"unknown wrapper":    {struct{ *net.TCPConn }{tcp}, false},
		"TLS":                {tls.Client(tcp, nil), false},
		"pipe":               {pipe, false},
	} {
		if raw := netpoll.RawConn(test.conn); raw != nil != test.want {
			t.Errorf("%s: %v", name, raw)
		}
	}
}
