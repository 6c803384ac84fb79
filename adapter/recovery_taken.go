package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio"
)

// A session of a connected socket goes on at another node when its own is taken for dead. A
// node that was only cut off from Redis learns of it when it is back.

// currentSession is what a hash holds of a session, and the node that wrote it.
type currentSession struct {
	owner, key, field string
}

// findCurrent looks for a session in the hashes of all nodes.
func (c *currentSessions) findCurrent(ctx context.Context, digest sessionDigest) (found []currentSession, err error) {
	at, err := c.log.redisNodes.ownerOf(ctx, c.nodesKey)
	if err != nil {
		return nil, err
	}
	uids, err := at.SMembers(ctx, c.nodesKey).Result()
	if err != nil {
		return nil, err
	}
	field := fieldOf(digest)
	for _, uid := range uids {
		if uid == c.log.uid {
			continue // what this node has it knows itself
		}
		key := c.nodesKey + uid + "#"
		node, err := c.log.redisNodes.ownerOf(ctx, key)
		if err != nil {
			return nil, err
		}
		pipe := node.Pipeline()
		exists, has, isTaken := pipe.Exists(ctx, key), pipe.HExists(ctx, key, field), pipe.HExists(ctx, key, takenField(field))
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, err
		}
		switch {
		case has.Val() && !isTaken.Val():
			found = append(found, currentSession{uid, key, field})
		case exists.Val() == 0:
			// The node has ended. One that lives adds itself again with its next session.
			at.SRem(ctx, c.nodesKey, uid)
		}
	}
	return found, nil
}

// takenField names the field that tells the owner of a hash, and nodes that look into it
// later, that another node took the session of a field: text that the owner writes before it
// learns of that is older than the session.
func takenField(field string) string { return takenPrefix + field }

const takenPrefix = "taken#"

// takeField returns and removes a field of a hash, and leaves the field that tells of it.
var takeField = redis.NewScript(`
local session = redis.call('HGET', KEYS[1], ARGV[1])
if not session or redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then
	return false
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return session`)

// takeCurrent takes a session out of the hashes in which it is.
func (c *currentSessions) takeCurrent(ctx context.Context, found []currentSession, pid string) (*socketio.RecoverableSession, error) {
	for _, f := range found {
		node, err := c.log.redisNodes.ownerOf(ctx, f.key)
		if err != nil {
			return nil, err
		}
		text, err := takeField.Run(ctx, node, []string{f.key}, f.field, takenField(f.field), c.log.uid).Text()
		if errors.Is(err, redis.Nil) {
			continue // another node was faster, or its socket has just ended
		}
		if err != nil {
			return nil, err
		}
		session := new(socketio.RecoverableSession)
		if json.Unmarshal([]byte(text), session) != nil || session.SID == "" {
			return nil, errMalformed
		}
		session.PID = pid
		return session, nil
	}
	return nil, nil
}

// findTaken looks which sessions other nodes took out of the hash while this one was away, and
// ends their sockets. It returns the fields that are to be removed: those of no session of
// this node, known being the sessions that it has or had.
func (c *currentSessions) findTaken(ctx context.Context, node *redis.Client, known map[sessionDigest]struct{}) (strange []string, err error) {
	names, err := node.HKeys(ctx, c.key).Result()
	if err != nil || !slices.Contains(names, nodeField) {
		return nil, err
	}
	there := make(map[string]struct{}, len(names))
	for _, name := range names {
		there[name] = struct{}{}
	}
	fields := make(map[string]struct{}, len(known))
	for digest := range known {
		field := fieldOf(digest)
		fields[field] = struct{}{}
		confirmed, was := c.written[digest]
		_, has := there[field]
		_, isTaken := there[takenField(field)]
		if _, isEnding := c.taken[digest]; was && !isEnding && (isTaken || !has && confirmed) {
			c.taken[digest] = struct{}{}
			c.log.wg.Go(func() { c.endTaken(digest) })
		}
	}
	for _, name := range names {
		if _, ok := fields[strings.TrimPrefix(name, takenPrefix)]; !ok && name != nodeField {
			strange = append(strange, name)
		}
	}
	return strange, nil
}

// endTaken ends the socket of a session that goes on at another node.
func (c *currentSessions) endTaken(digest sessionDigest) {
	ctx, cancel := context.WithTimeout(c.log.ctx, c.log.requestTimeout)
	defer cancel()
	_, _ = c.log.localAdapter.KeepSession(ctx, digest) // what endCurrent says keeps it from being kept
	c.writing.Lock()
	delete(c.taken, digest)
	c.writing.Unlock()
}

// staysDead reports whether the node is gone and does not come back at once, as one does
// that lost its subscription only: that one knows better what its session is.
func (a *recoveryLog) staysDead(ctx context.Context, uid string) bool {
	pause := time.NewTicker(deadPause)
	defer pause.Stop()
	for range deadLooks {
		if !a.isDead(ctx, uid) {
			return false
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// isDead reports whether the node is known to be gone: Redis ends the subscriptions of
// a killed process at once.
func (a *recoveryLog) isDead(ctx context.Context, uid string) bool {
	channel := a.answersChannel(uid)
	counts, err := a.redisNodes.countSubscribers(ctx, a.sharded, channel)
	return err == nil && counts[channel] == 0
}
