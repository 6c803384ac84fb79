package wxsim

import (
	"fmt"
	"strings"
	"testing"
)

const someone = "o0000000000000000000000000ab"

func reply(fields string) string {
	return "<xml><ToUserName><![CDATA[" + someone + "]]></ToUserName><FromUserName><![CDATA[" + DevAccount().OriginalID +
		"]]></FromUserName><CreateTime>1767225663</CreateTime>" + fields + "</xml>"
}

func TestPlainRepliesAreJudged(t *testing.T) {
	t.Parallel()
	a := DevAccount()
	a.Mode = Plain
	hello := reply("<MsgType>text</MsgType><Content>hello</Content>")
	for _, c := range []struct{ name, body, kind, fault string }{
		{"success", "success", "success", ""},
		{"nothing", "", "empty", ""},
		{"text", hello, "text", ""},
		{"news", reply("<MsgType>news</MsgType><ArticleCount>1</ArticleCount><Articles><item><Title>T</Title><Url>http://u</Url></item></Articles>"), "news", ""},
		{"three articles", reply("<MsgType>news</MsgType><ArticleCount>3</ArticleCount><Articles><item><Title>T</Title></item><item/><item/></Articles>"), "news", ""},
		{"to a human", reply("<MsgType>transfer_customer_service</MsgType>"), "transfer_customer_service", ""},
		{"to a named human", reply("<MsgType>transfer_customer_service</MsgType><TransInfo><KfAccount>a@gh</KfAccount></TransInfo>"), "transfer_customer_service", ""},
		{"image", reply("<MsgType>image</MsgType><Image><MediaId>1</MediaId></Image>"), "image", ""},
		{"success with a line end", "success\n", "", "neither"},
		{"JSON of a framework", `{"message":"Internal Server Error"}`, "", "neither"},
		{"HTML", "<html></html>", "", "not <xml>"},
		{"cut off", hello[:60], "", "not XML"},
		{"DOCTYPE", "<!DOCTYPE x>" + hello, "", "DOCTYPE"},
		{"two roots", hello + hello, "", "more than one"},
		{"text after it", hello + "x", "", "outside"},
		{"doubled field", reply("<MsgType>text</MsgType><Content>a</Content><Content>b</Content>"), "", "twice"},
		{"too deep", "<xml>" + strings.Repeat("<a>", 9) + strings.Repeat("</a>", 9) + "</xml>", "", "deep"},
		{"to somebody else", strings.Replace(hello, someone, "other", 1), "", "ToUserName"},
		{"from somebody else", strings.Replace(hello, a.OriginalID, "gh_x", 1), "", "FromUserName"},
		{"milliseconds", strings.Replace(hello, "1767225663", "1767225663000", 1), "", "CreateTime"},
		{"no such type", reply("<MsgType>poll</MsgType>"), "", "MsgType"},
		{"empty text", reply("<MsgType>text</MsgType><Content></Content>"), "", "0 bytes"},
		{"long text", reply("<MsgType>text</MsgType><Content>" + strings.Repeat("x", 2049) + "</Content>"), "", "2049 bytes"},
		{"no article", reply("<MsgType>news</MsgType><ArticleCount>0</ArticleCount><Articles></Articles>"), "", "articles"},
		{"nine articles", reply("<MsgType>news</MsgType><ArticleCount>9</ArticleCount><Articles>" + strings.Repeat("<item/>", 9) + "</Articles>"), "", "articles"},
		{"fewer articles than counted", reply("<MsgType>news</MsgType><ArticleCount>2</ArticleCount><Articles><item/></Articles>"), "", "articles"},
		{"encrypted in plain mode", "<xml><Encrypt>x</Encrypt></xml>", "", "plain mode"},
	} {
		got, err := a.judge([]byte(c.body), someone, nil)
		if c.fault == "" && (err != nil || got.kind != c.kind) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
		if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.fault)
		}
	}
}

func TestSecureRepliesAreJudged(t *testing.T) {
	t.Parallel()
	a := DevAccount()
	key := mustKey(t, a.AESKey)
	other := mustKey(t, strings.Repeat("o", 42)+"A")
	wrap := func(timestamp, nonce, sealed, sign string) string {
		return fmt.Sprintf("<xml><Encrypt>%s</Encrypt><MsgSignature>%s</MsgSignature><TimeStamp>%s</TimeStamp><Nonce>%s</Nonce></xml>", sealed, sign, timestamp, nonce)
	}
	sealed := func(key []byte, appid string) string {
		return seal(key, []byte("0123456789abcdef"), []byte(reply("<MsgType>text</MsgType><Content>hi</Content>")), appid)
	}
	signed := func(timestamp, nonce, sealed string) string {
		return wrap(timestamp, nonce, sealed, signature(a.Token, timestamp, nonce, sealed))
	}
	good := sealed(key, a.AppID)
	for _, c := range []struct{ name, body, fault string }{
		{"good", signed("1767225663", "n", good), ""},
		{"success stays plain", "success", ""},
		{"not encrypted", reply("<MsgType>text</MsgType><Content>hi</Content>"), "unencrypted"},
		{"wrong signature", wrap("1767225663", "n", good, strings.Repeat("0", 40)), "MsgSignature"},
		{"no nonce", signed("1767225663", "", good), "Nonce"},
		{"milliseconds", signed("1767225663000", "n", good), "TimeStamp"},
		{"another key", signed("1767225663", "n", sealed(other, a.AppID)), "decrypted"},
		{"another appid", signed("1767225663", "n", sealed(key, "wxffffffffffffffff")), "decrypted"},
		{"success encrypted", signed("1767225663", "n", seal(key, []byte("0123456789abcdef"), []byte("success"), a.AppID)), "inside"},
	} {
		got, err := a.judge([]byte(c.body), someone, key)
		if c.fault == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: %+v, %v, want %q", c.name, got, err, c.fault)
		}
	}
}
