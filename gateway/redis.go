package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
)

// newRedis makes the client for POSTHOUSE_REDIS_URL. It connects lazily.
func newRedis(urls []string, files redisFiles, log *slog.Logger) (redis.UniversalClient, error) {
	redis.SetLogger(redisLog{log})
	o, err := redisOptions(urls, files)
	if err != nil {
		return nil, err
	}
	if o.IsClusterMode {
		c := o.Cluster()
		c.ClusterStateReloadInterval = topologyAge
		return redis.NewClusterClient(c), nil
	}
	return redis.NewUniversalClient(o), nil
}

// topologyAge is how old a cluster's table of slots may be. A command to a master that is
// gone makes go-redis look at the table again and no server for a newer one, so that the slots
// of that master would fail for its minute, although another server has them (docs/reliability.md §3 row F4).
const topologyAge = 2 * time.Second

// redisOptions reads POSTHOUSE_REDIS_URL: one URL is a single server, several are the
// seeds of a cluster, and a master_name in a query makes them Sentinels.
func redisOptions(urls []string, files redisFiles) (*redis.UniversalOptions, error) {
	const key, form = "POSTHOUSE_REDIS_URL", "write redis://[user:password@]host:port[/db], or rediss:// for TLS"
	var first *redis.Options
	var addrs []string
	master := ""
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, keyError(key, raw, form)
		}
		query := u.Query()
		if m := query.Get("master_name"); m != "" {
			master = m
			query.Del("master_name")
			u.RawQuery = query.Encode()
		}
		o, err := redis.ParseURL(u.String())
		if err != nil || o.Network != "tcp" {
			return nil, keyError(key, u.String(), form)
		}
		if first == nil {
			first = o
		}
		// The servers are one database: what differs would be ignored.
		if (o.TLSConfig == nil) != (first.TLSConfig == nil) || o.Username != first.Username || o.Password != first.Password || o.DB != first.DB {
			return nil, keyError(key, u.String(), "give all URLs the same scheme, user, password and database")
		}
		addrs = append(addrs, o.Addr)
	}
	if err := files.apply(first); err != nil {
		return nil, err
	}
	return &redis.UniversalOptions{
		Addrs: addrs, MasterName: master, IsClusterMode: len(addrs) > 1 && master == "",
		DB: first.DB, Username: first.Username, Password: first.Password, TLSConfig: first.TLSConfig,
		DialTimeout: 2 * time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second,
		// Writes are never repeated blindly; the stores repeat what is idempotent.
		MaxRetries: -1, ContextTimeoutEnabled: true,
		// A slow CLIENT SETINFO must not shift the replies that follow it.
		DisableIdentity: true,
		// RESP3's pushes are of no use here, and the client looks for one before each reply of a
		// pipeline.
		Protocol:  2,
		OnConnect: nameConnection(adapter.ClientName()),
	}, nil
}

// nameConnection gives connections the name by which adapters know the client's older ones.
// A user that may not do that gets connections without one: messages of a connection that
// was given up may then arrive late (docs/reliability.md §5.1).
func nameConnection(name string) func(context.Context, *redis.Conn) error {
	return func(ctx context.Context, c *redis.Conn) error {
		err := c.ClientSetName(ctx, name).Err()
		var refused redis.Error
		if errors.As(err, &refused) {
			return nil
		}
		return err
	}
}

// redisPassword is the secret of the first URL, "" when it has none.
func redisPassword(urls []string) string {
	if len(urls) == 0 {
		return ""
	}
	u, err := url.Parse(urls[0])
	if err != nil {
		return ""
	}
	password, _ := u.User.Password()
	return password
}

// redisLog takes what the client would print: what matters of it is an error of
// some call, and said there.
type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(_ context.Context, format string, v ...any) {
	l.log.Debug("redis client", "message", fmt.Sprintf(format, v...))
}
