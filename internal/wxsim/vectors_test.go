package wxsim

import (
	"encoding/json"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
)

// vector is one case of testdata/wechat-vectors.json: four are Tencent's own
// worked examples.
type vector struct {
	Name           string
	Kind           string
	Mode           Mode
	ConfiguredMode Mode `json:"configured_mode"`
	Query          map[string]string
	Body           string
	Plaintext      string
	Encrypt        string
	Random16       string
	Token          string
	AppID          string
	AESKey         string `json:"aes_key"`
	MsgSignature   string `json:"msg_signature"`
	Timestamp      any
	Nonce          string
	Clock          int64
	Expect         struct {
		Accept *bool
		Body   string
		Event  string
		Scene  string
		Ticket string
	}
}

type vectorFile struct {
	Account struct {
		AppID      string
		AESKey     string `json:"encoding_aes_key"`
		Previous   string `json:"previous_encoding_aes_key"`
		OriginalID string `json:"original_id"`
		OpenID     string
		Ticket     string `json:"qr_ticket"`
		QRURL      string `json:"qr_url"`
		Created    int64  `json:"qr_created"`
		Life       int64  `json:"qr_expire_seconds"`
	}
	Clock   int64
	Vectors []vector
}

func readVectors(t *testing.T) vectorFile {
	t.Helper()
	data, err := os.ReadFile("testdata/wechat-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var f vectorFile
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Vectors) < 30 {
		t.Fatalf("only %d vectors", len(f.Vectors))
	}
	return f
}

