// Package admin_test runs the Admin UI against clusters: the official instrument() on a
// Node server beside built gateways, and the official page in Chromium.
package admin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"posthouse/internal/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.RemoveBinaries()
	os.Exit(code)
}

func hashOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// gateways is two of them with one Redis.
func gateways(t *testing.T, adapter string) (bases []string, redis, hash string) {
	t.Helper()
	testenv.Need(t, "redis-server")
	redis, _ = testenv.Redis(t)
	hash = hashOf(t, "changeit")
	for i := range 2 {
		base, _ := testenv.Gateway(t, "POSTHOUSE_REDIS_URL=redis://"+redis, "POSTHOUSE_ADAPTER="+adapter,
			"POSTHOUSE_ADMIN_PASSWORD_HASH="+hash, fmt.Sprintf("POSTHOUSE_REPLICA=go%d", i+1))
		bases = append(bases, base)
	}
	return bases, redis, hash
}

// cluster is two gateways and a Node server with one Redis.
func cluster(t *testing.T) []string {
	t.Helper()
	dir := testenv.NodeDir(t, "@socket.io/admin-ui", "@socket.io/redis-adapter", "ioredis")
	bases, redis, hash := gateways(t, "redis")
	port := strconv.Itoa(testenv.FreePort(t))
	node := testenv.Start(t, []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}, "node", filepath.Join("testdata", "server.cjs"), port, redis, hash)
	node.Ready(t, "http://127.0.0.1:"+port)
	return append(bases, "http://127.0.0.1:"+port)
}

func TestMixedCluster_AdministratorOnEachServer_SeesAndCommandsAll(t *testing.T) {
	out := testenv.Node(t, 2*time.Minute, filepath.Join("testdata", "drive.cjs"), cluster(t)...)
	if strings.TrimSpace(out) != "ok" {
		t.Error(out)
	}
}

func TestCluster_OtherAdapters_AdministratorSeesAndCommandsAll(t *testing.T) {
	testenv.NodeDir(t)
	for _, adapter := range []string{"sharded", "streams"} {
		t.Run(adapter, func(t *testing.T) {
			bases, _, _ := gateways(t, adapter)
			if out := testenv.Node(t, 2*time.Minute, filepath.Join("testdata", "drive.cjs"), bases...); strings.TrimSpace(out) != "ok" {
				t.Error(out)
			}
		})
	}
}

func TestOfficialPage_TwoGatewaysAndNode_ListsAndCommands(t *testing.T) {
	testenv.NodeDir(t, "playwright-core")
	testenv.Need(t, "chromium")
	shots := os.Getenv("POSTHOUSE_TEST_SCREENSHOTS")
	out := testenv.Node(t, 2*time.Minute, filepath.Join("testdata", "page.mjs"), append([]string{shots}, cluster(t)...)...)
	if strings.TrimSpace(out) != "ok" {
		t.Error(out)
	}
}

func TestLogin_AdministratorLooks_NoSecretIsShown(t *testing.T) {
	testenv.NodeDir(t)
	base, _ := testenv.Gateway(t, "POSTHOUSE_ADMIN_PASSWORD_HASH="+hashOf(t, "changeit"))
	out := testenv.Node(t, time.Minute, filepath.Join("testdata", "secrets.cjs"), base)
	if strings.TrimSpace(out) != "ok" {
		t.Error(out)
	}
}
