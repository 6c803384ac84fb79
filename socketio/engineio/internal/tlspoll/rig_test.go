//go:build linux

package tlspoll_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio/internal/netpoll"
	"posthouse/socketio/engineio/internal/tlspoll"
)

// serverConfig has a certificate that is made once.
var serverConfig = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// peer is the client's end. Its records can be held back, to be sent in pieces.
type peer struct {
	net.Conn
	mu   sync.Mutex // guards held
	held *bytes.Buffer
}

func (p *peer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		return p.held.Write(b)
	}
	return p.Conn.Write(b)
}

// SetWriteDeadline does nothing: crypto/tls would end the connection with its close_notify.
func (p *peer) SetWriteDeadline(time.Time) error { return nil }

// hold keeps what is written from now on; the function that it returns gives it.
func (p *peer) hold() (held func() []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = new(bytes.Buffer)
	return func() []byte {
		p.mu.Lock()
		defer p.mu.Unlock()
		b := p.held.Bytes()
		p.held = nil
		return b
	}
}

// rig is a client and a Stream on a pair of sockets, on which bytes arrive at once.
type rig struct {
	t      testing.TB
	client *tls.Conn
	peer   *peer
	stream *tlspoll.Stream
	fd     int
	keys   bytes.Buffer // in the format of SSLKEYLOGFILE
}

func newRig(t testing.TB, version uint16) *rig {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]net.Conn, 2)
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		ends[i], err = net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ends[i].Close() })
	}
	r := &rig{t: t, peer: &peer{Conn: ends[0]}}
	r.client = tls.Client(r.peer, &tls.Config{InsecureSkipVerify: true, MaxVersion: version, KeyLogWriter: &r.keys, //nolint:gosec // a test
		CurvePreferences: []tls.CurveID{tls.X25519}, SessionTicketsDisabled: true})
	listener := tlspoll.Listener{Listener: &oneConn{ends[1]}}
	below, _ := listener.Accept()
	server := tls.Server(below, serverConfig())
	done := make(chan error, 1)
	go func() { done <- r.client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	secure, c := tlspoll.Of(server)
	if c == nil || c.Raw() == nil {
		t.Fatal("the connection cannot be detached")
	}
	c.Raw().Control(func(fd uintptr) { r.fd, err = syscall.Dup(int(fd)) }) // err says it
	if err != nil {
		t.Fatal(err)
	}
	r.stream = tlspoll.Detach(secure, c, r.fd)
	c.NetConn().Close()
	t.Cleanup(func() { netpoll.CloseFD(r.fd) })
	return r
}

// oneConn is a listener of one connection.
type oneConn struct{ net.Conn }

func (l *oneConn) Accept() (net.Conn, error) { return l.Conn, nil }
func (l *oneConn) Addr() net.Addr            { return l.LocalAddr() }

// deliver sends bytes of the client as they are, and tells the stream.
func (r *rig) deliver(b []byte) {
	r.t.Helper()
	if _, err := r.peer.Conn.Write(b); err != nil {
		r.t.Fatal(err)
	}
	r.stream.Readable(false)
}

// awaitRoom waits until the socket takes more.
func (r *rig) awaitRoom() {
	unix.Poll([]unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLOUT}}, 5000) // the next write tells
}

// drain reads what is there.
func (r *rig) drain() (got []byte, err error) {
	buf := make([]byte, 4096)
	for {
		n, drained, err := r.stream.Read(buf)
		got = append(got, buf[:n]...)
		if drained || err != nil {
			return got, err
		}
	}
}

// records returns what the client sends for parts, one record or more each.
func (r *rig) records(parts ...string) []byte {
	r.t.Helper()
	held := r.peer.hold()
	for _, s := range parts {
		if _, err := io.WriteString(r.client, s); err != nil {
			r.t.Fatal(err)
		}
	}
	return held()
}

// sender makes TLS 1.3 records of a client by hand: crypto/tls sends no key updates.
type sender struct {
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// sender returns one for the client, which has sent seq records with its keys.
func (r *rig) sender(seq uint64) *sender {
	r.t.Helper()
	if id := r.client.ConnectionState().CipherSuite; id != tls.TLS_AES_128_GCM_SHA256 {
		r.t.Skipf("the suite is %s", tls.CipherSuiteName(id))
	}
	for line := range strings.Lines(r.keys.String()) {
		if f := strings.Fields(line); f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, _ := hex.DecodeString(f[2])
			s := &sender{secret: secret}
			s.derive()
			s.seq = seq
			return s
		}
	}
	r.t.Fatal("no secret")
	return nil
}

func expandLabel(secret []byte, label string, n int) []byte {
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(append(info, byte(len(label))), label...)
	b, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), n)
	if err != nil {
		panic(err)
	}
	return b
}

func (s *sender) derive() {
	block, err := aes.NewCipher(expandLabel(s.secret, "key", 16))
	if err != nil {
		panic(err)
	}
	s.aead, _ = cipher.NewGCM(block)
	s.iv, s.seq = expandLabel(s.secret, "iv", 12), 0
}

// record encrypts one record of the given type (RFC 8446 §5.2).
func (s *sender) record(typ byte, body string) []byte {
	nonce := bytes.Clone(s.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(s.seq >> (56 - 8*i))
	}
	s.seq++
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(body)+1+16))
	return s.aead.Seal(head, nonce, append([]byte(body), typ), head)
}

const (
	typeHandshake = 22
	typeData      = 23
)

// keyUpdate asks the server for new keys too, and goes on with the client's next ones.
func (s *sender) keyUpdate() []byte {
	b := s.record(typeHandshake, "\x18\x00\x00\x01\x01")
	s.secret = expandLabel(s.secret, "traffic upd", 32)
	s.derive()
	return b
}

func versions(t *testing.T, f func(t *testing.T, version uint16)) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(fmt.Sprintf("%#x", v), func(t *testing.T) { f(t, v) })
	}
}