// mustKey is the parsed key of a vector.
func mustKey(t *testing.T, encodingKey string) []byte {
	t.Helper()
	key, err := parseAESKey(encodingKey)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestURLVerificationIsSignedAsPublished(t *testing.T) {
	seen := 0
	for _, v := range readVectors(t).Vectors {
		if v.Kind != "url_verify" || v.Expect.Body == "" {
			continue
		}
		seen++
		if got := signature(v.Token, v.Query["timestamp"], v.Query["nonce"]); got != v.Query["signature"] {
			t.Errorf("%s: signature %s, want %s", v.Name, got, v.Query["signature"])
		}
	}
	if seen != 4 {
		t.Errorf("%d verifications checked, want 4", seen)
	}
}

// Pushes are made byte for byte as published, given the published time, nonce
// and random bytes.
func TestPushesEqualThePublishedBytes(t *testing.T) {
	f := readVectors(t)
	for _, v := range f.Vectors {
		if v.Kind != "push" || (v.Expect.Accept != nil && !*v.Expect.Accept) || strings.HasPrefix(v.Body, "{") {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			m := messageOf(t, v.Plaintext)
			if m.xml() != v.Plaintext {
				t.Fatalf("message\n%s\nwant\n%s", m.xml(), v.Plaintext)
			}
			a := Account{AppID: v.AppID, OriginalID: m.to, Token: v.Token, AESKey: v.AESKey, Mode: v.Mode}
			var faults plan
			if v.AESKey == f.Account.Previous {
				a.AESKey, a.PreviousAESKey = f.Account.AESKey, v.AESKey
				faults = plan{{Kind: PreviousKey}}
			}
			timestamp, err := strconv.ParseInt(v.Query["timestamp"], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			e := a.wrap(m, v.Query["openid"], sealing{timestamp, v.Query["nonce"], v.Random16}, faults)
			if e.body != v.Body {
				t.Errorf("body\n%s\nwant\n%s", e.body, v.Body)
			}
			want := url.Values{}
			for name, value := range v.Query {
				want.Set(name, value)
			}
			if e.query.Encode() != want.Encode() {
				t.Errorf("query %s, want %s", e.query.Encode(), want.Encode())
			}
		})
	}
}

// messageOf reads a published message back into fields. Only text in quotes is
// CDATA there, so the digits-only values of bare elements can be told apart.
func messageOf(t *testing.T, plaintext string) message {
	t.Helper()
	root, err := parseXML([]byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	created, err := strconv.ParseInt(root.child("CreateTime").text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	m := message{
		to: root.child("ToUserName").text, from: root.child("FromUserName").text,
		created: created, kind: root.child("MsgType").text,
	}
	for _, c := range root.children[4:] {
		m.fields = append(m.fields, field{c.name, c.text, !strings.Contains(plaintext, "<"+c.name+"><![CDATA[")})
	}
	return m
}

// The official JSON pushes belong to mini programs, but their signatures and
// ciphertext are Tencent's own proof of the cipher.
func TestOfficialCiphertextIsReproduced(t *testing.T) {
	for _, v := range readVectors(t).Vectors {
		if v.Encrypt == "" || v.Random16 == "" || v.Plaintext == "" {
			continue
		}
		key := mustKey(t, v.AESKey)
		if got := seal(key, []byte(v.Random16), []byte(v.Plaintext), v.AppID); got != v.Encrypt {
			t.Errorf("%s: ciphertext differs", v.Name)
		}
		plain, err := unseal(key, v.Encrypt, v.AppID)
		if err != nil || string(plain) != v.Plaintext {
			t.Errorf("%s: decrypted %q, %v", v.Name, plain, err)
		}
	}
}

// receive is a receiver of pushes made of the simulator's own parts: what its
// cipher and XML reader would refuse if they were on the other side.
func receive(v vector, key []byte, clock int64) bool {
	mode := v.Mode
	if mode == "negative" {
		mode = Secure
		if v.ConfiguredMode != "" {
			mode = v.ConfiguredMode
		}
	}
	q := v.Query
	timestamp, err := strconv.ParseInt(q["timestamp"], 10, 64)
	if err != nil || clock-timestamp > 300 {
		return false
	}
	if !sameText(signature(v.Token, q["timestamp"], q["nonce"]), q["signature"]) {
		return false
	}
	root, err := parseXML([]byte(v.Body))
	if err != nil {
		return false
	}
	if mode == Plain {
		return true
	}
	sealed := strings.TrimSpace(root.child("Encrypt").text)
	if q["encrypt_type"] != "aes" || sealed == "" ||
		!sameText(signature(v.Token, q["timestamp"], q["nonce"], sealed), q["msg_signature"]) {
		return false
	}
	plain, err := unseal(key, sealed, v.AppID)
	if err != nil {
		return false
	}
	inner, err := parseXML(plain)
	return err == nil && (mode == Compat || inner.child("ToUserName").text == root.child("ToUserName").text)
}

func TestReceivingSideJudgesEveryPushAsPublished(t *testing.T) {
	f := readVectors(t)
	refused := 0
	for _, v := range f.Vectors {
		if v.Kind != "push" || v.Expect.Accept == nil || strings.HasPrefix(v.Body, "{") {
			continue
		}
		var key []byte
		if v.AESKey != "" {
			key = mustKey(t, v.AESKey)
		}
		clock := f.Clock
		if v.Clock != 0 {
			clock = v.Clock
		}
		if got := receive(v, key, clock); got != *v.Expect.Accept {
			t.Errorf("%s: accepted %v, want %v", v.Name, got, *v.Expect.Accept)
		}
		if !*v.Expect.Accept {
			refused++
		}
	}
	if refused < 10 {
		t.Errorf("only %d negative vectors", refused)
	}
}

func TestEncryptedReplyIsVerifiedAndRead(t *testing.T) {
	f := readVectors(t)
	seen := 0
	for _, v := range f.Vectors {
		if v.Kind != "reply" {
			continue
		}
		seen++
		root, err := parseXML([]byte(v.Plaintext))
		if err != nil {
			root = nil
		}
		a := Account{AppID: v.AppID, OriginalID: f.Account.OriginalID, Token: v.Token, AESKey: v.AESKey, Mode: Secure}
		got, err := a.judge([]byte(v.Body), f.Account.OpenID, mustKey(t, v.AESKey))
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if root != nil && got.text != root.child("Content").text {
			t.Errorf("%s: read %q", v.Name, got.text)
		}
		broken := strings.Replace(v.Body, v.MsgSignature, strings.Repeat("0", 40), 1)
		if _, err := a.judge([]byte(broken), f.Account.OpenID, mustKey(t, v.AESKey)); err == nil {
			t.Errorf("%s: a wrong MsgSignature was accepted", v.Name)
		}
	}
	if seen == 0 {
		t.Error("no reply vector")
	}
}
