package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisTrouble is something about Redis that an operator has to change.
type redisTrouble struct {
	reason string // in the log, and in docs/troubleshooting.md
	what   string
	seen   string
	fix    string
}

// redisWatch asks Redis now and then whether it serves this gateway as it should.
type redisWatch struct {
	client redis.UniversalClient
	addr   string // of the first URL
	tls    bool   // it is a rediss:// URL
	log    *slog.Logger
	found  atomic.Pointer[redisTrouble] // nil: nothing is wrong, as of the last look
}

// newRedisWatch makes a watch of the servers of which url names the first.
func newRedisWatch(client redis.UniversalClient, url string, log *slog.Logger) *redisWatch {
	w := &redisWatch{client: client, log: log}
	if o, err := redisOptions([]string{url}, redisFiles{}); err == nil { // Normalize has looked at it
		w.addr, w.tls = o.Addrs[0], o.TLSConfig != nil
	}
	return w
}

const (
	redisWatchInterval = 15 * time.Second
	// redisWatchAway is the interval while Redis does not answer: a connection that it has
	// refused does not always tell why.
	redisWatchAway     = time.Second
	redisWatchPatience = 2 * time.Second
	// redisWatchRepeat is the least time between two lines about the same trouble.
	redisWatchRepeat = 10 * time.Minute
)

// run looks until ctx ends.
func (w *redisWatch) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	said := ""
	var saidAt time.Time
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		found, away := w.look(ctx)
		if ctx.Err() != nil {
			return
		}
		w.found.Store(found)
		if found != nil && (found.reason != said || time.Since(saidAt) > redisWatchRepeat) {
			said, saidAt = found.reason, time.Now()
			w.log.Warn("gateway: "+found.what, "reason", found.reason, "seen", found.seen, "fix", found.fix)
		}
		if away {
			timer.Reset(redisWatchAway)
		} else {
			timer.Reset(redisWatchInterval)
		}
	}
}

// look returns what is wrong, nil: nothing, and whether Redis did not answer.
func (w *redisWatch) look(ctx context.Context) (found *redisTrouble, away bool) {
	asking, cancel := context.WithTimeout(ctx, redisWatchPatience)
	defer cancel()
	if err := w.client.Ping(asking).Err(); err != nil {
		if found = redisRefusal(err); found == nil && w.speaksOtherwise(ctx) {
			found = w.otherScheme()
		}
		return found, true
	}
	if _, ok := w.client.(*redis.ClusterClient); !ok && redisInfo(asking, w.client, "cluster", "cluster_enabled") == "1" {
		return &redisTrouble{"redis_cluster", "redis is a server of a Redis Cluster, and POSTHOUSE_REDIS_URL names it alone", "cluster_enabled:1",
			"name several servers of the cluster in POSTHOUSE_REDIS_URL, with commas between"}, false
	}
	// Tickets must not go away when the memory is full (docs/reliability.md §3 row F12).
	if policy := redisInfo(asking, w.client, "memory", "maxmemory_policy"); policy != "" && policy != "noeviction" {
		return &redisTrouble{"redis_policy", "redis may evict tickets, which loses logins", "maxmemory-policy " + policy,
			"set maxmemory-policy to noeviction in redis.conf"}, false
	}
	return nil, false
}

// speaksOtherwise reports whether the server speaks TLS where the URL says it does not, or
// the other way round: either side waits for the other then, and no error tells.
func (w *redisWatch) speaksOtherwise(ctx context.Context) bool {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", w.addr)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(redisWatchPatience / 2))
	if !w.tls {
		err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) //nolint:gosec // nothing is sent
		return err == nil || redisRefusal(err) != nil
	}
	_, _ = io.WriteString(conn, "PING\r\n")
	var answer [1]byte
	_, err = io.ReadFull(conn, answer[:])
	return err == nil && strings.Contains("+-", string(answer[:]))
}

func (w *redisWatch) otherScheme() *redisTrouble {
	if w.tls {
		return &redisTrouble{"redis_tls", "redis does not speak as POSTHOUSE_REDIS_URL says", w.addr + " answers without TLS",
			"name the port that speaks TLS, or write redis:// in place of rediss://"}
	}
	return &redisTrouble{"redis_tls", "redis does not speak as POSTHOUSE_REDIS_URL says", w.addr + " answers with TLS",
		"write rediss:// in place of redis://"}
}

// redisInfo returns one field of INFO; "" when there is none, or the user of the URL may not ask.
func redisInfo(ctx context.Context, client redis.UniversalClient, section, field string) string {
	text, err := client.Info(ctx, section).Result()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return value
		}
	}
	return ""
}

// redisRefusal returns what an error says about the settings; nil: nothing.
func redisRefusal(err error) *redisTrouble {
	var untrusted *tls.CertificateVerificationError
	var remote *net.OpError
	switch {
	case errors.As(err, &untrusted):
		return &redisTrouble{"redis_certificate", "redis shows a certificate that is not trusted", untrusted.Err.Error(),
			"put the certificates of its authority into POSTHOUSE_REDIS_CA_FILE, and the name that the certificate is for into POSTHOUSE_REDIS_URL"}
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert of TLS
		return &redisTrouble{"redis_client_certificate", "redis refuses the TLS connection of this gateway", remote.Err.Error(),
			"set POSTHOUSE_REDIS_CERT_FILE and POSTHOUSE_REDIS_KEY_FILE to a pair that its tls-ca-cert-file has issued"}
	case redis.IsAuthError(err):
		return &redisTrouble{"redis_password", "redis refuses the user or password of this gateway", err.Error(),
			"put user and password into POSTHOUSE_REDIS_URL: redis://user:password@host:port"}
	case redis.IsPermissionError(err):
		return &redisTrouble{"redis_permission", "redis does not let the user of this gateway do what it needs", err.Error(),
			"allow the user of POSTHOUSE_REDIS_URL the command that was seen, by ACL SETUSER"}
	}
	return nil
}
