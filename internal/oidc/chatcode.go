package oidc

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// ChatCodes are codes that people are given in the chat and type into an application,
// whose server asks which person a code is (docs/oidc.md §5). Each is good once, and a
// person has one. It is safe for concurrent use; the Store carries all state.
type ChatCodes struct {
	codes  records[chatCode] // by code
	latest records[string]   // by person: the code that is good
	life   time.Duration
}

type chatCode struct {
	AppID, OpenID string
	EndsAt        time.Time
	Used          bool
}

// NewChatCodes returns codes that live so long.
func NewChatCodes(store Store, life time.Duration) *ChatCodes {
	return &ChatCodes{records[chatCode]{store, "c:"}, records[string]{store, "l:"}, life}
}

func personID(appID, openID string) []byte {
	sum := sha256.Sum256([]byte("chat code of " + appID + "\x00" + openID))
	return sum[:idSize]
}

// Give makes code the person's, instead of an earlier one. The code must be random.
func (c *ChatCodes) Give(ctx context.Context, appID, openID, code string) (life time.Duration, err error) {
	_, err = c.codes.create(ctx, []byte(code), func(now time.Time) (chatCode, time.Duration) {
		return chatCode{AppID: appID, OpenID: openID, EndsAt: now.Add(c.life)}, c.life
	})
	if err != nil {
		return 0, err
	}
	person := personID(appID, openID)
	_, err = c.latest.create(ctx, person, func(time.Time) (string, time.Duration) { return code, c.life })
	if errors.Is(err, ErrConflict) {
		_, err = c.latest.update(ctx, person, func(now *string, _ time.Time) (time.Duration, error) {
			*now = code
			return c.life, nil
		})
	}
	return c.life, err
}

// Take spends a code and returns its person; "" for a code that is unknown, used or old.
func (c *ChatCodes) Take(ctx context.Context, code string) (openID string, err error) {
	spent, err := c.codes.update(ctx, []byte(code), func(k *chatCode, now time.Time) (time.Duration, error) {
		if k.Used || !now.Before(k.EndsAt) {
			return 0, errSpent
		}
		k.Used = true
		return c.life, nil
	})
	if errors.Is(err, errSpent) || errors.Is(err, errUnknown) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	latest, _, err := c.latest.load(ctx, personID(spent.AppID, spent.OpenID))
	if errors.Is(err, errUnknown) || err == nil && latest != code {
		return "", nil // the person was given another one since
	}
	return spent.OpenID, err
}
