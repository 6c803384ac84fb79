package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"posthouse/internal/testenv"
)

const acmeHost = "login.example.test"

// pebble is Let's Encrypt's server for tests: it checks challenges as the real one does.
type pebble struct {
	args    []string // of a gateway that uses it
	process *testenv.Process
	roots   *x509.CertPool
}

// startPebble runs a Pebble that finds every name at 127.0.0.1, with challenges at these
// ports. It refuses a fifth of the good nonces, so that clients have to ask again.
func startPebble(t *testing.T, httpPort, tlsPort int) *pebble {
	t.Helper()
	return startPebbleFor(t, httpPort, tlsPort, 90*24*time.Hour, 20)
}

// startPebbleFor is startPebble with certificates that live so long, and a part of the good
// nonces that is refused, in percent. The client waits for twice as long after each refusal
// in a row, which a renewal of a short life has no time for.
func startPebbleFor(t *testing.T, httpPort, tlsPort int, life time.Duration, refusedNonces int) *pebble {
	t.Helper()
	program := filepath.Join(t.TempDir(), "pebble")
	if given := os.Getenv("POSTHOUSE_TEST_PEBBLE"); given != "" {
		program = given
	} else {
		build := exec.Command("go", "build", "-o", program, "github.com/letsencrypt/pebble/v2/cmd/pebble")
		build.Dir = filepath.Join(testenv.Root(), "internal", "interop", "pebble")
		if out, err := build.CombinedOutput(); err != nil {
			testenv.Missing(t, "Pebble from the module proxy: "+string(out))
		}
	}
	dir := t.TempDir()
	cert, key := pemPair(t, 7)
	certFile, keyFile := writePair(t, dir, cert, key)
	directory, manage := "127.0.0.1:"+strconv.Itoa(testenv.FreePort(t)), "127.0.0.1:"+strconv.Itoa(testenv.FreePort(t))
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": directory, "managementListenAddress": manage, "certificate": certFile, "privateKey": keyFile,
		"httpPort": httpPort, "tlsPort": tlsPort, "ocspResponderURL": "", "externalAccountBindingRequired": false,
		"keyAlgorithm": "ecdsa", "profiles": map[string]any{"default": map[string]any{"description": "tests", "validityPeriod": int(life.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	configFile := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(configFile, config, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &pebble{args: []string{
		"--acme-hosts=" + acmeHost, "--acme-directory=https://" + directory + "/dir", "--acme-ca-file=" + certFile, "--acme-email=ops@example.test",
	}}
	p.process = testenv.Start(t, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=" + strconv.Itoa(refusedNonces)}, program, "-config", configFile, "-dnsserver", loopbackDNS(t))
	own := x509.NewCertPool()
	own.AppendCertsFromPEM(cert)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: own}, DisableKeepAlives: true}}
	testenv.Until(t, 20*time.Second, "Pebble answers", func() bool {
		w, err := client.Get("https://" + manage + "/roots/0")
		if err != nil {
			return false
		}
		defer w.Body.Close()
		text, err := io.ReadAll(w.Body)
		p.roots = x509.NewCertPool()
		return err == nil && p.roots.AppendCertsFromPEM(text)
	})
	return p
}

// loopbackDNS is a name server, over TCP and UDP, that finds every name at 127.0.0.1.
func loopbackDNS(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(testenv.FreePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	t.Cleanup(func() {
		c.Close()
		l.Close()
		tasks.Wait()
	})
	tasks.Go(func() { // ends with c
		buf := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(answerDNS(buf[:n]), from)
		}
	})
	tasks.Go(func() { // ends with l
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				var size uint16
				if binary.Read(conn, binary.BigEndian, &size) != nil {
					return
				}
				q := make([]byte, size)
				if _, err := io.ReadFull(conn, q); err == nil {
					answer := answerDNS(q)
					_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
				}
			})
		}
	})
	return l.Addr().String()
}

func answerDNS(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) == 0 {
		return nil
	}
	q := m.Questions[0]
	answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
	if q.Type == dnsmessage.TypeA {
		answer.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	out, _ := answer.Pack() // it was unpacked
	return out
}

// certificateOf is what a gateway shows for acmeHost, judged by the roots of p.
func (p *pebble) certificateOf(t *testing.T, addr string, limit time.Duration) *x509.Certificate {
	t.Helper()
	var got *x509.Certificate
	testenv.Until(t, limit, "a certificate of Pebble at "+addr, func() bool {
		c, err := tls.Dial("tcp", addr, &tls.Config{ServerName: acmeHost, RootCAs: p.roots})
		if err != nil {
			return false
		}
		defer c.Close()
		got = c.ConnectionState().PeerCertificates[0]
		return true
	})
	return got
}
