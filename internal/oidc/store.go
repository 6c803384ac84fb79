package oidc

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Store keeps records. Memory and Redis implement it.
type Store interface {
	// Load returns what is kept under key, and the store's clock. A key without a record
	// is version 0.
	Load(ctx context.Context, key string) (Entry, error)
	// Save keeps data under key for life, if the record still has that version;
	// ErrConflict otherwise. It is one atomic step.
	Save(ctx context.Context, key string, data []byte, version int64, life time.Duration) error
	// Delete forgets a record.
	Delete(ctx context.Context, key string) error
	// Mark keeps a time under key for life; a later one stays. Zero is the store's now.
	Mark(ctx context.Context, key string, at time.Time, life time.Duration) error
	// Marks returns the times of keys, zero where there is none.
	Marks(ctx context.Context, keys ...string) ([]time.Time, error)
}

// Entry is a record as the store has it.
type Entry struct {
	Data    []byte
	Version int64     // 0: there is no record
	Now     time.Time // the store's clock
}

var (
	// ErrConflict refuses a Save: another step came first.
	ErrConflict = errors.New("oidc: record changed")
	// ErrUnavailable wraps what the store's engine said.
	ErrUnavailable = errors.New("oidc: store unavailable")
	// ErrFull refuses a new record of a store that holds as many as it may.
	ErrFull = fmt.Errorf("%w: full", ErrUnavailable)

	errUnknown = errors.New("oidc: no such record")
)

// records are the values of type T that a Store keeps, each under the hash of its id and
// encrypted with a key made of its id.
type records[T any] struct {
	store  Store
	prefix string // of the keys
}

func (rs records[T]) key(id []byte) string {
	sum := sha256.Sum256(id)
	return rs.prefix + encode(sum[:])
}

// maxTries bounds how often a step is decided anew because another one came first. Steps
// of one sign-in follow each other; only attacks make them meet.
const maxTries = 20

// load returns the record and the store's clock; errUnknown when there is none.
func (rs records[T]) load(ctx context.Context, id []byte) (value T, now time.Time, err error) {
	e, err := rs.store.Load(ctx, rs.key(id))
	if err != nil {
		return value, time.Time{}, err
	}
	if e.Version == 0 {
		return value, e.Now, errUnknown
	}
	err = rs.open(id, e.Data, &value)
	return value, e.Now, err
}

// create keeps the record that make returns under a new id. make is told the store's clock.
func (rs records[T]) create(ctx context.Context, id []byte, make func(now time.Time) (T, time.Duration)) (value T, err error) {
	e, err := rs.store.Load(ctx, rs.key(id))
	if err != nil {
		return value, err
	}
	value, life := make(e.Now)
	data, err := rs.seal(id, value)
	if err != nil {
		return value, err
	}
	return value, rs.store.Save(ctx, rs.key(id), data, 0, life)
}

// update lets change decide about the record. What change made of it is saved when it
// returns a life above 0, also beside an error, which update returns.
func (rs records[T]) update(ctx context.Context, id []byte, change func(value *T, now time.Time) (life time.Duration, err error)) (value T, err error) {
	for range maxTries {
		var zero T
		value = zero
		e, err := rs.store.Load(ctx, rs.key(id))
		if err != nil {
			return value, err
		}
		if e.Version == 0 {
			return value, errUnknown
		}
		if err := rs.open(id, e.Data, &value); err != nil {
			return value, err
		}
		life, refusal := change(&value, e.Now)
		if life <= 0 {
			return value, refusal
		}
		data, err := rs.seal(id, value)
		if err != nil {
			return value, err
		}
		err = rs.store.Save(ctx, rs.key(id), data, e.Version, life)
		if errors.Is(err, ErrConflict) {
			continue
		}
		return value, errors.Join(err, refusal)
	}
	return value, fmt.Errorf("%w: %d steps met", ErrUnavailable, maxTries)
}

func (rs records[T]) seal(id []byte, value T) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	sealer, err := rs.sealer(id)
	if err != nil {
		return nil, err
	}
	nonce := randomBytes(sealer.NonceSize())
	return sealer.Seal(nonce, nonce, text, nil), nil
}

// open reads a record. What no replica wrote is unknown.
func (rs records[T]) open(id, data []byte, into *T) error {
	sealer, err := rs.sealer(id)
	if err != nil {
		return err
	}
	n := sealer.NonceSize()
	if len(data) < n {
		return errUnknown
	}
	text, err := sealer.Open(nil, data[:n], data[n:], nil)
	if err != nil {
		return errUnknown
	}
	return json.Unmarshal(text, into)
}

func (rs records[T]) sealer(id []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, id, nil, "posthouse "+rs.prefix, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
