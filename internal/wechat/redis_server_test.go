package wechat_test

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisServer starts a Redis of its own for the test, or skips it.
func redisServer(t *testing.T) redis.UniversalClient {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("POSTHOUSE_TEST_ALL") == "1" {
			t.Fatal("redis-server is missing")
		}
		t.Skip("redis-server is not installed: the shared token cache is not tested against Redis")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	cmd := exec.Command(path, "--port", strconv.Itoa(addr.Port), "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: addr.String(), DisableIdentity: true})
	t.Cleanup(func() {
		_ = rdb.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for until := time.Now().Add(10 * time.Second); ; {
		if rdb.Ping(t.Context()).Err() == nil {
			return rdb
		}
		if time.Now().After(until) {
			t.Fatal("redis-server does not answer")
		}
		<-time.After(20 * time.Millisecond)
	}
}
