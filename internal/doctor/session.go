package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// openPacket is what a handshake tells.
type openPacket struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int      `json:"pingInterval"`
	PingTimeout  int      `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"` // 0: not announced
}

// strangerNamespace is one that no server has: the answer to its CONNECT is the
// doctor's echo.
const strangerNamespace = "/posthouse-doctor"

// unknownAck is the id of an event that was never sent.
const unknownAck = "90909"

// connection is a session over one transport. Its methods belong to one goroutine.
type connection interface {
	// send writes packets, as many as fit, in one message or payload.
	send(ctx context.Context, packets ...string) error
	// receive waits for packets.
	receive(ctx context.Context) ([]string, error)
	close()
}

// errUnknownSession is the refusal of a server that does not hold the session.
var errUnknownSession = errors.New("400 Session ID unknown")

// statusError is an answer that is no packet.
type statusError struct{ answer *answer }

func (e *statusError) Error() string { return e.answer.String() }

// pollingConn is a session by polling.
type pollingConn struct {
	walk     *walk
	client   *http.Client
	revision int
	open     openPacket
	early    []string // packets that came with the handshake
}

// openPolling makes a handshake.
func (w *walk) openPolling(ctx context.Context, client *http.Client, revision int) (*pollingConn, error) {
	w.pace(ctx)
	c := &pollingConn{walk: w, client: client, revision: revision}
	a, err := w.ask(ctx, client, http.MethodGet, w.target.url(c.query()), "", nil)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, &statusError{a}
	}
	if c.early, err = c.decode(a.body); err != nil {
		return nil, fmt.Errorf("%w: %s", err, a)
	}
	if c.open, err = parseOpen(c.early); err != nil {
		return nil, fmt.Errorf("%w: %s", err, a)
	}
	c.early = c.early[1:]
	return c, nil
}

func (c *pollingConn) query() string {
	// t keeps caches away, as that of socket.io-client does
	q := "EIO=" + strconv.Itoa(c.revision) + "&transport=polling&t=" + strconv.FormatInt(c.walk.requests.Add(1)+c.walk.began, 36)
	if c.revision == 3 {
		q += "&b64=1" // text, so that one decoder does
	}
	if c.open.SID != "" {
		q += "&sid=" + url.QueryEscape(c.open.SID)
	}
	return q
}

func (c *pollingConn) send(ctx context.Context, packets ...string) error {
	a, err := c.walk.ask(ctx, c.client, http.MethodPost, c.walk.target.url(c.query()), c.encode(packets), nil)
	if err != nil {
		return err
	}
	return c.judge(a)
}

func (c *pollingConn) judge(a *answer) error {
	switch {
	case a.status == http.StatusOK:
		return nil
	case a.code() == 1:
		return errUnknownSession
	}
	return &statusError{a}
}

func (c *pollingConn) receive(ctx context.Context) ([]string, error) {
	if len(c.early) > 0 {
		early := c.early
		c.early = nil
		return early, nil
	}
	a, err := c.walk.askOnce(ctx, c.client, http.MethodGet, c.walk.target.url(c.query()), "", nil) // as long as ctx
	if err != nil {
		return nil, err
	}
	if err := c.judge(a); err != nil {
		return nil, err
	}
	return c.decode(a.body)
}

// close tells the server that the session ends.
func (c *pollingConn) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.send(ctx, "1") // the session ends by itself otherwise
}

func (c *pollingConn) encode(packets []string) string {
	if c.revision == 4 {
		return strings.Join(packets, "\x1e")
	}
	var b strings.Builder
	for _, p := range packets {
		fmt.Fprintf(&b, "%d:%s", len(p), p)
	}
	return b.String()
}

var errNoPackets = errors.New("no packets of Engine.IO")

func (c *pollingConn) decode(body string) (packets []string, err error) {
	if c.revision == 4 {
		if body == "" {
			return nil, errNoPackets
		}
		return strings.Split(body, "\x1e"), nil
	}
	for body != "" {
		head, rest, ok := strings.Cut(body, ":")
		n, err := strconv.Atoi(head)
		if !ok || err != nil || n < 0 {
			return nil, errNoPackets
		}
		end := utf16Prefix(rest, n)
		if end < 0 {
			return nil, errNoPackets
		}
		packets = append(packets, rest[:end])
		body = rest[end:]
	}
	return packets, nil
}

// utf16Prefix is how many bytes of s are n UTF-16 units, in which revision 3 counts; -1
// when s is shorter.
func utf16Prefix(s string, n int) int {
	for i, r := range s {
		if n == 0 {
			return i
		}
		n--
		if r > 0xffff {
			n--
		}
	}
	if n == 0 {
		return len(s)
	}
	return -1
}

// echo asks for the namespace that does not exist, with pad bytes beside, and waits for
// the answer. Pings are answered meanwhile.
func (w *walk) echo(ctx context.Context, c connection, pad int) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err := c.send(ctx, w.paddedConnect(pad)...); err != nil {
		return err
	}
	return w.awaitEcho(ctx, c)
}

// paddedConnect is a CONNECT whose packets have pad bytes, if pad is more than they need.
func (w *walk) paddedConnect(pad int) []string {
	connect := "40" + strangerNamespace + ","
	if pad == 0 {
		return []string{connect}
	}
	if w.revision == 3 { // its CONNECT has no payload; the namespace / is joined already
		before := "43" + unknownAck + `["`
		return []string{before + strings.Repeat("x", max(0, pad-len(before)-len(connect)-16)) + `"]`, connect}
	}
	connect += `{"pad":"`
	return []string{connect + strings.Repeat("x", max(0, pad-len(connect)-2)) + `"}`}
}

func (w *walk) awaitEcho(ctx context.Context, c connection) error {
	for {
		packets, err := c.receive(ctx)
		if err != nil {
			return err
		}
		for _, p := range packets {
			switch {
			case strings.HasPrefix(p, "44"+strangerNamespace):
				return nil
			case strings.HasPrefix(p, "40"+strangerNamespace): // the server takes every name
				return c.send(ctx, "41"+strangerNamespace+",")
			case p == "2" && w.revision == 4:
				if err := c.send(ctx, "3"); err != nil {
					return err
				}
			case p == "1":
				return errors.New("the server closed the session")
			}
		}
	}
}

// join connects to the namespace of the URL, and returns the server's refusal if it
// has one.
func (w *walk) join(ctx context.Context, c connection) (refusal string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	name := ""
	if w.target.namespace != "/" {
		name = w.target.namespace + ","
	}
	if w.revision == 3 && name == "" {
		return "", nil // joined by the handshake
	}
	if err := c.send(ctx, "40"+name+string(w.options.Auth)); err != nil {
		return "", err
	}
	for {
		packets, err := c.receive(ctx)
		if err != nil {
			return "", err
		}
		for _, p := range packets {
			if rest, ok := strings.CutPrefix(p, "44"+name); ok {
				return clip(rest), nil
			}
			if strings.HasPrefix(p, "40"+name) {
				return "", nil
			}
		}
	}
}
