package adapter

import (
	"context"
	"encoding/json"
	"slices"
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
		exists, has := pipe.Exists(ctx, key), pipe.HExists(ctx, key, field)
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, err
		}
		switch {
		case has.Val():
			found = append(found, currentSession{uid, key, field})
		case exists.Val() == 0:
			// The node has ended. One that lives adds itself again with its next session.
			at.SRem(ctx, c.nodesKey, uid)
		}
	}
	return found, nil
}

// takeCurrent takes a session out of the hashes in which it is.
func (c *currentSessions) takeCurrent(ctx context.Context, found []currentSession, pid string) (*socketio.RecoverableSession, error) {
	for _, f := range found {
		node, err := c.log.redisNodes.ownerOf(ctx, f.key)
		if err != nil {
			return nil, err
		}
		pipe := node.TxPipeline()
		get, del := pipe.HGet(ctx, f.key, f.field), pipe.HDel(ctx, f.key, f.field)
		_, _ = pipe.Exec(ctx) // each command has its own error
		if err := del.Err(); err != nil {
			return nil, err
		}
		if del.Val() == 0 {
			continue // another node was faster, or its socket has just ended
		}
		session := new(socketio.RecoverableSession)
		if json.Unmarshal([]byte(get.Val()), session) != nil || session.SID == "" {
			return nil, errMalformed
		}
		session.PID = pid
		return session, nil
	}
	return nil, nil
}

// findTaken looks which sessions other nodes took out of the hash while this one was away.
func (c *currentSessions) findTaken(ctx context.Context, node *redis.Client) error {
	names, err := node.HKeys(ctx, c.key).Result()
	if err != nil || !slices.Contains(names, nodeField) {
		return err
	}
	there := make(map[string]struct{}, len(names))
	for _, name := range names {
		there[name] = struct{}{}
	}
	for digest, confirmed := range c.written {
		_, has := there[fieldOf(digest)]
		if _, known := c.taken[digest]; !has && confirmed && !known {
			c.taken[digest] = struct{}{}
			c.log.wg.Go(func() { c.endTaken(digest) })
		}
	}
	return nil
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
