package wechat_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"posthouse/internal/wechat"
)

// Text that people type and paste stands in Content as it was typed; a character that XML
// forbids costs itself and nothing else.
func TestParse_ForbiddenCharacters_AreDropped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ content, want string }{
		"a control character":       {"<![CDATA[a\x1db]]>", "ab"},
		"all control characters":    {"<![CDATA[\x00\x01\x07\x08\x0b\x0c\x0e\x1f\x7fx]]>", "\x7fx"},
		"tab and line break":        {"<![CDATA[a\t\nb]]>", "a\t\nb"},
		"non-characters":            {"<![CDATA[a\ufffe\uffffb]]>", "ab"},
		"bytes of another charset":  {"<![CDATA[\xc4\xe3\xba\xc3 7d]]>", " 7d"},
		"a surrogate in UTF-8":      {"<![CDATA[a\xed\xa0\x80b]]>", "ab"},
		"a mark inside":             {"<![CDATA[a\ufeffb]]>", "a\ufeffb"},
		"an emoji":                  {"<![CDATA[👍🏽]]>", "👍🏽"},
		"a reference to null":       {"a&#0;b", "ab"},
		"a reference to a control":  {"a&#x1D;&#29;b", "ab"},
		"a reference to half":       {"a&#xD800;b&#xDC00;", "ab"},
		"references to both halves": {"a&#xD83D;&#xDE00;b", "a😀b"},
		"a reference too far":       {"a&#x110000;&#99999999999;b", "ab"},
		"good references":           {"&lt;&#20320;&#x597D;&amp;", "<你好&"},
		"a bare ampersand":          {"a & b &nbsp; &", "a & b &nbsp; &"},
		"no reference at all":       {"&#;&#x;&#xg;&;", "&#;&#x;&#xg;&;"},
		"references inside CDATA":   {"<![CDATA[&#0; &amp; &x]]>", "&#0; &amp; &x"},
		"an end of CDATA in a text": {"<![CDATA[a]]>b]]>c", "ab]]>c"},
		"a DOCTYPE that was typed":  {"<![CDATA[<!DOCTYPE x>]]>", "<!DOCTYPE x>"},
	} {
		body := "<xml><ToUserName>gh_1</ToUserName><FromUserName>oA</FromUserName><CreateTime>1767225662</CreateTime>" +
			"<MsgType>text</MsgType><Content>" + c.content + "</Content><MsgId>1</MsgId></xml>"
		m, err := wechat.Parse([]byte(body))
		if err != nil || m.Content != c.want || m.From != "oA" || m.MsgID != "1" {
			t.Errorf("%s: %q, %v; want %q", name, m.Content, err, c.want)
		}
	}
}

