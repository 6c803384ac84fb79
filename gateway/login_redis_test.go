package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/internal/testenv"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/login"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// startRedis starts a server that ends with this process, however that ends: the
// shell kills it when its input closes. It can be stopped and started again.
type redisServer struct {
	t    *testing.T
	port string
	dir  string
	stop func()
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	testenv.Need(t, "redis-server")
	s := &redisServer{t: t, port: strconv.Itoa(testenv.FreePort(t)), dir: t.TempDir()}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *redisServer) addr() string { return "127.0.0.1:" + s.port }

func (s *redisServer) start() {
	s.t.Helper()
	cmd := exec.Command("sh", "-c", `redis-server "$@" >/dev/null & pid=$!; cat >/dev/null; kill -9 $pid; wait $pid 2>/dev/null`, "sh",
		"--port", s.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--dir", s.dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.stop = sync.OnceFunc(func() {
		stdin.Close()
		_ = cmd.Wait() // killed
	})
	one := redis.NewClient(&redis.Options{Addr: s.addr(), DisableIdentity: true, DialTimeout: time.Second, MaxRetries: -1})
	defer one.Close()
	testenv.Until(s.t, 10*time.Second, "redis-server comes up", func() bool { return one.Ping(context.Background()).Err() == nil })
}

// redisReplica is a replica whose store and adapter are in Redis.
func redisReplica(t *testing.T, addr string, change func(*Config, *login.ServiceOptions)) *replica {
	t.Helper()
	return redisReplicaOf(t, "redis", addr, change)
}

// redisReplicaOf is redisReplica with the adapter that POSTHOUSE_ADAPTER would name.
func redisReplicaOf(t *testing.T, kind, addr string, change func(*Config, *login.ServiceOptions)) *replica {
	t.Helper()
	rdb, err := newRedis([]string{"redis://" + addr}, redisFiles{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rdb.Close() })
	store, err := login.NewRedis(rdb, &login.RedisOptions{Accounts: []string{"default"}})
	if err != nil {
		t.Fatal(err)
	}
	spool, err := login.OpenSpool(t.TempDir() + "/claims")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { spool.Close() })
	log := slog.New(slog.DiscardHandler)
	r := &replica{store: &faulty{Store: store}, codes: &codeMaker{}}
	r.server = sockettest.NewServer(t, &socketio.Options{Logger: log, NewAdapter: newAdapter(rdb, kind, "", log)})
	cfg, o := loginConfig(), login.ServiceOptions{Spool: spool}
	if change != nil {
		change(cfg, &o)
	}
	r.build(t, cfg, o)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.loginService.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return r
}

// docs/reliability.md §4 row 36, even without a challenge: what passes through Redis
// while pages of one replica are logged in by webhooks of another.
func TestLogin_NoTokenPassesThroughRedis(t *testing.T) {
	server := startRedis(t)
	var capture strings.Builder
	stop := testenv.Monitor(t, server.addr(), func(line string) { capture.WriteString(line) })

	here, there := redisReplica(t, server.addr(), nil), redisReplica(t, server.addr(), nil)
	var secrets []string
	for range 100 {
		p := here.page(t)
		q := p.qrcode()
		there.scan(t, q, "ana")
		p.expectState(login.Done)
		token, m := expect[string](p, "token")
		m.Ack()
		p.Disconnected()
		p.Close()
		secrets = append(secrets, token, q.Resume)
	}
	stop()
	text := capture.String()
	if n := strings.Count(text, ticketEvent); n < 90 {
		t.Fatalf("%d hints were seen", n)
	}
	for _, s := range append(secrets, "eyJhbGciOi") {
		if strings.Contains(text, s) {
			t.Fatalf("%s passed through Redis", s)
		}
	}
}

// docs/reliability.md §3 rows F1 and F32: Redis is killed while pages wait; people scan while it is
// away and after; no login is lost.
func TestLogin_RedisIsKilledAndComesBack(t *testing.T) {
	server := startRedis(t)
	here, there := redisReplica(t, server.addr(), nil), redisReplica(t, server.addr(), nil)
	const logins = 30
	pages, codes := make([]page, logins), make([]qrcodeAnswer, logins)
	for i := range pages {
		pages[i] = here.page(t)
		codes[i] = pages[i].qrcode()
	}
	fsynced := time.NewTimer(1200 * time.Millisecond) // appendfsync everysec
	<-fsynced.C
	server.stop()
	for i := range logins / 2 {
		if _, o := there.scan(t, codes[i], fmt.Sprint("person-", i)); o != login.OutcomeSpooled {
			t.Fatalf("while Redis is away: %s", o)
		}
		if i == 2 { // the rest meets a server that comes back
			server.start()
			break
		}
	}
	for i := 3; i < logins; i++ {
		there.scan(t, codes[i], fmt.Sprint("person-", i))
	}
	for i, p := range pages {
		p.expectState(login.Done)
		token, m := expect[string](p, "token")
		if c, err := here.verify(token); err != nil || c.OpenID != fmt.Sprint("person-", i) {
			t.Fatalf("page %d: %+v, %v", i, c, err)
		}
		m.Ack()
		p.Disconnected()
	}
}
