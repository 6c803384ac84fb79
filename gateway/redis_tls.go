package gateway

import (
	"crypto/tls"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// redisFiles are the files that TLS to Redis may need: POSTHOUSE_REDIS_CA_FILE, and the pair
// of POSTHOUSE_REDIS_CERT_FILE that the gateway shows to servers that ask for one.
type redisFiles struct{ ca, cert, key string }

func (c *Config) redisFiles() redisFiles {
	return redisFiles{c.RedisCAFile, c.RedisCertFile, c.RedisKeyFile}
}

// apply completes the TLS settings of a rediss:// URL.
func (f redisFiles) apply(o *redis.Options) error {
	if o.TLSConfig == nil {
		if f != (redisFiles{}) {
			return keyError("POSTHOUSE_REDIS_CA_FILE", f.ca, "write rediss:// in POSTHOUSE_REDIS_URL, or remove it, POSTHOUSE_REDIS_CERT_FILE and POSTHOUSE_REDIS_KEY_FILE")
		}
		return nil
	}
	// Each connection checks the name that it dials: the other servers of a cluster, and the
	// masters that Sentinels name, are not called like the first URL's.
	o.TLSConfig.ServerName = ""
	if f.ca != "" {
		roots, err := readRoots(f.ca)
		if err != nil {
			return keyError("POSTHOUSE_REDIS_CA_FILE", f.ca, "name a file with PEM certificates: "+err.Error())
		}
		o.TLSConfig.RootCAs = roots
	}
	pair, err := loadPair("POSTHOUSE_REDIS_CERT_FILE", f.cert, "POSTHOUSE_REDIS_KEY_FILE", f.key)
	if pair == nil {
		return err
	}
	o.TLSConfig.GetClientCertificate = f.shows(pair)
	return nil
}

// shows reads the pair again for every connection, since such certificates live for hours
// where a cluster issues them; while the files do not fit together, the last pair that did
// is shown.
func (f redisFiles) shows(pair *tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	var last atomic.Pointer[tls.Certificate]
	last.Store(pair)
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if pair, err := tls.LoadX509KeyPair(f.cert, f.key); err == nil {
			last.Store(&pair)
		}
		return last.Load(), nil
	}
}
