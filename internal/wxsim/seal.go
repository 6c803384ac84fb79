package wxsim

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// padBlock is the PKCS#7 block of the message cipher. It is 32, not AES's 16:
// WeChat pads with 1 to 32 bytes.
const padBlock = 32

// errSealed is the one answer to everything that is wrong with a ciphertext.
var errSealed = errors.New("wxsim: ciphertext refused")

// signature is WeChat's "signature" (token, timestamp, nonce) and
// "msg_signature" (the same and the Encrypt text): the parts sorted bytewise,
// joined, SHA-1, lower-case hex.
func signature(parts ...string) string {
	sorted := slices.Sorted(slices.Values(parts))
	sum := sha1.Sum([]byte(strings.Join(sorted, "")))
	return hex.EncodeToString(sum[:])
}

func sameText(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// parseAESKey turns the 43 characters of an EncodingAESKey into the 32 bytes
// of the key. The decoder is the lenient one on purpose: the last character
// carries two spare bits which WeChat leaves as they come.
func parseAESKey(encodingKey string) ([]byte, error) {
	if len(encodingKey) != 43 {
		return nil, fmt.Errorf("wxsim: the AES key has %d characters, not 43", len(encodingKey))
	}
	key, err := base64.StdEncoding.DecodeString(encodingKey + "=")
	if err != nil {
		return nil, fmt.Errorf("wxsim: the AES key is not base64: %w", err)
	}
	return key, nil
}

// seal encrypts message for appid: random16 || big-endian length || message ||
// appid, padded to 32, AES-256-CBC with the key's first half as the IV.
func seal(key, random16, message []byte, appid string) string {
	plain := make([]byte, 0, len(random16)+4+len(message)+len(appid)+padBlock)
	plain = append(plain, random16...)
	plain = binary.BigEndian.AppendUint32(plain, uint32(len(message)))
	plain = append(plain, message...)
	plain = append(plain, appid...)
	pad := padBlock - len(plain)%padBlock
	for range pad {
		plain = append(plain, byte(pad))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("wxsim: " + err.Error()) // the key's length was checked by parseAESKey
	}
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(plain, plain)
	return base64.StdEncoding.EncodeToString(plain)
}

// unseal is seal backwards. Every failure is errSealed.
func unseal(key []byte, sealed, appid string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(data) == 0 || len(data)%padBlock != 0 {
		return nil, errSealed
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errSealed
	}
	cipher.NewCBCDecrypter(block, key[:aes.BlockSize]).CryptBlocks(data, data)

	pad := int(data[len(data)-1])
	if pad < 1 || pad > padBlock {
		return nil, errSealed
	}
	for _, b := range data[len(data)-pad:] {
		if int(b) != pad {
			return nil, errSealed
		}
	}
	data = data[:len(data)-pad]
	if len(data) < 20 {
		return nil, errSealed
	}
	length := uint64(binary.BigEndian.Uint32(data[16:20]))
	rest := data[20:]
	if length > uint64(len(rest)) || !sameText(string(rest[length:]), appid) {
		return nil, errSealed
	}
	return rest[:length], nil
}
