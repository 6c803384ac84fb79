package client_test

import "net"

type netConn = net.Conn
