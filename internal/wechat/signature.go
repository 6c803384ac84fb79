package wechat

import (
	"crypto/sha1" //nolint:gosec // the protocol's hash, not ours to choose
	"crypto/subtle"
	"encoding/hex"
	"io"
	"slices"
)

// Sign is WeChat's signature: the lower-case hex SHA-1 of the parts, sorted by
// their bytes and joined. For a query the parts are the Token, the timestamp
// and the nonce; for an encrypted body the Encrypt text is the fourth.
func Sign(token Secret, parts ...string) string {
	all := append([]string{token.Reveal()}, parts...)
	slices.Sort(all)
	h := sha1.New() //nolint:gosec // see above
	for _, p := range all {
		_, _ = io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// signed reports, in constant time, whether signature is Sign of the rest. An
// upper-case signature is not WeChat's and fails.
func signed(signature string, token Secret, parts ...string) bool {
	return subtle.ConstantTimeCompare([]byte(signature), []byte(Sign(token, parts...))) == 1
}
