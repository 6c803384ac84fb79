package wechat_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"posthouse/internal/wechat"
)

const testAESKey = "kX7mQ2vB9sT4wZ1nL6pR8cY3fJ5hD0gA2eU7iO4xN9b"

func mustKey(t testing.TB, s wechat.Secret) wechat.AESKey {
	t.Helper()
	k, err := wechat.ParseAESKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestEnvelopesOfEveryLengthOpenAgain(t *testing.T) {
	t.Parallel()
	k := mustKey(t, testAESKey)
	seen := map[string]bool{}
	for n := range 130 {
		msg := bytes.Repeat([]byte("界"), n)[:n]
		e := k.Seal(msg, testAppID)
		got, err := k.Open(e, testAppID)
		if err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("%d bytes: %q, %v", n, got, err)
		}
		raw, err := base64.StdEncoding.DecodeString(e)
		if err != nil || len(raw)%32 != 0 || seen[e] {
			t.Fatalf("%d bytes: %d of cipher, seen %v, %v", n, len(raw), seen[e], err)
		}
		seen[e] = true
		if _, err := k.Open(e, "wx0"); err == nil {
			t.Fatal("opened for another appid")
		}
	}
}

func TestBrokenEnvelopesStayShut(t *testing.T) {
	t.Parallel()
	k := mustKey(t, testAESKey)
	raw, err := base64.StdEncoding.DecodeString(testAESKey + "=")
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		t.Fatal(err)
	}
	seal := func(plain []byte) string {
		out := make([]byte, len(plain))
		cipher.NewCBCEncrypter(block, raw[:16]).CryptBlocks(out, plain)
		return base64.StdEncoding.EncodeToString(out)
	}
	pad := func(b []byte) []byte {
		n := 32 - len(b)%32
		return append(b, bytes.Repeat([]byte{byte(n)}, n)...)
	}
	size := func(n uint32, rest string) []byte {
		return append(binary.BigEndian.AppendUint32(make([]byte, 16), n), rest...)
	}
	dented := pad(size(3, "<a>"+testAppID)) // good but for one byte of the padding
	dented[20+3+len(testAppID)] ^= 1
	for name, e := range map[string]string{
		"dented padding":          seal(dented),
		"nothing":                 "",
		"no base64":               "***",
		"one AES block":           base64.StdEncoding.EncodeToString(make([]byte, 16)),
		"a pad of 0":              seal(make([]byte, 32)),
		"a pad of 33":             seal(bytes.Repeat([]byte{33}, 64)),
		"unequal padding":         seal(append(bytes.Repeat([]byte{2}, 30), 1, 2)),
		"shorter than its header": seal(pad(make([]byte, 19))),
		"length 1 too long":       seal(pad(size(uint32(3+len(testAppID)+1), "<a>"+testAppID))),
		"length that overflows":   seal(pad(size(0xffffffff, "<a>"+testAppID))),
		"length that eats appid":  seal(pad(size(uint32(3+len(testAppID)), "<a>"+testAppID))),
		"no appid":                seal(pad(size(3, "<a>"))),
		"appid and more":          seal(pad(size(3, "<a>"+testAppID+"x"))),
	} {
		if got, err := k.Open(e, testAppID); err == nil {
			t.Errorf("%s opened: %q", name, got)
		} else if strings.Contains(err.Error(), testAppID) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := k.Open(seal(pad(size(3, "<a>"+testAppID))), testAppID); err != nil || string(got) != "<a>" {
		t.Errorf("the good one: %q, %v", got, err)
	}
}

func TestAESKeysAre43Characters(t *testing.T) {
	t.Parallel()
	for _, bad := range []wechat.Secret{"", "short", testAESKey + "=", wechat.Secret(testAESKey[:42]), wechat.Secret(testAESKey[:42]) + "*"} {
		if _, err := wechat.ParseAESKey(bad); !errors.Is(err, wechat.ErrAESKey) {
			t.Errorf("%d characters: %v", len(bad), err)
		}
	}
}
