package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Secret is a key of the signatures. It is never printed: every formatting gives "***".
type Secret struct{ key []byte }

// String implements fmt.Stringer.
func (Secret) String() string { return "***" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "***" }

const (
	secretPrefix = "whsec_"
	// minSecret and maxSecret are those of the Standard Webhooks specification, in bytes.
	minSecret = 24
	maxSecret = 64
)

// ErrSecret is wrapped by the errors of ParseSecrets.
var ErrSecret = errors.New("hook: unsuitable secret")

// ParseSecrets reads secrets, one in each line, the newest first: whsec_ and the base64
// of 24 to 64 bytes. The newest one signs first; the others sign as well, so that the
// back end can change its own copy at leisure. Errors name the line and not the secret.
func ParseSecrets(text string) ([]Secret, error) {
	var secrets []Secret
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		encoded, ok := strings.CutPrefix(line, secretPrefix)
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(key) < minSecret || len(key) > maxSecret {
			return nil, fmt.Errorf("%w: line %d: write %s and the base64 of %d to %d bytes", ErrSecret, number, secretPrefix, minSecret, maxSecret)
		}
		secrets = append(secrets, Secret{key})
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("%w: there is none", ErrSecret)
	}
	return secrets, nil
}

// sign returns the header webhook-signature.
func sign(secrets []Secret, id string, at time.Time, body []byte) string {
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		mac := hmac.New(sha256.New, s.key)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, " ")
}
