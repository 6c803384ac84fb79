package adapter

import (
	"context"
	"errors"
	"slices"
	"time"

	"posthouse/internal/randid"

	"github.com/redis/go-redis/v9"
)

// Run tells the cluster that this replica lives, until ctx ends; then it says
// goodbye and cuts what is still relayed. An entry that another writer has put in
// the place of this replica's is replaced. Only a live replica that proves itself
// keeps the tag: this one then gives its new sessions a random one, says so in the
// log, and serves those it has on. Run returns when ctx ends, with nil.
func (r *Relay) Run(ctx context.Context) error {
	defer r.forwarder.closeAll()
	tick := time.NewTicker(r.options.Heartbeat)
	defer tick.Stop()
	for {
		r.renewEntry(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.removeEntry(context.WithoutCancel(ctx))
			return nil
		}
	}
}

// removeEntry takes this replica's entry away, unless it is another's. A lost goodbye
// costs its peers one refused connection.
func (r *Relay) removeEntry(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	tag := r.currentTag()
	if text, err := r.redisClient.Get(ctx, r.entryKey(tag)).Result(); err == nil && text == r.relayKeys.signedEntry(tag, r.options.Advertise) {
		_ = r.redisClient.Del(ctx, r.entryKey(tag)).Err()
	}
}

// renewEntry renews this replica's entry.
func (r *Relay) renewEntry(ctx context.Context) {
	bound, cancel := context.WithTimeout(ctx, r.options.Heartbeat)
	defer cancel()
	tag := r.currentTag()
	key, own, life := r.entryKey(tag), r.relayKeys.signedEntry(tag, r.options.Advertise), 3*r.options.Heartbeat
	text, err := r.redisClient.Get(bound, key).Result()
	switch {
	case errors.Is(err, redis.Nil):
		// Of two that start at once only one succeeds; the other sees it next time.
		err = r.redisClient.SetNX(bound, key, own, life).Err()
	case err != nil:
	case text == own:
		err = r.redisClient.Set(bound, key, own, life).Err()
	default:
		if addr, ok := r.relayKeys.readEntry(tag, text); ok && r.provesItself(ctx, destination{tag, addr}) {
			r.renameTag(tag, addr)
			r.renewEntry(ctx) // under the new one
			return
		}
		r.counters.takenBack.Add(1)
		if _, ok := r.replacedLines.Allow(); ok {
			r.log.Warn("adapter: this replica's entry in Redis was replaced, and is put back",
				"tag", tag, "key", key, "fix", "give nobody else write access to this key, and every replica a tag of its own")
		}
		err = r.redisClient.Set(bound, key, own, life).Err()
	}
	if err != nil && ctx.Err() == nil {
		if held, ok := r.heartbeatLines.Allow(); ok {
			r.log.Warn("adapter: relay heartbeat failed", "error", err, "not_logged", held)
		}
	}
}

// provesItself reports whether a replica lives at d.
func (r *Relay) provesItself(ctx context.Context, d destination) bool {
	ctx, cancel := context.WithTimeout(ctx, r.options.DialTimeout+r.options.Heartbeat)
	defer cancel()
	conn, err := r.dialReplica(ctx, d)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// renameTag gives this replica's new sessions another tag: the old one is a twin's.
func (r *Relay) renameTag(tag, twin string) {
	next := randid.Hex(4)
	tags := append(slices.Clone(*r.ownTags.Load()), next)
	r.ownTags.Store(&tags)
	r.log.Error("adapter: another replica has the same tag: new sessions get a random one",
		"tag", tag, "twin", twin, "new", next, "fix", "give every replica a tag of its own")
}
