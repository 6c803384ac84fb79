package client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
)

// The numbers of SOCKS 5 (RFC 1928, RFC 1929).
const (
	socksVersion    = 5
	socksNoAuth     = 0
	socksPassword   = 2
	socksConnect    = 1
	socksIPv4       = 1
	socksHost       = 3
	socksIPv6       = 4
	passwordVersion = 1
)

var errSOCKS = errors.New("the answer is none of SOCKS 5")

// connectSOCKS asks a SOCKS 5 proxy for a connection. The proxy resolves the name.
func connectSOCKS(conn net.Conn, proxy *url.URL, addr string) error {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return err
	}
	user := proxy.User.Username()
	password, _ := proxy.User.Password()
	if len(host) > 255 || len(user) > 255 || len(password) > 255 {
		return errors.New("a name is longer than SOCKS 5 can carry")
	}
	method := byte(socksNoAuth)
	if proxy.User != nil {
		method = socksPassword
	}
	var answer [2]byte
	if err := exchange(conn, []byte{socksVersion, 1, method}, answer[:]); err != nil {
		return err
	}
	if answer != [2]byte{socksVersion, method} {
		return fmt.Errorf("SOCKS: the proxy refuses authentication method %d", method)
	}
	if method == socksPassword {
		question := append([]byte{passwordVersion, byte(len(user))}, user...)
		question = append(append(question, byte(len(password))), password...)
		if err := exchange(conn, question, answer[:]); err != nil {
			return err
		}
		if answer[1] != 0 {
			return errors.New("SOCKS: the proxy refuses the password")
		}
	}
	question := append([]byte{socksVersion, socksConnect, 0, socksHost, byte(len(host))}, host...)
	var head [4]byte
	if err := exchange(conn, append(question, byte(port>>8), byte(port)), head[:]); err != nil {
		return err
	}
	if head[0] != socksVersion {
		return errSOCKS
	}
	if head[1] != 0 {
		return fmt.Errorf("SOCKS: the proxy refuses the connection (reply %d)", head[1])
	}
	return skipBoundAddress(conn, head[3])
}

// skipBoundAddress reads the address that the proxy uses, and its port.
func skipBoundAddress(conn net.Conn, kind byte) error {
	var n int
	switch kind {
	case socksIPv4:
		n = net.IPv4len
	case socksIPv6:
		n = net.IPv6len
	case socksHost:
		var length [1]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return err
		}
		n = int(length[0])
	default:
		return errSOCKS
	}
	_, err := io.CopyN(io.Discard, conn, int64(n)+2)
	return err
}

// exchange sends a question and reads an answer of the length of answer.
func exchange(conn net.Conn, question, answer []byte) error {
	if _, err := conn.Write(question); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, answer)
	return err
}
