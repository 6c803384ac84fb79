package wechat

// Seal with a given salt, and wrap, make the vectors' bytes reproducible.
func (k AESKey) SealWith(salt [16]byte, msg []byte, appID string) string {
	return k.seal(salt, msg, appID)
}

func (p *Push) Wrap(encrypt, timestamp string) []byte { return p.wrap(encrypt, timestamp) }

func ReplyPush(token Secret, nonce string) *Push { return &Push{token: token, nonce: nonce} }

var (
	CleanXML     = cleanXML
	AllowedRunes = allowedRunes
	DecodeJSON   = decodeJSON
	IsJSON       = isJSON
)
