package wechat

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var (
	// ErrAESKey says that an EncodingAESKey is not 43 characters of base64.
	ErrAESKey = errors.New("wechat: an EncodingAESKey is 43 base64 characters")

	// Both envelope errors answer alike to the peer (no padding oracle); they
	// differ for our own counters and log only.
	errEnvelope = errors.New("wechat: envelope cannot be opened")
)

// foreignError is the error of an envelope that opens but is for another AppID.
type foreignError struct{ appID string }

func (*foreignError) Error() string { return "wechat: envelope is for another appid" }

// padBlock is the block of the envelope's PKCS#7 padding: 32, not AES's 16.
const padBlock = 32

// AESKey is a decoded EncodingAESKey. It formats as "***".
type AESKey struct{ raw [32]byte }

// ParseAESKey decodes the 43 characters that the account's console shows.
func ParseAESKey(s Secret) (AESKey, error) {
	var k AESKey
	if len(s) != 43 {
		return k, ErrAESKey
	}
	// The decoder must not be strict: the last character carries two spare bits
	// which a real key may have set.
	raw, err := base64.StdEncoding.DecodeString(s.Reveal() + "=")
	if err != nil || len(raw) != len(k.raw) {
		return k, ErrAESKey // the decoder's error would quote from the key
	}
	copy(k.raw[:], raw)
	return k, nil
}

// Format writes "***" for every verb.
func (AESKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// Open decrypts the base64 text of an Encrypt element and returns the message
// inside. Whatever is wrong with it is one of two errors; neither says more in its
// text.
func (k AESKey) Open(encrypt, appID string) ([]byte, error) {
	box, err := base64.StdEncoding.DecodeString(encrypt)
	if err != nil || len(box) == 0 || len(box)%padBlock != 0 {
		return nil, errEnvelope
	}
	block, err := aes.NewCipher(k.raw[:])
	if err != nil {
		return nil, errEnvelope
	}
	cipher.NewCBCDecrypter(block, k.raw[:aes.BlockSize]).CryptBlocks(box, box)

	pad := int(box[len(box)-1])
	if pad < 1 || pad > padBlock {
		return nil, errEnvelope
	}
	body, tail := box[:len(box)-pad], box[len(box)-pad:]
	if !bytes.Equal(tail, bytes.Repeat([]byte{byte(pad)}, pad)) || len(body) < 20 {
		return nil, errEnvelope
	}
	size, rest := uint64(binary.BigEndian.Uint32(body[16:20])), body[20:]
	if size > uint64(len(rest)) {
		return nil, errEnvelope
	}
	msg, owner := rest[:size], rest[size:]
	if subtle.ConstantTimeCompare(owner, []byte(appID)) != 1 {
		return nil, &foreignError{appID: string(owner)}
	}
	return msg, nil
}

// Seal encrypts msg for appID with fresh randomness and returns the text of an
// Encrypt element.
func (k AESKey) Seal(msg []byte, appID string) string {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	return k.seal(salt, msg, appID)
}

func (k AESKey) seal(salt [16]byte, msg []byte, appID string) string {
	box := make([]byte, 0, 20+len(msg)+len(appID)+padBlock)
	box = append(box, salt[:]...)
	box = binary.BigEndian.AppendUint32(box, uint32(len(msg))) //nolint:gosec // replies are short
	box = append(box, msg...)
	box = append(box, appID...)
	pad := padBlock - len(box)%padBlock
	box = append(box, bytes.Repeat([]byte{byte(pad)}, pad)...)
	block, err := aes.NewCipher(k.raw[:])
	if err != nil {
		panic("wechat: " + err.Error()) // the key is 32 bytes by its type
	}
	cipher.NewCBCEncrypter(block, k.raw[:aes.BlockSize]).CryptBlocks(box, box)
	return base64.StdEncoding.EncodeToString(box)
}
