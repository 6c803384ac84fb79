package adapter

import (
	"bytes"
	"context"
	"net"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Redis sends a subscriber its own messages too, and a node that publishes much reads each
// of them back only to leave it out. ownFilter does that below the client, which would
// build values of a message before its sender can be seen.

// filterBuffer is how much of a connection is looked at at once; a message whose channel is
// longer is not looked into.
const filterBuffer = 32 << 10

// withoutOwn returns a client like node whose connections leave out the messages that
// Redis sends for a pattern and whose payload begins with own. seen is called for each.
func withoutOwn(node *redis.Client, own []byte, seen func()) *redis.Client {
	o := *node.Options()
	dial := o.Dialer
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &ownFilter{Conn: c, own: own, seen: seen, buf: make([]byte, filterBuffer)}, nil
	}
	// These settings belong to the pool of the other client: this one has a single connection.
	o.MinIdleConns, o.PushNotificationProcessor, o.MaintNotificationsConfig = 0, nil, nil
	o.Protocol = 2 // with RESP3 the client looks at each message twice
	return redis.NewClient(&o)
}

// ownFilter is a connection of RESP 2 or 3. It understands as much of what arrives as it
// needs to find the next reply.
type ownFilter struct {
	net.Conn
	own  []byte
	seen func()

	buf      []byte
	from, to int  // of buf: read, and not given to the reader yet
	values   int  // of the reply under way that are still to come
	passing  int  // bytes that belong to the reader
	dropping int  // bytes that are left out
	lost     bool // this is no RESP: everything belongs to the reader
}

// Read implements net.Conn.
func (f *ownFilter) Read(p []byte) (int, error) {
	for {
		if n := min(f.dropping, f.to-f.from); n > 0 {
			f.from, f.dropping = f.from+n, f.dropping-n
		}
		if n := f.give(p); n > 0 || len(p) == 0 {
			return n, nil
		}
		if f.dropping > 0 && f.from < f.to {
			continue
		}
		if f.from == f.to {
			f.from, f.to = 0, 0
		} else if f.to == len(f.buf) {
			f.to = copy(f.buf, f.buf[f.from:f.to])
			f.from = 0
		}
		n, err := f.Conn.Read(f.buf[f.to:])
		f.to += n
		switch {
		case n > 0 || err == nil:
		case f.from < f.to && f.dropping == 0 && !f.lost: // cut in the middle
			f.lost = true
		default:
			return 0, err
		}
	}
}

// give copies to p what certainly belongs to the reader.
func (f *ownFilter) give(p []byte) (n int) {
	for n < len(p) && f.from < f.to && f.dropping == 0 {
		if f.lost {
			f.passing = f.to - f.from
		}
		if f.passing > 0 {
			c := copy(p[n:], f.buf[f.from:min(f.to, f.from+f.passing)])
			n, f.from, f.passing = n+c, f.from+c, f.passing-c
			continue
		}
		text := f.buf[f.from:f.to]
		full := f.from == 0 && f.to == len(f.buf)
		if f.values == 0 {
			size, isOwn, enough := f.ownMessage(text)
			switch {
			case isOwn:
				f.dropping = size
				f.seen()
				return n
			case !enough && !full:
				return n
			}
			f.values = 1
		}
		end := bytes.IndexByte(text, '\n')
		if end < 0 && !full {
			return n
		}
		f.lost = !f.next(text[:end+1])
	}
	return n
}

// next takes the first line of a value. false means that it is none.
func (f *ownFilter) next(line []byte) bool {
	f.passing = len(line)
	if len(line) < 3 {
		return false
	}
	f.values--
	kind := line[0]
	switch kind {
	case '*', '>', '~', '%', '|', '$', '=', '!':
	case '+', '-', ':', '_', ',', '#', '(':
		return true
	default:
		return false
	}
	size, err := strconv.Atoi(string(line[1 : len(line)-2]))
	if err != nil || size < -1 || size > 1<<30 {
		return false
	}
	if size < 0 { // nothing
		return true
	}
	switch kind {
	case '$', '=', '!':
		f.passing += size + 2
	case '%':
		f.values += 2 * size
	case '|': // stands before a value, and is none
		f.values += 2*size + 1
	default:
		f.values += size
	}
	return true
}

// ownMessage reports whether text begins with a message of this node, and its size.
// enough is false when that cannot be seen yet.
func (f *ownFilter) ownMessage(text []byte) (size int, isOwn, enough bool) {
	const head = "4\r\n$8\r\npmessage\r\n"
	if text[0] != '*' && text[0] != '>' {
		return 0, false, true
	}
	if known := min(len(text)-1, len(head)); string(text[1:1+known]) != head[:known] {
		return 0, false, true
	}
	if len(text) <= len(head) {
		return 0, false, false
	}
	i := 1 + len(head)
	for range 2 { // pattern and channel
		n, at, ok := bulkHead(text, i)
		if !ok {
			return 0, false, at < 0
		}
		i = at + n + 2
	}
	n, at, ok := bulkHead(text, i)
	if !ok {
		return 0, false, at < 0
	}
	payload := text[at:]
	if n < len(f.own) || len(payload) >= len(f.own) && !bytes.Equal(payload[:len(f.own)], f.own) {
		return 0, false, true
	}
	return at + n + 2, len(payload) >= len(f.own), len(payload) >= len(f.own)
}

// bulkHead reads $size at text[i]. Without ok, at is negative when it is something else,
// and not when it has not arrived.
func bulkHead(text []byte, i int) (size, at int, ok bool) {
	if i >= len(text) {
		return 0, 0, false
	}
	if text[i] != '$' {
		return 0, -1, false
	}
	for i++; i < len(text); i++ {
		switch c := text[i]; {
		case c-'0' < 10 && size < 1<<30:
			size = size*10 + int(c-'0')
		case c == '\r':
			return size, i + 2, i+2 <= len(text)
		default:
			return 0, -1, false
		}
	}
	return 0, 0, false
}
