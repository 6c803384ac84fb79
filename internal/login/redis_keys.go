package login

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"
)

// A key of a browser's or WeChat's words holds their hash: the hash bounds the key
// and keeps persons out of key names. The braces make a cluster hash tag of it.
func (r *Redis) ticketKey(id string) string { return r.keyPrefix + "t:{" + id + "}" }

func (r *Redis) wechatKey(t string) string { return r.keyPrefix + "w:{" + shortName(t) + "}" }

func (r *Redis) codeKey(h string) string { return r.keyPrefix + "c:{" + shortName(h) + "}" }

func (r *Redis) revokedKey() string { return r.keyPrefix + "revoked" }

func (r *Redis) eventKey(k string) string { return r.keyPrefix + "e:{" + shortName(k) + "}" }

func (r *Redis) personKey(appID, openID string) string {
	return r.keyPrefix + "p:{" + personKey(appID, openID) + "}"
}

func (r *Redis) leftKey(appID, openID string) string {
	return r.keyPrefix + "u:{" + personKey(appID, openID) + "}"
}

func (r *Redis) tokensKey(appID, openID string) string {
	return r.keyPrefix + "j:{" + personKey(appID, openID) + "}"
}

func (r *Redis) marksKey(appID, openID string) string {
	return r.keyPrefix + "k:{" + personKey(appID, openID) + "}"
}

func shortName(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func flagText(b bool) string {
	if b {
		return "1"
	}
	return ""
}

// eventMilliseconds is 0 for no time.
func eventMilliseconds(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

func millisText(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
