package adapter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Run tells the cluster that this replica lives, until ctx ends; then it says
// goodbye and cuts what is still relayed. An entry that another writer has put in
// the place of this replica's is replaced. Only a live replica that proves itself
// keeps the tag: this one then gives its new sessions a random one, says so in the
// log, and serves those it has on. Run returns when ctx ends, with nil.
func (r *Router) Run(ctx context.Context) error {
	defer r.relay.close()
	tick := time.NewTicker(r.o.Heartbeat)
	defer tick.Stop()
	for {
		r.beat(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.goodbye(context.WithoutCancel(ctx))
			return nil
		}
	}
}

// goodbye takes this replica's entry away, unless it is another's. A lost goodbye
// costs its peers one refused connection.
func (r *Router) goodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	tag := r.tag()
	if text, err := r.rdb.Get(ctx, r.key(tag)).Result(); err == nil && text == r.keys.entry(tag, r.o.Advertise) {
		_ = r.rdb.Del(ctx, r.key(tag)).Err()
	}
}

// beat renews this replica's entry.
func (r *Router) beat(ctx context.Context) {
	bound, cancel := context.WithTimeout(ctx, r.o.Heartbeat)
	defer cancel()
	tag := r.tag()
	key, own, life := r.key(tag), r.keys.entry(tag, r.o.Advertise), 3*r.o.Heartbeat
	text, err := r.rdb.Get(bound, key).Result()
	switch {
	case errors.Is(err, redis.Nil):
		// Of two that start at once only one succeeds; the other sees it next time.
		err = r.rdb.SetNX(bound, key, own, life).Err()
	case err != nil:
	case text == own:
		err = r.rdb.Set(bound, key, own, life).Err()
	default:
		if addr, ok := r.keys.readEntry(tag, text); ok && r.proves(ctx, destination{tag, addr}) {
			r.rename(tag, addr)
			r.beat(ctx) // under the new one
			return
		}
		r.stats.takenBack.Add(1)
		if _, ok := r.replaced.Allow(); ok {
			r.log.Warn("adapter: this replica's entry in Redis was replaced, and is put back",
				"tag", tag, "key", key, "fix", "give nobody else write access to this key, and every replica a tag of its own")
		}
		err = r.rdb.Set(bound, key, own, life).Err()
	}
	if err != nil && ctx.Err() == nil {
		if held, ok := r.heartbeat.Allow(); ok {
			r.log.Warn("adapter: router heartbeat failed", "error", err, "not_logged", held)
		}
	}
}

// proves reports whether a replica lives at d.
func (r *Router) proves(ctx context.Context, d destination) bool {
	ctx, cancel := context.WithTimeout(ctx, r.o.DialTimeout+r.o.Heartbeat)
	defer cancel()
	conn, err := r.dial(ctx, d)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// rename gives this replica's new sessions another tag: the old one is a twin's.
func (r *Router) rename(tag, twin string) {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	next := hex.EncodeToString(b[:])
	tags := append(slices.Clone(*r.tags.Load()), next)
	r.tags.Store(&tags)
	r.log.Error("adapter: another replica has the same tag: new sessions get a random one",
		"tag", tag, "twin", twin, "new", next, "fix", "give every replica a tag of its own")
}
