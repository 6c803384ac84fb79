package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// unixPath is the path of an address such as unix:/run/posthouse.sock, else "".
func unixPath(addr string) string {
	path, ok := strings.CutPrefix(addr, "unix:")
	if !ok {
		return ""
	}
	return path
}

// listenAll binds the main address and, where that is no plain TCP, the inner one.
func (a *App) listenAll() (err error) {
	switch {
	case a.config.TLSCertFile != "":
		files, err := newCertificate(a.config.TLSCertFile, a.config.TLSKeyFile, a.log)
		if err != nil {
			return keyError("POSTHOUSE_TLS_CERT_FILE", a.config.TLSCertFile, err.Error()) // changed since normalizeTLS
		}
		a.certificate = files
	case len(a.config.ACMEHosts) > 0:
		acme, err := a.newACME()
		if err != nil {
			return err
		}
		a.certificate = acme
	}
	if a.listener, err = listenMain(a.config.Addr); err != nil {
		return fmt.Errorf("gateway: listen: %w", err)
	}
	if a.certificate == nil && a.listener.Addr().Network() == "tcp" {
		return nil
	}
	needed := len(a.config.RedisURL) > 0 || len(a.config.Accounts) == 0 && a.config.WeChatSimulator == ""
	if !needed {
		return nil
	}
	addr := "127.0.0.1:0"
	if a.config.Advertise != "" {
		addr = a.config.Advertise
	}
	if a.inner, err = net.Listen("tcp", addr); err != nil {
		return fmt.Errorf("gateway: POSTHOUSE_ADVERTISE: replicas reach this one by plain HTTP at an address beside the main one: %w", err)
	}
	return nil
}

// listenMain takes the socket that systemd hands over, or binds addr.
func listenMain(addr string) (net.Listener, error) {
	l, err := activatedListener()
	if l != nil || err != nil {
		return l, err
	}
	path := unixPath(addr)
	if path == "" {
		return net.Listen("tcp", addr)
	}
	// The file of a process that died is in the way; one that a process serves is not.
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", path, syscall.EADDRINUSE)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(path) // Listen says what is wrong
	}
	if l, err = net.Listen("unix", path); err != nil {
		return nil, err
	}
	return &unixListener{l}, nil
}

// activatedListener is the first socket of systemd's activation; nil without one.
func activatedListener() (net.Listener, error) {
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) || n < 1 {
		return nil, nil
	}
	const first = 3
	file := os.NewFile(first, "systemd socket")
	defer file.Close() // FileListener has its own descriptor
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("the socket of systemd: %w", err)
	}
	if l.Addr().Network() == "unix" {
		l.(*net.UnixListener).SetUnlinkOnClose(false) // systemd owns the file
		return &unixListener{l}, nil
	}
	return l, nil
}

// unixListener gives connections of a Unix socket an address, which limits and trusted
// proxies go by: they come from this machine.
type unixListener struct{ net.Listener }

// Accept implements net.Listener.
func (l *unixListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	unix, ok := c.(*net.UnixConn)
	if !ok {
		return c, nil
	}
	return unixConn{unix}, nil
}

type unixConn struct{ *net.UnixConn }

// PlainConn lets the event loops of the engine read a WebSocket of this connection: without it
// each one holds a goroutine.
func (c unixConn) PlainConn() net.Conn { return c.UnixConn }

// RemoteAddr implements net.Conn.
func (unixConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// tcpAddr is where l listens; for a Unix socket, loopback without a port.
func tcpAddr(l net.Listener) *net.TCPAddr {
	if addr, ok := l.Addr().(*net.TCPAddr); ok {
		return addr
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
}

// plainListener is what this process and other replicas reach by plain HTTP.
func (a *App) plainListener() net.Listener {
	if a.inner != nil {
		return a.inner
	}
	return a.listener
}

func (a *App) serveMain(server *http.Server) error {
	if a.certificate == nil {
		return a.ioServer.Serve(a.listener, server)
	}
	server.TLSConfig = a.certificate.config()
	server.Protocols = http1Only()
	return a.ioServer.ServeTLS(a.listener, server, "", "")
}

// http1Only leaves HTTP/2 out: every path of the main address may be beside a WebSocket
// of the same page, and browsers upgrade HTTP/1.1 connections only.
func http1Only() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// servePlain serves the inner address and POSTHOUSE_HTTP_ADDR.
func (a *App) servePlain(tasks *sync.WaitGroup, failed chan<- error) (stop func(), err error) {
	var servers []*http.Server
	stop = func() {
		for _, s := range servers {
			_ = s.Close()
		}
	}
	if a.inner != nil {
		h := a.httpHandler
		if !tcpAddr(a.inner).IP.IsLoopback() {
			h = onlyBelow(a.config.SocketIOPath, h)
		}
		server := a.newServer(h)
		servers = append(servers, server)
		tasks.Go(func() {
			if err := a.ioServer.Serve(a.inner, server); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("gateway: serve replicas: %w", err)
			}
		})
	}
	if a.config.HTTPAddr != "" {
		l, err := net.Listen("tcp", a.config.HTTPAddr)
		if err != nil {
			stop()
			return nil, fmt.Errorf("gateway: POSTHOUSE_HTTP_ADDR: %w", err)
		}
		server := a.newSideServer(a.redirectHandler(), 10*time.Second)
		servers = append(servers, server)
		tasks.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("gateway: serve http: %w", err)
			}
		})
	}
	return stop, nil
}

// onlyBelow serves the paths of Socket.IO: replicas need no other.
func onlyBelow(path string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isUnder(r.URL.Path, path) {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}
