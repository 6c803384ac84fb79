//go:build linux && !goroutinereaders

package fasthttp1

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
)

// connContextOf returns the base of the contexts of a connection's requests.
func (l *Listener) connContextOf(fd int) context.Context {
	if l.sharedLocal {
		return l.baseCtx
	}
	var addr net.Addr = &net.TCPAddr{}
	if local, err := syscall.Getsockname(fd); err == nil {
		addr = net.TCPAddrFromAddrPort(withZoneName(addrOf(local)))
	}
	return context.WithValue(l.baseCtx, http.LocalAddrContextKey, addr)
}

func addrOf(sa syscall.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		ip := netip.AddrFrom16(a.Addr).Unmap()
		if a.ZoneId != 0 {
			ip = ip.WithZone(strconv.Itoa(int(a.ZoneId)))
		}
		return netip.AddrPortFrom(ip, uint16(a.Port))
	}
	return netip.AddrPort{}
}

// withZoneName gives the zone of an address the name that package net uses.
func withZoneName(a netip.AddrPort) netip.AddrPort {
	if index, err := strconv.Atoi(a.Addr().Zone()); err == nil {
		if i, err := net.InterfaceByIndex(index); err == nil {
			return netip.AddrPortFrom(a.Addr().WithZone(i.Name), a.Port())
		}
	}
	return a
}
