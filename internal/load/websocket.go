package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// wsConn is the client end of one Engine.IO session over WebSocket. One
// goroutine may read while another writes.
type wsConn struct {
	net.Conn
	r    *bufio.Reader
	body []byte // the last message
	out  []byte // frames to be written
	// headSize is how many bytes the answer to the upgrade and the open packet had.
	headSize int
}

// ioTimeout bounds every wait of a client for the server.
const ioTimeout = 20 * time.Second

var mask = [4]byte{0x5a, 0x17, 0xe3, 0x88}

// dialPlain connects; nothing is sent.
func dialPlain(ctx context.Context, addr string) (*wsConn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &wsConn{Conn: nc, r: bufio.NewReaderSize(nc, 2048)}
	return c, nil
}

// dialWS opens a session and takes its open packet.
func dialWS(ctx context.Context, addr string) (*wsConn, error) { return dialFrom(ctx, addr, "") }

// dialFrom is dialWS with a header of the caller's own, or none.
func dialFrom(ctx context.Context, addr, header string) (*wsConn, error) {
	c, err := dialPlain(ctx, addr)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(ioTimeout))
	if _, err = io.WriteString(c, upgradeRequest(addr, header)); err == nil {
		err = c.opened()
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, c.SetDeadline(time.Time{})
}

func upgradeRequest(addr, header string) string {
	return "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: " + addr +
		"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + header + "\r\n"
}

// opened reads the answer to upgradeRequest, and the open packet.
func (c *wsConn) opened() error {
	head, err := readHead(c.r)
	if err != nil {
		return err
	}
	if head.status != "101" || head.accept != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		return fmt.Errorf("load: upgrade answered with status %s", head.status)
	}
	open, err := c.read()
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(open, []byte("0{")) || !bytes.Contains(open, []byte(`"sid":"`)) { // the order of keys is not part of the protocol
		return fmt.Errorf("load: open packet %.80q", open)
	}
	c.headSize = head.size + 2 + len(open)
	if len(open) > 125 {
		c.headSize += 2
	}
	return nil
}

// connect joins a namespace and returns the server's answer after its header.
func (c *wsConn) connect(namespace string) (string, error) {
	prefix := "40"
	if namespace != "/" {
		prefix += namespace + ","
	}
	c.text(prefix)
	if err := c.flush(); err != nil {
		return "", err
	}
	answer, err := c.read()
	if err != nil {
		return "", err
	}
	rest, ok := strings.CutPrefix(string(answer), prefix+`{"sid":"`)
	if !ok {
		return "", fmt.Errorf("load: CONNECT answered with %.80q", answer)
	}
	return rest, nil
}

// text adds a text frame to what flush writes.
func (c *wsConn) text(s string) { c.frame(0x81, s) }

// binary adds a binary frame.
func (c *wsConn) binary(b []byte) { c.frame(0x82, string(b)) }

func (c *wsConn) frame(op byte, s string) {
	c.out = append(c.out, op)
	switch n := len(s); {
	case n < 126:
		c.out = append(c.out, 0x80|byte(n))
	case n < 1<<16:
		c.out = binary.BigEndian.AppendUint16(append(c.out, 0x80|126), uint16(n))
	default:
		c.out = binary.BigEndian.AppendUint64(append(c.out, 0x80|127), uint64(n))
	}
	c.out = append(c.out, mask[:]...)
	for i := range len(s) {
		c.out = append(c.out, s[i]^mask[i&3])
	}
}

func (c *wsConn) flush() error {
	_, err := c.Write(c.out)
	c.out = c.out[:0]
	return err
}

// send writes one text frame, leaving alone what text has gathered.
func (c *wsConn) send(s string) error {
	kept := c.out
	c.out = nil
	c.text(s)
	err := c.flush()
	c.out = kept
	return err
}

var errClosedByServer = errors.New("load: closed by the server")

// read returns the next message, valid until the next call. It answers pings of
// the engine, so no other goroutine may write while it waits.
func (c *wsConn) read() ([]byte, error) {
	for {
		op, err := c.readFrame()
		switch {
		case err != nil:
			return nil, err
		case op == 8:
			return nil, errClosedByServer
		case op == 1 && string(c.body) == "2":
			if err := c.send("3"); err != nil {
				return nil, err
			}
		case op == 1 || op == 2:
			return c.body, nil
		default:
			return nil, fmt.Errorf("load: frame with opcode %d", op)
		}
	}
}

func (c *wsConn) readFrame() (op byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(c.r, head[:2]); err != nil {
		return 0, err
	}
	op = head[0] & 0x0f
	if head[0]&0xf0 != 0x80 || head[1]&0x80 != 0 {
		return 0, fmt.Errorf("load: frame header % x", head[:2])
	}
	n := uint64(head[1])
	switch n {
	case 126:
		_, err = io.ReadFull(c.r, head[:2])
		n = uint64(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(c.r, head[:8])
		n = binary.BigEndian.Uint64(head[:8])
	}
	if err != nil {
		return 0, err
	}
	if n > 1<<24 {
		return 0, fmt.Errorf("load: frame of %d bytes", n)
	}
	if uint64(cap(c.body)) < n {
		c.body = make([]byte, n)
	}
	c.body = c.body[:n]
	_, err = io.ReadFull(c.r, c.body)
	return op, err
}

// expect reads a message that must be want.
func (c *wsConn) expect(want string) error {
	got, err := c.read()
	if err == nil && string(got) != want {
		err = fmt.Errorf("load: got %.120q instead of %.120q", got, want)
	}
	return err
}