func TestParse_Doctype_IsItsOwnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body    string
		doctype bool
	}{
		"before the root":        {"<!DOCTYPE xml>" + goodXML, true},
		"behind a declaration":   {"\ufeff<?xml version=\"1.0\"?>\n<!DOCTYPE xml>" + goodXML, true},
		"with a byte between":    {"<!DOC\x00TYPE xml>" + goodXML, true},
		"never ended":            {"<!DOCTYPE xml [", true},
		"behind the root":        {goodXML + "<!DOCTYPE xml>", true},
		"another directive":      {"<!ELEMENT xml ANY>" + goodXML, false},
		"in a comment":           {"<!-- <!DOCTYPE xml> -->" + goodXML, false},
		"no push, and no type":   {"<xml/>", false},
		"in JSON, where it is a": {`{"a":"<!DOCTYPE xml>"}`, false},
	} {
		_, err := wechat.Parse([]byte(c.body))
		if !errors.Is(err, wechat.ErrMalformed) || errors.Is(err, wechat.ErrDoctype) != c.doctype {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParse_JSONWithRawControls(t *testing.T) {
	t.Parallel()
	m, err := wechat.Parse([]byte("\ufeff\x00{\"ToUserName\":\"gh_1\",\"FromUserName\":\"oA\",\"CreateTime\":1,\"MsgType\":\"text\",\"Content\":\"a\x1db\\x\"}"))
	if err != nil || m.Content != "a\x1db\\x" {
		t.Errorf("%+v, %v", m, err)
	}
}

// A person's remark is what an operator typed; it must not cost the unionid.
func TestClient_User_RawControlCharacters(t *testing.T) {
	t.Parallel()
	for name, remark := range map[string]string{
		"a control character": "a\x1db", "a null": "\x00", "a line break": "a\r\nb", "a tab": "a\tb",
		"bytes that are no UTF-8": "\xff\xfe", "half a pair": `\ud800`, "no escape": `C:\data`,
	} {
		s := newStub(t)
		s.forever("/cgi-bin/user/info", answers(200, "\ufeff"+`{"subscribe":1,"openid":"oAlice","remark":"`+remark+`","unionid":"o6U","subscribe_time":1767225662}`+"\n"))
		u, err := s.client(t, nil).User(t.Context(), "oAlice")
		if err != nil || u.UnionID != "o6U" || !u.Subscribed {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
}

// In no mode is anything but a DOCTYPE, an unsigned body or a wrong one an error that
// a signed push is refused for.
func TestReceiver_Open_UnreadableIsNotRefused(t *testing.T) {
	t.Parallel()
	k, err := wechat.ParseAESKey(testAESKey)
	if err != nil {
		t.Fatal(err)
	}
	const token = wechat.Secret("aTokenOfTheTest")
	for _, mode := range []wechat.Mode{wechat.Plain, wechat.Compat, wechat.Secure} {
		r, err := wechat.NewReceiver(&wechat.ReceiverOptions{AppID: testAppID, Token: token, AESKey: testAESKey, Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		q := wechat.Query{Timestamp: "1767225662", Nonce: "1", Signature: wechat.Sign(token, "1767225662", "1")}
		sealed := k.Seal([]byte("<xml>"), testAppID)
		body := "<xml>"
		if mode != wechat.Plain {
			body = "<xml><Encrypt>" + sealed + "</Encrypt></xml>"
			q.EncryptType, q.MsgSignature = "aes", wechat.Sign(token, q.Timestamp, q.Nonce, sealed)
		}
		if err := r.Check(q, time.Unix(1767225662, 0)); err != nil {
			t.Fatal(err)
		}
		p, err := r.Open(q, []byte(body))
		if !errors.Is(err, wechat.ErrMalformed) || p == nil || !strings.HasPrefix(string(p.Body), "<xml>") || p.Message.From != "" {
			t.Errorf("%s: %+v, %v", mode, p, err)
		}
		if mode == wechat.Plain {
			continue
		}
		if p, err := r.Open(q, []byte("<xml><Encrypt>")); !errors.Is(err, wechat.ErrMalformed) || p != nil {
			t.Errorf("%s, the outside: %+v, %v", mode, p, err)
		}
		q.Signature = "" // compat mode goes by msg_signature, and there is none to check
		if _, err := r.Open(q, []byte("<xml><Encrypt>")); !errors.Is(err, wechat.ErrRefused) {
			t.Errorf("%s, unsigned: %v", mode, err)
		}
	}
}

// Accounts that are still told names and pictures get them; an address that is none is dropped.
func TestClient_User_NameAndPictureWhereTheyAreTold(t *testing.T) {
	t.Parallel()
	for picture, want := range map[string]string{
		"https://thirdwx.qlogo.cn/mmopen/x/132": "https://thirdwx.qlogo.cn/mmopen/x/132", "": "", "javascript:alert(1)": "", "/0": "",
	} {
		s := newStub(t)
		s.forever("/cgi-bin/user/info", answers(200, `{"subscribe":1,"openid":"oAlice","nickname":"阿丽","headimgurl":"`+picture+`","language":"zh_CN","subscribe_time":1767225662}`))
		u, err := s.client(t, nil).User(t.Context(), "oAlice")
		if err != nil || u.Nickname != "阿丽" || u.Picture != want || u.Language != "zh-CN" {
			t.Errorf("%q: %+v, %v", picture, u, err)
		}
	}
}
