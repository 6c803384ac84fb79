package gateway

import (
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

func TestRedisOptions_URLsThatDiffer_AreRefused(t *testing.T) {
	for name, urls := range map[string][]string{
		"scheme":           {"redis://a", "rediss://b"},
		"password":         {"redis://:x@a", "redis://:y@b"},
		"user":             {"redis://u:x@a", "redis://v:x@b"},
		"database":         {"redis://a/1", "redis://b/2"},
		"unix":             {"unix:///run/redis.sock"},
		"scheme of a site": {"http://:x@a"},
		"escape":           {"redis://:x@a%zz"},
		"space":            {"redis://u y:x@a b"},
	} {
		if _, err := redisOptions(urls, redisFiles{}); err == nil || !strings.Contains(err.Error(), "POSTHOUSE_REDIS_URL") || strings.Contains(err.Error(), ":x@") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRedisOptions_FilesThatDoNotFit_AreRefused(t *testing.T) {
	_, cert, key := testenv.Certificate(t, time.Hour)
	for name, c := range map[string]struct {
		url   string
		files redisFiles
		key   string
	}{
		"plain":       {"redis://a", redisFiles{ca: cert}, "POSTHOUSE_REDIS_CA_FILE"},
		"no such":     {"rediss://a", redisFiles{ca: cert + "x"}, "POSTHOUSE_REDIS_CA_FILE"},
		"a key":       {"rediss://a", redisFiles{ca: key}, "POSTHOUSE_REDIS_CA_FILE"},
		"no key":      {"rediss://a", redisFiles{cert: cert}, "POSTHOUSE_REDIS_KEY_FILE"},
		"no cert":     {"rediss://a", redisFiles{key: key}, "POSTHOUSE_REDIS_CERT_FILE"},
		"wrong order": {"rediss://a", redisFiles{cert: key, key: cert}, "POSTHOUSE_REDIS_CERT_FILE"},
	} {
		if _, err := redisOptions([]string{c.url}, c.files); err == nil || !strings.Contains(err.Error(), c.key) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each server of a cluster is judged by its own name.
func TestRedisOptions_TLSOfSeveralServers_ChecksEachName(t *testing.T) {
	o, err := redisOptions([]string{"rediss://one.example:6379", "rediss://two.example:6379"}, redisFiles{})
	if err != nil || o.TLSConfig == nil || o.TLSConfig.ServerName != "" {
		t.Fatalf("%v %+v", err, o)
	}
}
