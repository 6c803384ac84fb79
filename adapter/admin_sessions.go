package adapter

import (
	"context"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio/admin"
)

// AdminSessions keeps the sessions of socketio/admin in Redis, so that a page that
// logged in on one node is known to all, Node servers with the RedisStore of
// @socket.io/admin-ui included. The zero Prefix is Node's, "socket.io-admin".
type AdminSessions struct {
	Redis  redis.UniversalClient
	Prefix string
}

var _ admin.SessionStore = AdminSessions{}

func (s AdminSessions) key(id string) string {
	prefix := s.Prefix
	if prefix == "" {
		prefix = "socket.io-admin"
	}
	return prefix + "#" + id
}

// Save implements admin.SessionStore.
func (s AdminSessions) Save(ctx context.Context, id string) error {
	return s.Redis.Set(ctx, s.key(id), "1", admin.SessionLife).Err()
}

// Has implements admin.SessionStore.
func (s AdminSessions) Has(ctx context.Context, id string) (bool, error) {
	n, err := s.Redis.Exists(ctx, s.key(id)).Result()
	return n == 1, err
}
