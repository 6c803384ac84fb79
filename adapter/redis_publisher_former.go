package adapter

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/loglimit"
	"posthouse/internal/randid"
)

// ownNamePrefix begins the names that ClientName makes, and so tells them from names that
// several processes may have.
const ownNamePrefix = "posthouse-"

// ClientName returns a name for the connections of one client, redis.Options.ClientName,
// that no other client has. Adapters whose client has one keep the order of a node's messages
// also when a connection to Redis was given up without an answer: before they send on, they
// end the client's older connections at the server, so that nothing of them can arrive late
// (docs/reliability.md §5.1). An ACL has to allow +client|setname, without which go-redis does
// not connect, and +client|getname +client|id +client|list +client|kill.
func ClientName() string { return ownNamePrefix + randid.Hex(12) }

// redisSender is a client of a server, or one connection of it.
type redisSender interface {
	Process(ctx context.Context, cmd redis.Cmder) error
	Pipeline() redis.Pipeliner
}

// formerConns knows which servers may still receive messages of connections that were given
// up: those bytes lie in buffers between here and there. Safe for concurrent use.
type formerConns struct {
	mu           sync.Mutex // guards what follows
	unansweredAt map[*redis.Client]time.Time
	refusedLines loglimit.Limiter
}

// noteFailure notes that a batch that was begun at a time got no answer from node.
func (f *formerConns) noteFailure(node *redis.Client, began time.Time, err error) {
	if !isUnanswered(err) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unansweredAt == nil {
		f.unansweredAt = map[*redis.Client]time.Time{}
	}
	if _, known := f.unansweredAt[node]; !known {
		f.unansweredAt[node] = began
	}
}

// isUnanswered reports whether Redis may still get what was sent. It does not when no
// connection was made, nor on one that the server has ended.
func isUnanswered(err error) bool {
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout) {
		return false
	}
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}

func (f *formerConns) failedAt(node *redis.Client) (began time.Time, failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	began, failed = f.unansweredAt[node]
	return began, failed
}

// endFormer ends the connections of this client that are as old as the batch that got no
// answer, and returns the one it did that over; nil when there is nothing to end. The
// caller sends over that connection: another one of the pool may have been ended just now.
// The error is that of the network.
func (p *publisher) endFormer(ctx context.Context, node *redis.Client) (*redis.Conn, error) {
	began, failed := p.former.failedAt(node)
	if !failed {
		return nil, nil
	}
	conn := node.Conn()
	err := endConnsSince(ctx, conn, time.Since(began))
	if isRefusal(err) {
		if held, ok := p.former.refusedLines.Allow(); ok {
			p.log.Warn("redis does not let older connections be ended: messages of one that was given up may arrive late",
				"error", err, "fix", "allow +client|getname +client|id +client|list +client|kill to this user", "not_logged", held)
		}
	} else if err != nil {
		conn.Close() //nolint:errcheck // the error that counts is there
		return nil, err
	}
	p.former.mu.Lock()
	delete(p.former.unansweredAt, node)
	p.former.mu.Unlock()
	return conn, nil
}

// endConnsSince ends the connections that have conn's name and are at least of an age, but
// conn itself and those that wait for a stream, over which nothing is sent. Connections
// without a name of their own are left alone.
func endConnsSince(ctx context.Context, conn *redis.Conn, age time.Duration) error {
	name, err := conn.ClientGetName(ctx).Result()
	if errors.Is(err, redis.Nil) || err == nil && !strings.HasPrefix(name, ownNamePrefix) {
		return nil
	}
	if err != nil {
		return err
	}
	own, err := conn.ClientID(ctx).Result()
	if err != nil {
		return err
	}
	list, err := conn.Do(ctx, "client", "list", "type", "normal").Text()
	if err != nil {
		return err
	}
	pipe := conn.Pipeline()
	for line := range strings.Lines(list) {
		c := clientFields(line)
		// Redis counts whole seconds. A connection that was made a moment ago has nothing to do
		// with the failure, and may be another publisher's that has just begun again.
		lived, err := strconv.ParseInt(c["age"], 10, 64)
		if err != nil || c["name"] != name || c["id"] == strconv.FormatInt(own, 10) || strings.Contains(c["flags"], "b") ||
			time.Duration(lived)*time.Second < max(time.Second, age.Truncate(time.Second)) {
			continue
		}
		pipe.ClientKillByFilter(ctx, "id", c["id"])
	}
	if pipe.Len() == 0 {
		return nil
	}
	_, err = pipe.Exec(ctx)
	return err
}

// clientFields reads a line of CLIENT LIST.
func clientFields(line string) map[string]string {
	fields := map[string]string{}
	for _, field := range strings.Fields(line) {
		name, value, _ := strings.Cut(field, "=")
		fields[name] = value
	}
	return fields
}
