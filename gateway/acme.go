package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"posthouse/internal/loglimit"
	"posthouse/internal/sleep"
)

// normalizeACME refuses names that no ACME server certifies, and settings without a use.
func (c *Config) normalizeACME() error {
	cleanValues(&c.ACMECache, &c.ACMEEmail, &c.ACMEDirectory, &c.ACMECAFile)
	var errs configErrors
	if len(c.ACMEHosts) == 0 {
		for key, value := range map[string]string{
			"POSTHOUSE_ACME_CACHE": c.ACMECache, "POSTHOUSE_ACME_EMAIL": c.ACMEEmail, "POSTHOUSE_ACME_CA_FILE": c.ACMECAFile,
		} {
			if value != "" {
				errs.add(keyError(key, value, "set POSTHOUSE_ACME_HOSTS too, or remove it"))
			}
		}
		return errs.joinErrors()
	}
	if c.TLSCertFile != "" {
		errs.add(keyError("POSTHOUSE_ACME_HOSTS", strings.Join(c.ACMEHosts, ","), "use it or POSTHOUSE_TLS_CERT_FILE, not both"))
	}
	for i, host := range c.ACMEHosts {
		host = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(host), "."))
		c.ACMEHosts[i] = host
		if !isHostName(host) {
			errs.add(keyError("POSTHOUSE_ACME_HOSTS", host, "write host names such as login.example.com, with commas between them: no addresses, ports or stars"))
		}
	}
	if u, err := url.Parse(c.ACMEDirectory); err != nil || u.Scheme != "https" || u.Host == "" {
		errs.add(keyError("POSTHOUSE_ACME_DIRECTORY", c.ACMEDirectory, "write the https URL of the ACME server's directory"))
	}
	if c.ACMEEmail != "" {
		if a, err := mail.ParseAddress(c.ACMEEmail); err != nil || a.Address != c.ACMEEmail {
			errs.add(keyError("POSTHOUSE_ACME_EMAIL", c.ACMEEmail, "write an address such as ops@example.com"))
		}
	}
	if c.ACMECAFile != "" {
		if _, err := readRoots(c.ACMECAFile); err != nil {
			errs.add(keyError("POSTHOUSE_ACME_CA_FILE", c.ACMECAFile, "name a file with PEM certificates: "+err.Error()))
		}
	}
	if c.ACMECache != "" {
		if err := os.MkdirAll(c.ACMECache, 0o700); err != nil {
			errs.add(keyError("POSTHOUSE_ACME_CACHE", c.ACMECache, "name a directory that can be written: "+err.Error()))
		}
	} else if len(c.RedisURL) == 0 {
		errs.add(keyError("POSTHOUSE_ACME_CACHE", "", "name a directory that outlives restarts: ACME servers give only a few certificates a week"))
	}
	return errs.joinErrors()
}

// isHostName reports whether host may stand in a certificate: labels of letters, digits
// and hyphens, no address.
func isHostName(host string) bool {
	if len(host) > 253 || net.ParseIP(host) != nil || !strings.Contains(host, ".") {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
			strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return true
}

func readRoots(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("it holds none")
	}
	return roots, nil
}

// acmeCertificates gets certificates when they are first needed and renews them. It is a
// certificateSource.
type acmeCertificates struct {
	manager     *autocert.Manager
	hosts       []string
	log         *slog.Logger
	lines       loglimit.Keyed
	redisClient redis.UniversalClient // set before anything is served; nil without Redis

	mu     sync.Mutex // guards failed
	failed []string   // the hosts without a certificate
}

// acmeTimeout bounds each request to the ACME server.
const acmeTimeout = 30 * time.Second

func (a *App) newACME() (*acmeCertificates, error) {
	c := &a.config
	source := &acmeCertificates{hosts: c.ACMEHosts, log: a.log}
	client := &acme.Client{DirectoryURL: c.ACMEDirectory, UserAgent: "posthouse", HTTPClient: &http.Client{Timeout: acmeTimeout}}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	client.HTTPClient.Transport = &orderTransport{next: transport}
	if c.ACMECAFile != "" {
		roots, err := readRoots(c.ACMECAFile)
		if err != nil {
			return nil, keyError("POSTHOUSE_ACME_CA_FILE", c.ACMECAFile, err.Error()) // changed since normalizeACME
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	source.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(c.ACMEHosts...), Email: c.ACMEEmail, Client: client,
	}
	if c.ACMECache != "" {
		source.manager.Cache = autocert.DirCache(c.ACMECache)
		return source, nil
	}
	cache, err := newRedisCertificates(source, c.AdapterKey+"-acme:", relaySecrets(c))
	source.manager.Cache = cache
	return source, err
}

func (s *acmeCertificates) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: s.certificateFor,
		NextProtos:     []string{"http/1.1", acme.ALPNProto},
	}
}

// certificateFor is GetCertificate of the main address.
func (s *acmeCertificates) certificateFor(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c, err := s.manager.GetCertificate(hello)
	host := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if err != nil && slices.Contains(s.hosts, host) {
		if left, ok := s.lines.Allow(host); ok {
			s.log.Error("gateway: there is no certificate for a host of POSTHOUSE_ACME_HOSTS", "host", host, "error", err, "left_out", left,
				"fix", "let the name lead to this gateway's port 443 (and 80 for POSTHOUSE_HTTP_ADDR) from where the ACME server is, and let the gateway reach POSTHOUSE_ACME_DIRECTORY")
		}
	}
	return c, err
}

// acmeRetry is how often a host without a certificate is tried again: ACME servers count
// what fails.
const acmeRetry = 15 * time.Minute

// watch gets the certificates before the first visitor comes, and tries again for those
// that are missing. The manager renews what there is by itself.
func (s *acmeCertificates) watch(ctx context.Context) {
	for {
		var failed []string
		for _, host := range s.hosts {
			// A client of today: the manager gives it an ECDSA certificate.
			hello := &tls.ClientHelloInfo{
				ServerName: host, SupportedVersions: []uint16{tls.VersionTLS13}, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
				SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
			}
			if _, err := s.certificateFor(hello); err != nil {
				failed = append(failed, host)
			}
		}
		s.mu.Lock()
		s.failed = failed
		s.mu.Unlock()
		if sleep.For(ctx, acmeRetry) != nil {
			return
		}
	}
}

// answerChallenges answers HTTP-01 and leaves all other requests to next.
func (s *acmeCertificates) answerChallenges(next http.Handler) http.Handler {
	challenges := s.manager.HTTPHandler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
			next.ServeHTTP(w, r)
			return
		}
		// The manager compares with the bare names.
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			r = r.Clone(r.Context())
			r.Host = host
		}
		challenges.ServeHTTP(w, r)
	})
}

// listProblems names the hosts without a certificate, for /readyz.
func (s *acmeCertificates) listProblems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failed) == 0 {
		return nil
	}
	return []string{"there is no certificate for " + strings.Join(s.failed, ", ") + ": the log says what the ACME server answers (POSTHOUSE_ACME_HOSTS)"}
}
