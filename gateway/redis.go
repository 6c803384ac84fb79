package gateway

import (
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
)

// newRedis makes the client for POSTHOUSE_REDIS_URL: one URL is a single server,
// several are the seeds of a cluster, and a master_name in a query makes them
// Sentinels. It connects lazily.
func newRedis(urls []string) (redis.UniversalClient, error) {
	var first *redis.Options
	var addrs []string
	master := ""
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, keyError("POSTHOUSE_REDIS_URL", "…", "write redis://[user:password@]host:port[/db]")
		}
		query := u.Query()
		if m := query.Get("master_name"); m != "" {
			master = m
			query.Del("master_name")
			u.RawQuery = query.Encode()
		}
		o, err := redis.ParseURL(u.String())
		if err != nil {
			return nil, keyError("POSTHOUSE_REDIS_URL", u.Redacted(), "write redis://[user:password@]host:port[/db]")
		}
		if first == nil {
			first = o
		}
		addrs = append(addrs, o.Addr)
	}
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: addrs, MasterName: master, IsClusterMode: len(addrs) > 1 && master == "",
		DB: first.DB, Username: first.Username, Password: first.Password, TLSConfig: first.TLSConfig,
		DialTimeout: 2 * time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second,
		// Writes are never repeated blindly; the stores repeat what is idempotent.
		MaxRetries: -1, ContextTimeoutEnabled: true,
		// A slow CLIENT SETINFO must not shift the replies that follow it.
		DisableIdentity: true,
	}), nil
}
