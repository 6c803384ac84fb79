package engineio

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"syscall"

	"posthouse/socketio/engineio/internal/netpoll"
)

// patientListener waits for descriptors in place of net/http, which tries again only
// once a second.
type patientListener struct {
	net.Listener
	log         *slog.Logger
	shortage    netpoll.Shortage // of the one goroutine that accepts
	closeSignal chan struct{}
	closeOnce   sync.Once
}

// Accept implements net.Listener.
func (l *patientListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			l.shortage.Over()
			return c, nil
		case !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE):
			return nil, err
		case !l.shortage.Wait(l.log, err, l.closeSignal):
			return nil, net.ErrClosed
		}
	}
}

// Close implements net.Listener.
func (l *patientListener) Close() error {
	l.closeOnce.Do(func() { close(l.closeSignal) })
	return l.Listener.Close()
}
