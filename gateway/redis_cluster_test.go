package gateway

import (
	"log/slog"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A cluster's table of slots is asked for anew within the time that a login waits.
func TestNewRedis_Cluster_TableOfSlotsIsFresh(t *testing.T) {
	rdb, err := newRedis([]string{"redis://127.0.0.1:1", "redis://127.0.0.1:2"}, redisFiles{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	c, ok := rdb.(*redis.ClusterClient)
	if !ok || c.Options().ClusterStateReloadInterval != topologyAge {
		t.Fatalf("%T", rdb)
	}
}
