package adapter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/randid"
	userpresence "posthouse/socketio/presence"
)

// PresenceOptions configure NewPresence.
type PresenceOptions struct {
	// Key is the prefix of all keys; "" means "socket.io". All nodes of a cluster need the
	// same.
	Key string
	// Lease is how long a node that is silent is taken for alive. Default 15 s: with the
	// second that Presence looks around in, killed nodes are gone within 20 s.
	Lease time.Duration
}

const (
	defaultLease = 15 * time.Second
	// maxChanges is about how many changes of rooms Redis remembers; a node that was away for
	// more looks at all its rooms.
	maxChanges = 10_000
	// presenceRound bounds the rooms of a dead node that one command takes.
	presenceRound = 100
)

// writePresenceScript writes what a node knows of a user in a room. KEYS: leases, changes,
// the room, the rooms of the node. ARGV: node, user, since, connections (-1: gone), room,
// whether the node has no other user there, length of the changes. A field of the room is
// since|node=connections,…; nodes without a lease are left out of it. A change is noted when
// the user comes or leaves.
const writePresenceScript = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local field = redis.call('HGET', KEYS[3], ARGV[2])
local since, list, was = ARGV[3], {}, false
if field then
  local at = string.find(field, '|', 1, true)
  for node, count in string.gmatch(string.sub(field, at + 1), '([^=,]+)=(%d+)') do
    local lease = redis.call('ZSCORE', KEYS[1], node)
    if node == ARGV[1] then
      was = true
    elseif lease and tonumber(lease) > now then
      was = true
      list[#list + 1] = node .. '=' .. count
    end
  end
  if was then since = string.sub(field, 1, at - 1) end
end
if ARGV[4] ~= '-1' then
  list[#list + 1] = ARGV[1] .. '=' .. ARGV[4]
  redis.call('SADD', KEYS[4], ARGV[5])
elseif ARGV[6] == '1' then
  redis.call('SREM', KEYS[4], ARGV[5])
end
if #list > 0 then
  redis.call('HSET', KEYS[3], ARGV[2], since .. '|' .. table.concat(list, ','))
else
  redis.call('HDEL', KEYS[3], ARGV[2])
end
if was ~= (#list > 0) then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[7], '*', 'r', ARGV[5])
end`

// renewScript holds a lease. KEYS: leases. ARGV: node, milliseconds, whether the node begins.
// It returns 1 when the lease is held.
const renewScript = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if ARGV[3] == '0' and not (lease and tonumber(lease) > now) then return 0 end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
return 1`

// deadScript returns nodes whose leases have ended. KEYS: leases.
const deadScript = `local time = redis.call('TIME')
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), 'LIMIT', 0, 10)`

// NewPresence returns the store of a presence.Presence in Redis: one for each node, shared
// by its namespaces. For rdb see Redis; its error tells of another kind of client. All keys
// are on one server of a cluster.
func NewPresence(rdb redis.UniversalClient, opts *PresenceOptions) (userpresence.Store, error) {
	var o PresenceOptions
	if opts != nil {
		o = *opts
	}
	nodes, err := newRedisNodes(rdb)
	if err != nil {
		return nil, err
	}
	o.Key = cmp.Or(o.Key, "socket.io")
	if o.Lease <= 0 {
		o.Lease = defaultLease
	}
	return &redisPresence{nodes: nodes, prefix: "{" + o.Key + "}-presence:", lease: o.Lease}, nil
}

// redisPresence is a presence.Store. Its methods but Read are called by one goroutine at a
// time, Write by any.
type redisPresence struct {
	nodes  redisNodes
	prefix string
	lease  time.Duration

	name    atomic.Pointer[string] // of the lease; nil before the first
	changes string                 // the id up to which changes are known; "" means that all may be new
}

func (s *redisPresence) leases() string             { return s.prefix + "leases" }
func (s *redisPresence) changed() string            { return s.prefix + "changes" }
func (s *redisPresence) room(room string) string    { return s.prefix + "room:" + room }
func (s *redisPresence) roomsOf(node string) string { return s.prefix + "rooms:" + node }

func (s *redisPresence) server(ctx context.Context) (*redis.Client, error) {
	return s.nodes.ownerOf(ctx, s.leases())
}

func (s *redisPresence) nodeName() string {
	if name := s.name.Load(); name != nil {
		return *name
	}
	return ""
}

// Lease implements presence.Store.
func (s *redisPresence) Lease() time.Duration { return s.lease }

// Renew implements presence.Store. A node whose lease had ended goes on under another name:
// what it had written may be removed by others at any time.
func (s *redisPresence) Renew(ctx context.Context) (lapsed bool, err error) {
	server, err := s.server(ctx)
	if err != nil {
		return false, err
	}
	if name := s.nodeName(); name != "" {
		held, err := server.Eval(ctx, renewScript, []string{s.leases()}, name, s.lease.Milliseconds(), 0).Int()
		if err != nil || held == 1 {
			return false, err
		}
	}
	name := randid.Hex(6)
	if err := server.Eval(ctx, renewScript, []string{s.leases()}, name, s.lease.Milliseconds(), 1).Err(); err != nil {
		return false, err
	}
	s.name.Store(&name)
	s.changes = ""
	return true, nil
}

// Write implements presence.Store: one script for each change, in one round trip.
func (s *redisPresence) Write(ctx context.Context, changes []userpresence.Change) error {
	return s.write(ctx, s.nodeName(), changes)
}

func (s *redisPresence) write(ctx context.Context, node string, changes []userpresence.Change) error {
	if len(changes) == 0 {
		return nil
	}
	server, err := s.server(ctx)
	if err != nil {
		return err
	}
	_, err = server.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, c := range changes {
			connections, empty := c.Connections, 0
			if c.Gone {
				connections = -1
			}
			if c.RoomEmpty {
				empty = 1
			}
			p.Eval(ctx, writePresenceScript, []string{s.leases(), s.changed(), s.room(c.Room), s.roomsOf(node)},
				node, c.User, c.Since.UnixMilli(), connections, c.Room, empty, maxChanges)
		}
		return nil
	})
	if errors.Is(err, redis.Nil) { // scripts return nothing
		err = nil
	}
	return err
}

// Read implements presence.Store.
func (s *redisPresence) Read(ctx context.Context, room string) ([]userpresence.Member, error) {
	server, err := s.server(ctx)
	if err != nil {
		return nil, err
	}
	var now *redis.TimeCmd
	var leases *redis.ZSliceCmd
	var fields *redis.MapStringStringCmd
	_, err = server.TxPipelined(ctx, func(p redis.Pipeliner) error {
		now = p.Time(ctx)
		leases = p.ZRangeWithScores(ctx, s.leases(), 0, -1)
		fields = p.HGetAll(ctx, s.room(room))
		return nil
	})
	if err != nil {
		return nil, err
	}
	alive := map[string]bool{}
	for _, lease := range leases.Val() {
		name, _ := lease.Member.(string)
		alive[name] = lease.Score > float64(now.Val().UnixMilli())
	}
	members := make([]userpresence.Member, 0, len(fields.Val()))
	for user, field := range fields.Val() {
		since, connections, here := parsePresence(field, alive)
		if here {
			members = append(members, userpresence.Member{User: user, Since: since, Connections: connections})
		}
	}
	return members, nil
}

// latestSince is the last millisecond that JSON has a form for.
const latestSince = 253402300799999

// parsePresence reads the field of a user. Numbers that no replica writes count as nothing, so
// that one bad field does not spoil the list of the others.
func parsePresence(field string, alive map[string]bool) (since time.Time, connections int, here bool) {
	text, list, _ := strings.Cut(field, "|")
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms < 0 || ms > latestSince {
		ms = 0
	}
	for entry := range strings.SplitSeq(list, ",") {
		node, count, _ := strings.Cut(entry, "=")
		if n, err := strconv.ParseUint(count, 10, 31); alive[node] && err == nil {
			connections, here = connections+int(n), true
		}
	}
	return time.UnixMilli(ms).UTC(), connections, here
}

// Changed implements presence.Store.
func (s *redisPresence) Changed(ctx context.Context) (rooms []string, all bool, err error) {
	server, err := s.server(ctx)
	if err != nil {
		return nil, false, err
	}
	if s.changes == "" {
		last, err := server.XRevRangeN(ctx, s.changed(), "+", "-", 1).Result()
		if err != nil {
			return nil, false, err
		}
		s.changes = "0-0"
		if len(last) > 0 {
			s.changes = last[0].ID
		}
		return nil, true, nil
	}
	entries, err := server.XRangeN(ctx, s.changed(), "("+s.changes, "+", maxChanges/2).Result()
	if err != nil {
		s.changes = "" // how much is missed while Redis is away is not known
		return nil, false, err
	}
	if len(entries) == maxChanges/2 {
		s.changes = ""
		return nil, true, nil
	}
	for _, e := range entries {
		room, _ := e.Values["r"].(string)
		rooms = append(rooms, room)
		s.changes = e.ID
	}
	return rooms, false, nil
}

// Sweep implements presence.Store. Several nodes may do it at once.
func (s *redisPresence) Sweep(ctx context.Context) error {
	server, err := s.server(ctx)
	if err != nil {
		return err
	}
	dead, err := server.Eval(ctx, deadScript, []string{s.leases()}).StringSlice()
	if err != nil {
		return err
	}
	for _, node := range dead {
		if err := s.sweepNode(ctx, server, node); err != nil {
			return fmt.Errorf("adapter: presence: remove a dead node: %w", err)
		}
	}
	return nil
}

func (s *redisPresence) sweepNode(ctx context.Context, server *redis.Client, node string) error {
	for {
		rooms, err := server.SRandMemberN(ctx, s.roomsOf(node), presenceRound).Result()
		if err != nil {
			return err
		}
		if len(rooms) == 0 {
			return server.ZRem(ctx, s.leases(), node).Err()
		}
		for _, room := range rooms {
			fields, err := server.HGetAll(ctx, s.room(room)).Result()
			if err != nil {
				return err
			}
			var changes []userpresence.Change
			for user, field := range fields {
				if strings.Contains(field, "|"+node+"=") || strings.Contains(field, ","+node+"=") {
					changes = append(changes, userpresence.Change{Room: room, User: user, Gone: true})
				}
			}
			if err := s.write(ctx, node, changes); err != nil {
				return err
			}
			if err := server.SRem(ctx, s.roomsOf(node), room).Err(); err != nil {
				return err
			}
		}
	}
}
