package wxsim

import (
	"errors"
	"strings"
	"testing"
)

// Whatever a callback answers is judged without a panic, and what is accepted
// as a message is for the person it was meant for.
func FuzzJudge(f *testing.F) {
	for _, seed := range []string{
		"success", "", "<xml></xml>", reply("<MsgType>text</MsgType><Content>hi</Content>"),
		reply("<MsgType>news</MsgType><ArticleCount>1</ArticleCount><Articles><item><Title>T</Title></item></Articles>"),
		"<!DOCTYPE x><xml/>", "<xml><Encrypt>AAAA</Encrypt><MsgSignature>x</MsgSignature><TimeStamp>1</TimeStamp><Nonce>n</Nonce></xml>",
		"<xml>" + strings.Repeat("<a>", 20), "<xml><![CDATA[", "<a:xml xmlns:a='b'/>", "\xff\xfe<xml/>",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	a := DevAccount()
	key, err := parseAESKey(a.AESKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, secure bool) {
		account := a
		if !secure {
			account.Mode = Plain
		}
		got, err := account.judge(body, someone, key)
		if err == nil && got.kind != "success" && got.kind != "empty" && !strings.Contains(string(body), someone) {
			t.Errorf("%q was accepted as %+v", body, got)
		}
	})
}

// Decrypting junk fails with one error, and sealing is undone by unsealing.
func FuzzUnseal(f *testing.F) {
	a := DevAccount()
	key, err := parseAESKey(a.AESKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("", "")
	f.Add("AAAA", "x")
	f.Add(seal(key, []byte("0123456789abcdef"), []byte("hello"), a.AppID), strings.Repeat("m", 27))
	f.Add(strings.Repeat("A", 64), "消息")
	f.Fuzz(func(t *testing.T, sealed, message string) {
		if _, err := unseal(key, sealed, a.AppID); err != nil && !errors.Is(err, errSealed) {
			t.Errorf("%v", err)
		}
		back, err := unseal(key, seal(key, []byte("0123456789abcdef"), []byte(message), a.AppID), a.AppID)
		if err != nil || string(back) != message {
			t.Errorf("%q came back as %q, %v", message, back, err)
		}
	})
}

// A message is read back as it was written, whatever people type.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{"", "]]>", "a]]>b]]]>", "<b>&amp;</b>", "你好", "]]]]>>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ToValidUTF8(text, "") != text || strings.ContainsFunc(text, notXML) {
			t.Skip("not a text of XML")
		}
		m := message{to: "gh", from: "o", created: 1, kind: "text", fields: []field{{Name: "Content", Value: text}}}
		root, err := parseXML([]byte(m.xml()))
		if err != nil || root.child("Content").text != strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n") {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// notXML tells characters that XML 1.0 has no way to write.
func notXML(r rune) bool {
	return r != '\t' && r != '\n' && r != '\r' && (r < ' ' || r == 0xFFFE || r == 0xFFFF)
}
