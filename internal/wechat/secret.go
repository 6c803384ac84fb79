package wechat

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// Secret is a text that must never be printed: an AppSecret, a callback Token,
// an EncodingAESKey, an access token. Every way of formatting it gives "***";
// Reveal is the only way out, so that a search for it finds every use.
type Secret string

const redacted = "***"

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "***".
func (Secret) String() string { return redacted }

// GoString returns "***".
func (Secret) GoString() string { return redacted }

// LogValue returns "***" for slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "***", so that a configuration can be dumped.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format writes "***" for every verb: without it a wrong verb (%d) would print
// the text inside fmt's complaint.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// Pseudonym names a person in logs without naming them: a short keyed hash of
// the openid, the same on every replica that has the same key.
func Pseudonym(key Secret, openID string) string {
	if openID == "" {
		return ""
	}
	m := hmac.New(sha256.New, []byte("posthouse pseudonym "+key.Reveal()))
	_, _ = io.WriteString(m, openID)
	return hex.EncodeToString(m.Sum(nil)[:6])
}
