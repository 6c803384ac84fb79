package browser_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"os"
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
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
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
	out := testenv.Node(t, 2*time.Minute, filepath.Join("testdata", "webtransport.mjs"), "https://"+addr, encode(public), encode(cert))
	if strings.TrimSpace(out) != "webtransport webtransport forced close" {
		t.Error(out)
	}
}
