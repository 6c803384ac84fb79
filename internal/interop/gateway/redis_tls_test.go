package gateway_test

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// tlsFiles are a certificate of 127.0.0.1, which is the servers', the clients' and the
// authority's, and its key.
type tlsFiles struct{ cert, key string }

func newTLSFiles(t *testing.T) tlsFiles {
	t.Helper()
	_, cert, key := testenv.Certificate(t, time.Hour)
	return tlsFiles{cert, key}
}

// server returns the arguments of a Redis that speaks TLS at a second port, whose address it
// returns too, and demands certificates of its clients there.
func (f tlsFiles) server(t *testing.T) (addr string, args []string) {
	t.Helper()
	port := strconv.Itoa(testenv.FreePort(t))
	return net.JoinHostPort("127.0.0.1", port), []string{"--tls-port", port, "--tls-cert-file", f.cert, "--tls-key-file", f.key,
		"--tls-ca-cert-file", f.cert, "--tls-auth-clients", "yes"}
}

// gateway returns the settings of a gateway that uses these addresses.
func (f tlsFiles) gateway(addrs ...string) []string {
	return []string{"POSTHOUSE_REDIS_URL=rediss://" + strings.Join(addrs, ",rediss://"), "POSTHOUSE_REDIS_CA_FILE=" + f.cert,
		"POSTHOUSE_REDIS_CERT_FILE=" + f.cert, "POSTHOUSE_REDIS_KEY_FILE=" + f.key}
}

// redisTLS starts such a Redis.
func redisTLS(t *testing.T) (addr string, files tlsFiles) {
	t.Helper()
	files = newTLSFiles(t)
	addr, args := files.server(t)
	testenv.Redis(t, args...)
	return addr, files
}

// Two replicas share logins through a Redis that speaks TLS only to those it knows: with every
// adapter, and with a cluster whose first name is not the one of its certificates.
func TestRedis_TLSWithCertificates_ReplicasShareLogins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		adapter string
		cluster bool
	}{{"redis", false}, {"sharded", false}, {"streams", false}, {"sharded", true}} {
		t.Run(c.adapter+" cluster="+strconv.FormatBool(c.cluster), func(t *testing.T) {
			files := newTLSFiles(t)
			var addrs []string
			if c.cluster {
				addrs = testenv.RedisClusterOf(t, []string{"--tls", "--cacert", files.cert, "--cert", files.cert, "--key", files.key}, func() (string, []string) {
					addr, args := files.server(t)
					return addr, append(args, "--tls-cluster", "yes")
				})
				addrs[0] = strings.Replace(addrs[0], "127.0.0.1", "localhost", 1)
			} else {
				addr, args := files.server(t)
				testenv.Redis(t, args...)
				addrs = append(addrs, addr)
			}
			simPort := testenv.FreePort(t)
			sim := "http://127.0.0.1:" + strconv.Itoa(simPort)
			var bases []string
			for range 2 {
				base, _ := testenv.Gateway(t, append(files.gateway(addrs...), "POSTHOUSE_ADAPTER="+c.adapter, "POSTHOUSE_WECHAT_SIMULATOR="+sim+"/")...)
				bases = append(bases, base)
			}
			testenv.Start(t, nil, testenv.Binary(t, "."), "wxsim", "--port", strconv.Itoa(simPort), "--callback", bases[1]+"/callback/wechat").Ready(t, sim+"/sim/log")
			p := open(t, bases[0])
			s := scan(t, sim, "secured", p.qrcode().Ticket, true)
			if _, claims := token(t, bases[0], text(t, p.next("token"))); claims["openid"] != s.OpenID {
				t.Errorf("%v", claims)
			}
			for _, base := range bases {
				if a := call(t, "GET", base+"/readyz", ""); !strings.Contains(a.body, `"status":"ok"`) {
					t.Errorf("%s", a.body)
				}
			}
		})
	}
}

// A pair of files that changes, such as one that is issued for an hour, is shown to Redis on
// the next connection.
func TestRedis_TLSWithCertificates_ChangedPairIsShown(t *testing.T) {
	t.Parallel()
	addr, trusted := redisTLS(t)
	shown := newTLSFiles(t) // Redis does not trust them
	base, p := testenv.Gateway(t, "POSTHOUSE_REDIS_URL=rediss://"+addr, "POSTHOUSE_REDIS_CA_FILE="+trusted.cert,
		"POSTHOUSE_REDIS_CERT_FILE="+shown.cert, "POSTHOUSE_REDIS_KEY_FILE="+shown.key)
	testenv.Until(t, patience, "the refusal", func() bool { return strings.Contains(p.Output(), "redis_client_certificate") })
	for from, to := range map[string]string{trusted.cert: shown.cert, trusted.key: shown.key} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Until(t, patience, "redis", func() bool {
		return !strings.Contains(call(t, "GET", base+"/readyz", "").body, "redis refuses")
	})
	open(t, base).qrcode()
}

// A URL without TLS for a server that speaks nothing else: neither side tells by itself.
func TestRedis_TLSServerAndPlainURL_IsNamed(t *testing.T) {
	t.Parallel()
	addr, _ := redisTLS(t)
	_, p := testenv.Gateway(t, "POSTHOUSE_REDIS_URL=redis://"+addr)
	testenv.Until(t, patience, "the line", func() bool {
		return strings.Contains(p.Output(), "answers with TLS") && strings.Contains(p.Output(), "write rediss://")
	})
}
