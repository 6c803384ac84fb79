package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/coder/websocket"
)

// socketConn is a session by WebSocket.
type socketConn struct {
	ws         *websocket.Conn
	open       openPacket
	extensions string // that were agreed on
}

// dialWebSocket opens a WebSocket; sid names the session that is to be upgraded. On a
// refusal the answer is in a statusError.
func (w *walk) dialWebSocket(ctx context.Context, sid string, compression websocket.CompressionMode) (*socketConn, error) {
	query := "EIO=" + strconv.Itoa(w.revision) + "&transport=websocket"
	if sid != "" {
		query += "&sid=" + url.QueryEscape(sid)
	}
	header := http.Header{"User-Agent": {"posthouse-doctor"}}
	if w.useOrigin {
		header.Set("Origin", w.pageOrigin())
	}
	var ws *websocket.Conn
	var resp *http.Response
	var err error
	w.untilTaken(ctx, func() (int, http.Header) {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		ws, resp, err = websocket.Dial(ctx, w.target.url(query), &websocket.DialOptions{ //nolint:bodyclose // the package has read it
			HTTPClient: w.target.kept, HTTPHeader: header, CompressionMode: compression,
		})
		if resp == nil {
			return 0, nil
		}
		return resp.StatusCode, resp.Header
	})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			a := &answer{status: resp.StatusCode, header: resp.Header}
			if resp.Body != nil {
				text, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10)) // what came tells enough
				a.body = string(text)
			}
			return nil, &statusError{a}
		}
		return nil, err
	}
	ws.SetReadLimit(4 << 20)
	return &socketConn{ws: ws, extensions: resp.Header.Get("Sec-WebSocket-Extensions")}, nil
}

// openSocket opens a session straight by WebSocket.
func (w *walk) openSocket(ctx context.Context, compression websocket.CompressionMode) (*socketConn, error) {
	w.pace(ctx)
	c, err := w.dialWebSocket(ctx, "", compression)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	packets, err := c.receive(ctx)
	if err == nil {
		c.open, err = parseOpen(packets)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *socketConn) send(ctx context.Context, packets ...string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for _, p := range packets {
		if err := c.ws.Write(ctx, websocket.MessageText, []byte(p)); err != nil {
			return err
		}
	}
	return nil
}

func (c *socketConn) receive(ctx context.Context) ([]string, error) {
	_, data, err := c.ws.Read(ctx)
	if err != nil {
		return nil, err
	}
	return []string{string(data)}, nil
}

func (c *socketConn) close() { _ = c.ws.CloseNow() } // the server notices

// checkWebSocket opens a session straight by WebSocket, as clients do that do not poll.
func (w *walk) checkWebSocket(ctx context.Context) {
	w.options.Progress("websocket")
	c, err := w.openSocket(ctx, websocket.CompressionDisabled)
	if err == nil {
		defer c.close()
		err = w.echo(ctx, c, 0)
	}
	if err == nil {
		w.hasSocket = true
		w.ok("websocket", "101, and a round trip")
		return
	}
	refused, ok := errors.AsType[*statusError](err)
	switch {
	case ok && refused.answer.code() == 0:
		w.skip("websocket", "the server offers no WebSocket")
	case ok && refused.answer.code() > 0:
		w.fail("websocket", faultUpgrade, "%s: the request reached the server without its Upgrade header", refused)
	case ok:
		w.noticeHop(refused.answer.header, refused.answer.body)
		w.fail("websocket", faultUpgrade, "%s in place of 101", refused)
	default:
		w.fail("websocket", faultUpgrade, "the WebSocket does not open: %s", plain(err))
	}
}

// checkUpgrade moves a polling session to a WebSocket, as browsers do.
func (w *walk) checkUpgrade(ctx context.Context) {
	switch {
	case !w.hasSocket:
		w.skip("upgrade", "needs a WebSocket")
		return
	case !w.isSticky:
		w.skip("upgrade", "needs polling")
		return
	case !slices.Contains(w.open.Upgrades, "websocket"):
		w.skip("upgrade", "the server offers none")
		return
	}
	w.options.Progress("upgrade")
	if err := w.upgrade(ctx); err != nil {
		w.fail("upgrade", faultUpgrade, "%s", plain(err))
		return
	}
	w.ok("upgrade", "probe answered, and a round trip")
}

func (w *walk) upgrade(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTimeout)
	defer cancel()
	p, err := w.openPolling(ctx, w.target.kept, w.revision)
	if err != nil {
		return err
	}
	c, err := w.dialWebSocket(ctx, p.open.SID, websocket.CompressionDisabled)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.send(ctx, "2probe"); err != nil {
		return err
	}
	for {
		packets, err := c.receive(ctx)
		if err != nil {
			return fmt.Errorf("the probe got no answer: %w", err)
		}
		if packets[0] == "3probe" {
			break
		}
	}
	if err := c.send(ctx, "5"); err != nil {
		return err
	}
	return w.echo(ctx, c, 0)
}

// checkBinary sends an attachment. A server that gets it in another form closes the session.
func (w *walk) checkBinary(ctx context.Context) {
	w.options.Progress("binary")
	header := "461-" + unknownAck + `[{"_placeholder":true,"num":0}]`
	data := []byte{0, 1, 2, 0x1e, 0x80, 0xff}
	var ways []string
	var refusal string
	try := func(way string, c connection, send func() error) error {
		defer c.close()
		var err error
		if refusal, err = w.join(ctx, c); err != nil || refusal != "" {
			return err
		}
		if err := send(); err != nil {
			return err
		}
		if err := w.echo(ctx, c, 0); err != nil {
			return err
		}
		ways = append(ways, way)
		return nil
	}
	var err error
	if w.target.namespace != "/" {
		header = "461-" + w.target.namespace + "," + unknownAck + `[{"_placeholder":true,"num":0}]`
	}
	if w.isSticky {
		p, openErr := w.openPolling(ctx, w.target.kept, w.revision)
		if err = openErr; err == nil {
			text := "bAAECHoD/"
			if w.revision == 3 {
				text = "b4AAECHoD/"
			}
			err = try("polling", p, func() error { return p.send(ctx, header, text) })
		}
	}
	if err == nil && refusal == "" && w.hasSocket {
		c, openErr := w.openSocket(ctx, websocket.CompressionDisabled)
		if err = openErr; err == nil {
			err = try("WebSocket", c, func() error {
				if err := c.send(ctx, header); err != nil {
					return err
				}
				if w.revision == 3 {
					return c.ws.Write(ctx, websocket.MessageBinary, append([]byte{4}, data...))
				}
				return c.ws.Write(ctx, websocket.MessageBinary, data)
			})
		}
	}
	switch {
	case err != nil:
		w.fail("binary", faultHeaders, "an attachment did not arrive: %s", plain(err))
	case refusal != "":
		w.skip("binary", "the server refuses the namespace %s: %s (--auth gives a token)", w.target.namespace, refusal)
	case len(ways) == 0:
		w.skip("binary", "needs polling or a WebSocket")
	default:
		w.ok("binary", "by %s", strings.Join(ways, " and "))
	}
}
