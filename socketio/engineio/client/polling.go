package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/internal/wire"
)

// statusText is how much of the body of a refusal is kept.
const statusText = 512

// request makes one request of polling and returns the body of its answer.
func (c *Conn) request(ctx context.Context, method, contentType string, body []byte) ([]byte, *http.Response, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url("polling", c.id), reader)
	if err != nil {
		return nil, nil, err
	}
	c.setHeader(r)
	r.Header.Set("Accept", "*/*")
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, refusalError(resp)
	}
	if resp.ContentLength > int64(c.opts.MaxPayload) {
		return nil, nil, ErrMaxPayload
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.opts.MaxPayload)+1))
	if err == nil && len(answer) > c.opts.MaxPayload {
		err = ErrMaxPayload
	}
	return answer, resp, err
}

// refusal returns the error for an answer with another status than the wanted one.
func refusalError(resp *http.Response) error {
	e := &StatusError{Status: resp.StatusCode}
	if resp.StatusCode != http.StatusSwitchingProtocols { // its body is a connection
		text, _ := io.ReadAll(io.LimitReader(resp.Body, statusText)) // the status says enough
		e.Body = strings.ToValidUTF8(string(text), "\uFFFD")
	}
	return e
}

// get polls once. octets says that the answer is a binary payload of revision 3.
func (c *Conn) get(ctx context.Context) (body []byte, octets bool, err error) {
	body, resp, err := c.request(ctx, http.MethodGet, "", nil) //nolint:bodyclose // request has read and closed it
	if err != nil {
		return nil, false, err
	}
	octets = c.opts.EIO == 3 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/octet-stream")
	if !octets && !utf8.Valid(body) {
		return nil, false, protocolError(wire.ErrNotUTF8)
	}
	return body, octets, nil
}

// nextPacket returns the function that cuts packets off a payload.
func (c *Conn) nextPacket(octets bool) func([]byte) (wire.Packet, []byte, bool, error) {
	switch {
	case c.opts.EIO == 4:
		return wire.NextPacket4
	case octets:
		return wire.NextBinary3
	}
	return wire.NextText3
}

// poll reads by polling until the connection ends or an upgrade takes over.
func (r *receiver) poll() {
	c := r.conn
	body, octets := c.pendingBody, c.pendingOctets
	c.pendingBody = nil
	for {
		if body != nil {
			r.receivePayload(body, octets)
		}
		if c.pollingIsOver() {
			return
		}
		var err error
		if body, octets, err = c.get(c.pollCtx); err != nil {
			c.end(engineio.ReasonTransportError, err)
			return
		}
		c.noteReceived()
	}
}

// payload takes the packets of one answer.
func (r *receiver) receivePayload(body []byte, octets bool) {
	next := r.conn.nextPacket(octets)
	for done := false; !done; {
		var p wire.Packet
		var err error
		if p, body, done, err = next(body); err != nil {
			r.conn.end(engineio.ReasonTransportError, protocolError(err))
			return
		}
		if !r.receivePacket(p) {
			return
		}
	}
}

// pollingIsOver reports whether Serve must not poll again: the connection has ended, or
// an upgrade waits for it.
func (c *Conn) pollingIsOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == stateClosed || c.nextStream != nil
}

// startPostLocked sends what waits, unless a POST is under way or the transport changes.
func (c *Conn) startPostLocked() {
	if c.sending || len(c.packets) == 0 || c.nextStream != nil || c.stream != nil || c.state == stateClosed {
		return
	}
	c.sending = true
	c.helpers.Add(1)
	c.workers.Go(postTask{c})
}

// postTask writes by POSTs while packets wait.
type postTask struct{ conn *Conn }

// Run implements workers.Task.
func (t postTask) Run() {
	c := t.conn
	defer c.helpers.Done()
	for {
		c.mu.Lock()
		batch := c.takeBatchLocked()
		if len(batch) == 0 {
			c.sending = false
			if c.postEnded != nil {
				close(c.postEnded)
				c.postEnded = nil
			}
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		body, contentType := c.encodeBatch(batch)
		_, _, err := c.request(c.pollCtx, http.MethodPost, contentType, body) //nolint:bodyclose // request has read and closed it
		if err != nil && !errors.Is(err, context.Canceled) {
			c.end(engineio.ReasonTransportError, err)
		}
		if batch[len(batch)-1].Type == wire.Close {
			c.end(engineio.ReasonForcedClose, nil)
		}
	}
}

// takeBatchLocked takes the packets of one POST: as many as the server takes at once.
func (c *Conn) takeBatchLocked() []wire.Packet {
	if c.nextStream != nil || c.state == stateClosed {
		return nil
	}
	n, size := 0, 0
	for ; n < len(c.packets); n++ {
		cost := len(c.packets[n].Data) + 16 // type, separator or length
		if c.packets[n].Binary {
			cost += len(c.packets[n].Data)/3 + 3 // base64
		}
		if size += cost; n > 0 && c.serverMax > 0 && size > c.serverMax {
			break
		}
	}
	batch := c.packets[:n:n]
	c.packets = c.packets[n:]
	for _, p := range batch {
		c.packetBytes -= len(p.Data) + packetCost
	}
	if len(c.packets) == 0 {
		c.packets = nil
	}
	return batch
}

// encodeBatch returns the body of a POST.
func (c *Conn) encodeBatch(batch []wire.Packet) (body []byte, contentType string) {
	const text = "text/plain;charset=UTF-8"
	if c.opts.EIO == 4 {
		for i, p := range batch {
			if i > 0 {
				body = append(body, wire.Separator)
			}
			body = wire.AppendPacket4(body, p)
		}
		return body, text
	}
	for _, p := range batch {
		if p.Binary {
			for _, p := range batch {
				body = wire.AppendBinary3(body, p)
			}
			return body, "application/octet-stream"
		}
	}
	for _, p := range batch {
		body = wire.AppendText3(body, p)
	}
	return body, text
}
