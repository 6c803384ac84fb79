package login

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// RedisShelf is a KeyShelf in Redis, for the development key. What it keeps is encrypted
// with a key that is derived from secret, which all replicas know and Redis does not
// store: the password of its URL. With an empty secret it is kept in the clear.
func RedisShelf(rdb redis.UniversalClient, secret string) (KeyShelf, error) {
	s := redisShelf{redisClient: rdb}
	if secret == "" {
		return s, nil
	}
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "posthouse development key", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if s.sealer, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	// Another password has another place: what it cannot read is not in its way.
	sum := sha256.Sum256(key)
	s.keySuffix = ":" + hex.EncodeToString(sum[:8])
	return s, nil
}

type redisShelf struct {
	redisClient redis.UniversalClient
	sealer      cipher.AEAD // nil: in the clear
	keySuffix   string      // of the name
}

// PutFirst implements KeyShelf.
func (s redisShelf) PutFirst(ctx context.Context, name, text string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	key := "posthouse:login:" + name + s.keySuffix
	if err := s.redisClient.SetNX(ctx, key, s.sealText(text), 0).Err(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrStoreUnavailable, err)
	}
	kept, err := s.redisClient.Get(ctx, key).Result()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrStoreUnavailable, err)
	}
	return s.openText(kept)
}

func (s redisShelf) sealText(text string) string {
	if s.sealer == nil {
		return text
	}
	nonce := make([]byte, s.sealer.NonceSize())
	rand.Read(nonce) // never fails
	return base64.StdEncoding.EncodeToString(s.sealer.Seal(nonce, nonce, []byte(text), nil))
}

func (s redisShelf) openText(kept string) (string, error) {
	if s.sealer == nil {
		return kept, nil
	}
	sealed, err := base64.StdEncoding.DecodeString(kept)
	if err != nil || len(sealed) < s.sealer.NonceSize() {
		return "", errSealed
	}
	nonce := sealed[:s.sealer.NonceSize()]
	text, err := s.sealer.Open(nil, nonce, sealed[len(nonce):], nil)
	if err != nil {
		return "", errSealed
	}
	return string(text), nil
}

var errSealed = errors.New("login: the development key in redis was not written by a replica; delete posthouse:login:development-jwt-key*")
