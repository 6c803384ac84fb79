package gateway

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/crypto/acme/autocert"
)

// redisCertificates keeps account, certificates and challenges of ACME where all replicas
// find them: any replica may be asked for a challenge. What stands in Redis is encrypted
// with a key made from the secrets that the replicas share, and its names are hashes.
type redisCertificates struct {
	source *acmeCertificates // has the client of Redis
	prefix string
	sealed []cipher.AEAD // the first one seals, all open: the secrets of a rotation
}

// certificateLife is how long an entry stays: longer than any certificate that ACME
// servers give.
const certificateLife = 400 * 24 * time.Hour

var _ autocert.Cache = (*redisCertificates)(nil)

func newRedisCertificates(source *acmeCertificates, prefix string, secrets [][]byte) (*redisCertificates, error) {
	c := &redisCertificates{source: source, prefix: prefix}
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, secret, nil, "posthouse acme cache", 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		sealed, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		c.sealed = append(c.sealed, sealed)
	}
	if len(c.sealed) == 0 {
		return nil, errors.New("gateway: no secret to encrypt certificates with") // Normalize has looked at it
	}
	return c, nil
}

func (c *redisCertificates) keyOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return c.prefix + hex.EncodeToString(sum[:16])
}

// Get implements autocert.Cache. An entry that no secret opens counts as none.
func (c *redisCertificates) Get(ctx context.Context, name string) ([]byte, error) {
	text, err := c.source.redisClient.Get(ctx, c.keyOf(name)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, autocert.ErrCacheMiss
	}
	if err != nil {
		return nil, err
	}
	for _, sealed := range c.sealed {
		if n := sealed.NonceSize(); len(text) > n {
			if data, err := sealed.Open(nil, text[:n], text[n:], []byte(name)); err == nil {
				return data, nil
			}
		}
	}
	return nil, autocert.ErrCacheMiss
}

// Put implements autocert.Cache.
func (c *redisCertificates) Put(ctx context.Context, name string, data []byte) error {
	nonce := make([]byte, c.sealed[0].NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return c.source.redisClient.Set(ctx, c.keyOf(name), c.sealed[0].Seal(nonce, nonce, data, []byte(name)), certificateLife).Err()
}

// Delete implements autocert.Cache.
func (c *redisCertificates) Delete(ctx context.Context, name string) error {
	return c.source.redisClient.Del(ctx, c.keyOf(name)).Err()
}
