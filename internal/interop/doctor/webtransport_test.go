package doctor

import (
	"crypto/x509"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/doctor"
	"posthouse/internal/testenv"
	"posthouse/internal/testenv/faultproxy"
)

// A gateway that announces WebTransport has it checked; behind a hop that passes TCP only it
// is the one failure.
func TestDoctor_WebTransport_IsCheckedWhereItIsAnnounced(t *testing.T) {
	t.Parallel()
	leaf, certFile, keyFile := testenv.Certificate(t, 60*24*time.Hour)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	addr := "127.0.0.1:" + strconv.Itoa(testenv.FreePort(t))
	p := testenv.Start(t, []string{"POSTHOUSE_ADDR=" + addr, "POSTHOUSE_TLS_CERT_FILE=" + certFile, "POSTHOUSE_TLS_KEY_FILE=" + keyFile,
		"POSTHOUSE_WEBTRANSPORT=on", "POSTHOUSE_LIMIT_CONNECTIONS_PER_IP=off", "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP=off"}, testenv.Binary(t, "."))
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
