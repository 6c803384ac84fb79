package login

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"posthouse/internal/randid"
)

// ScenePrefix begins every scene this version makes. A scene without it is not a
// login: the webhook forwards such events.
const ScenePrefix = "L1."

const sceneLength = len(ScenePrefix) + 22

// IsScene reports whether s has the shape of a login's scene.
func IsScene(s string) bool {
	if len(s) != sceneLength || !strings.HasPrefix(s, ScenePrefix) {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(s[len(ScenePrefix):])
	return err == nil && !strings.ContainsAny(s, "\r\n")
}

func newScene() string  { return ScenePrefix + randid.Text(16) }
func newJTI() string    { return randid.Text(16) }
func newSecret() string { return randid.Text(32) }

// newNumber is two digits to match, never with a leading zero: it is read aloud.
func newNumber() string {
	n, err := rand.Int(rand.Reader, big.NewInt(90))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return strconv.FormatInt(10+n.Int64(), 10)
}

// NewTypedCode is a code of 40 random bits that people read and type.
func NewTypedCode() string {
	b := make([]byte, typedLength)
	rand.Read(b) // never fails
	for i := range b {
		b[i] = typedAlphabet[b[i]%32]
	}
	return string(b)
}

// typedTicket is what stands for WeChat's ticket where there is none. The code in
// it is shown on the page anyway; what is secret is the resume secret.
func typedTicket(appID, code string) string { return "T1." + appID + "." + code }

// TypedCode is the code that a person sends for the ticket, "" when it has a QR code.
func (t Ticket) TypedCode() string {
	code, ok := strings.CutPrefix(t.WeChat, "T1."+t.AppID+".")
	if !ok {
		return ""
	}
	return code
}

// hashSecret is how secrets are stored: hex SHA-256. They have 256 random bits, so no
// salt and no slow hash is needed.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// personKey is the key of a person at an account, without showing who it is.
func personKey(appID, openID string) string { return hashSecret(appID + "|" + openID) }

// ChallengeOf is PKCE's S256 of a verifier (RFC 7636 §4.2).
func ChallengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ValidChallenge reports whether s can be an S256 challenge: 32 bytes, base64url.
func ValidChallenge(s string) bool {
	if len(s) != 43 || strings.ContainsAny(s, "\r\n") {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil
}

// maxContext is the longest text, in bytes, that a page may send along with a ticket.
const maxContext = 512

// ValidContext reports whether s may travel with a ticket.
func ValidContext(s string) bool { return len(s) <= maxContext && utf8.ValidString(s) }

// validVerifier is RFC 7636 §4.1: 43 to 128 unreserved characters.
func validVerifier(s string) bool {
	if len(s) < 43 || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return true
}
