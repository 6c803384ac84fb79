package browser_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// Chromium upgrades to WebTransport at the built gateway, on its own page and under the
// page's policy.
func TestWebTransport_Chromium_UpgradesThroughTheGateway(t *testing.T) {
	testenv.NodeDir(t, "playwright-core")
	testenv.Need(t, "chromium")
	leaf, certFile, keyFile := testenv.Certificate(t, 24*time.Hour)
	addr := "127.0.0.1:" + strconv.Itoa(testenv.FreePort(t))
	testenv.Start(t, []string{"POSTHOUSE_ADDR=" + addr, "POSTHOUSE_TLS_CERT_FILE=" + certFile, "POSTHOUSE_TLS_KEY_FILE=" + keyFile, "POSTHOUSE_WEBTRANSPORT=on"}, testenv.Binary(t, "."))
	testenv.Until(t, 20*time.Second, "the gateway", func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	encode := func(der []byte) string {
		hash := sha256.Sum256(der)
		return base64.StdEncoding.EncodeToString(hash[:])
	}
	out := testenv.Node(t, 2*time.Minute, filepath.Join("testdata", "webtransport.mjs"), "https://"+addr, encode(leaf.RawSubjectPublicKeyInfo), encode(leaf.Raw))
	if strings.TrimSpace(out) != "webtransport webtransport forced close" {
		t.Error(out)
	}
}
