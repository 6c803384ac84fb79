package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/doctor"
	"posthouse/internal/testenv"
	"posthouse/internal/testenv/faultproxy"
)

// loopbackCertificate writes a certificate of 127.0.0.1 and its key.
func loopbackCertificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(60 * 24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	for file, data := range map[string][]byte{certFile: text, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return certFile, keyFile, roots
}

// A gateway that announces WebTransport has it checked; behind a hop that passes TCP only it
// is the one failure.
func TestDoctor_WebTransport_IsCheckedWhereItIsAnnounced(t *testing.T) {
	t.Parallel()
	certFile, keyFile, roots := loopbackCertificate(t)
	addr := "127.0.0.1:" + strconv.Itoa(testenv.FreePort(t))
	p := testenv.Start(t, []string{"POSTHOUSE_ADDR=" + addr, "POSTHOUSE_TLS_CERT_FILE=" + certFile, "POSTHOUSE_TLS_KEY_FILE=" + keyFile,
		"POSTHOUSE_WEBTRANSPORT=on", "POSTHOUSE_LIMIT_CONNECTIONS_PER_IP=off"}, testenv.Binary(t, "."))
	testenv.Until(t, 20*time.Second, "the gateway", func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil && strings.Contains(p.Output(), "socket.io")
	})
	tcpOnly, err := faultproxy.New(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer tcpOnly.Close()
	reports := runAll(t, []doctor.Options{
		{URL: "https://" + addr, Roots: roots, Idle: idle},
		{URL: "https://" + tcpOnly.Addr(), Roots: roots, Idle: idle},
	})
	for i, report := range reports {
		c := find(report, "webtransport")
		if last := report.Checks[len(report.Checks)-1].Name; last != "webtransport" {
			t.Errorf("the last check is %s", last)
		}
		if i == 0 && (c.Result != doctor.OK || report.Failed != 0) {
			t.Errorf("%+v, %d failures", c, report.Failed)
		}
		if i == 1 && (c.Result != doctor.Fail || report.Failed != 1 || !strings.Contains(strings.Join(c.Settings, " "), "POSTHOUSE_WEBTRANSPORT=off")) {
			t.Errorf("%+v, %d failures", c, report.Failed)
		}
		logFailed(t, report)
	}
}
