package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// normalizeTLS refuses half a pair, and a pair that does not fit.
func (c *Config) normalizeTLS() error {
	cleanValues(&c.TLSCertFile, &c.TLSKeyFile, &c.HTTPAddr)
	var errs configErrors
	pair, err := loadPair("POSTHOUSE_TLS_CERT_FILE", c.TLSCertFile, "POSTHOUSE_TLS_KEY_FILE", c.TLSKeyFile)
	errs.add(err)
	if pair == nil && err == nil && c.HTTPAddr != "" && len(c.ACMEHosts) == 0 {
		errs.add(keyError("POSTHOUSE_HTTP_ADDR", c.HTTPAddr, "set POSTHOUSE_TLS_CERT_FILE and POSTHOUSE_TLS_KEY_FILE too, or POSTHOUSE_ACME_HOSTS: it redirects to https, or remove it"))
	}
	if c.speaksTLS() && c.Advertise != "" && c.Advertise == c.Addr {
		errs.add(keyError("POSTHOUSE_ADVERTISE", c.Advertise, "name another port than POSTHOUSE_ADDR: replicas reach each other by plain HTTP, beside TLS"))
	}
	if c.HTTPAddr != "" {
		if _, port, err := net.SplitHostPort(c.HTTPAddr); err != nil || port == "" {
			errs.add(keyError("POSTHOUSE_HTTP_ADDR", c.HTTPAddr, "write host:port or :port, such as :80"))
		}
	}
	return errs.joinErrors()
}

// loadPair reads a certificate and its key, nil when neither is set; certSetting and keySetting
// are the settings that name the files.
func loadPair(certSetting, certFile, keySetting, keyFile string) (*tls.Certificate, error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, nil
	case certFile == "":
		return nil, keyError(certSetting, "", "set it beside "+keySetting)
	case keyFile == "":
		return nil, keyError(keySetting, "", "set it beside "+certSetting)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, keyError(certSetting, certFile, "give a PEM chain and the key that belongs to it: "+err.Error())
	}
	return &pair, nil
}

// speaksTLS reports whether the main address speaks TLS.
func (c *Config) speaksTLS() bool { return c.TLSCertFile != "" || len(c.ACMEHosts) > 0 }

// certificateSource is where the certificates of the main address come from: files or ACME.
type certificateSource interface {
	config() *tls.Config
	// watch keeps the certificates fresh until ctx ends.
	watch(ctx context.Context)
}

// certificateAge is how often the files of the certificate are read again.
const certificateAge = 5 * time.Second

// certificate is a pair of files that is read again when it changes.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	read              []byte // what the files held when last looked at; owned by newCertificate, then by watch
}

func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	_, err := c.reread()
	return c, err
}

// reread takes the files over if they hold something new that fits together.
func (c *certificate) reread() (changed bool, err error) {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return false, err
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return false, err
	}
	both := bytes.Join([][]byte{cert, key}, []byte{0})
	if bytes.Equal(both, c.read) {
		return false, nil
	}
	c.read = both // a pair that does not fit is reported once
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, err
	}
	c.current.Store(&pair)
	return true, nil
}

// watch looks at the files until ctx ends. The line about a pair that does not fit comes
// once for each reason.
func (c *certificate) watch(ctx context.Context) {
	tick := time.NewTicker(certificateAge)
	defer tick.Stop()
	reported := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := c.reread()
		switch {
		case err != nil && err.Error() != reported:
			reported = err.Error()
			c.log.Error("gateway: the TLS certificate stays as it was", "file", c.certFile, "error", err,
				"fix", "put a PEM chain into POSTHOUSE_TLS_CERT_FILE and its key into POSTHOUSE_TLS_KEY_FILE")
		case changed:
			reported = ""
			c.log.Info("gateway: the TLS certificate changed", "expires", c.current.Load().Leaf.NotAfter)
		}
	}
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// redirectHandler answers health checks and sends everything else to https.
func (a *App) redirectHandler() http.Handler {
	port := tcpAddr(a.listener).Port
	redirect := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			a.httpHandler.ServeHTTP(w, r)
			return
		}
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = strings.Trim(r.Host, "[]")
		}
		if host == "" {
			http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
			return
		}
		switch {
		case port != 443:
			host = net.JoinHostPort(host, strconv.Itoa(port))
		case strings.Contains(host, ":"):
			host = "[" + host + "]"
		}
		http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusPermanentRedirect)
	})
	if acme, ok := a.certificate.(*acmeCertificates); ok {
		return acme.answerChallenges(redirect)
	}
	return redirect
}
