package wechat_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"posthouse/internal/wechat"
)

// seedBodies are the bodies of the shared vectors.
func seedBodies(f *testing.F) []vector {
	raw, err := os.ReadFile("testdata/wechat-vectors.json")
	if err != nil {
		f.Fatal(err)
	}
	var file vectorFile
	if err := json.Unmarshal(raw, &file); err != nil {
		f.Fatal(err)
	}
	return file.Vectors
}

// FuzzParse: no body makes the parser panic, and what it takes, encoding/xml
// reads alike.
func FuzzParse(f *testing.F) {
	for _, v := range seedBodies(f) {
		f.Add([]byte(v.Body))
		f.Add([]byte(v.Plaintext))
	}
	f.Add([]byte(goodXML))
	f.Add([]byte(`<?xml version="1.0"?><xml><a b="c">]]&gt;</a></xml>`))
	f.Add([]byte(`{"ToUserName":"a","list":[{"b":[1]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := wechat.Parse(body)
		if err != nil {
			if !errors.Is(err, wechat.ErrMalformed) {
				t.Fatalf("%v", err)
			}
			return
		}
		if m.To == "" || m.From == "" || m.Type == "" || m.Created.IsZero() {
			t.Fatalf("taken without its fields: %+v", m)
		}
		if len(m.To)+len(m.From)+len(m.Content)+len(m.EventKey)+len(m.Ticket) > 4*len(body) {
			t.Fatalf("it grew: %d bytes", len(body))
		}
		clean, err := wechat.CleanXML(body)
		if err != nil || wechat.IsJSON(body) {
			return
		}
		var other struct {
			XMLName                  xml.Name `xml:"xml"`
			ToUserName, FromUserName string
			MsgType, Event, EventKey string
		}
		if err := xml.Unmarshal(clean, &other); err != nil {
			t.Fatalf("encoding/xml says %v", err)
		}
		// A stranger's namespaced element may differ; ours never do otherwise.
		if !strings.Contains(string(body), ":") && (other.FromUserName != m.From || other.ToUserName != m.To || other.EventKey != m.EventKey) {
			t.Fatalf("%+v, encoding/xml reads %+v", m, other)
		}
	})
}

// FuzzCleanXML: what is clean stays as it is, what is cleaned holds characters of
// XML only, and cleaning does not hide a DOCTYPE.
func FuzzCleanXML(f *testing.F) {
	f.Add([]byte("<xml>a\x1db&#0;&#xD83D;&#xDE00;&#xD800;& &amp;]]><![CDATA[&#0;\x00]]></xml>"))
	f.Add([]byte("\ufeff<?xml version=\"1.0\" encoding=\"gbk\"?>\xff<xml/>"))
	f.Add([]byte("<!-- <!DOCTYPE --><!DOC\x00TYPE x><xml/>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		clean, err := wechat.CleanXML(body)
		if err != nil {
			if !errors.Is(err, wechat.ErrDoctype) || !strings.Contains(string(wechat.AllowedRunes(body)), "<!DOCTYPE") {
				t.Fatal(err)
			}
			return
		}
		if len(clean) > 5*len(body) || !utf8.Valid(clean) {
			t.Fatalf("%q", clean)
		}
		if string(wechat.AllowedRunes(clean)) != string(clean) {
			t.Fatalf("forbidden characters are left: %q", clean)
		}
		clean = bytes.TrimLeft(clean, " \t\r\n\ufeff")
		again, err := wechat.CleanXML(clean)
		if err == nil && !strings.HasPrefix(string(clean), "<?xml") && string(again) != string(clean) {
			t.Fatalf("%q became %q", clean, again)
		}
	})
}

// FuzzDecodeJSON: cleaning changes nothing that encoding/json reads, and makes every
// raw control character in a text readable.
func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(`{"remark":"a\u0000\x","n":[1,"\\"]}`), "a\x1d\n\"b")
	f.Add([]byte("\ufeff{\x00}"), `\`)
	f.Fuzz(func(t *testing.T, raw []byte, remark string) {
		var plain, cleaned any
		if json.Unmarshal(raw, &plain) == nil && (wechat.DecodeJSON(raw, &cleaned) != nil || !reflect.DeepEqual(plain, cleaned)) {
			t.Fatalf("%s: %v became %v", raw, plain, cleaned)
		}
		typed := strings.NewReplacer(`"`, "", `\`, "").Replace(strings.ToValidUTF8(remark, ""))
		var user struct{ Remark, UnionID string }
		err := wechat.DecodeJSON([]byte(`{"remark":"`+typed+`","unionid":"u"}`), &user)
		if err != nil || user.Remark != typed || user.UnionID != "u" {
			t.Fatalf("%q: %+v, %v", typed, user, err)
		}
	})
}

// FuzzEnvelope: no Encrypt text makes Open panic, and none but ours opens.
func FuzzEnvelope(f *testing.F) {
	k, err := wechat.ParseAESKey(testAESKey)
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range seedBodies(f) {
		f.Add(v.Encrypt, []byte(v.Plaintext))
	}
	f.Add("", []byte{})
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", []byte("x"))
	f.Fuzz(func(t *testing.T, encrypt string, msg []byte) {
		if got, err := k.Open(encrypt, testAppID); err == nil && len(got) > len(encrypt) {
			t.Fatalf("%d bytes out of %d", len(got), len(encrypt))
		}
		got, err := k.Open(k.Seal(msg, testAppID), testAppID)
		if err != nil || string(got) != string(msg) {
			t.Fatalf("%q came back as %q, %v", msg, got, err)
		}
	})
}

// FuzzQuery: no query is accepted unsigned, and none makes the checks panic.
func FuzzQuery(f *testing.F) {
	for _, v := range seedBodies(f) {
		var parts []string
		for name, s := range v.Query {
			parts = append(parts, name+"="+s)
		}
		f.Add(strings.Join(parts, "&"))
	}
	f.Add("signature=a&signature=b")
	f.Add("%zz=;&timestamp=99999999999999999999")
	r, err := wechat.NewReceiver(&wechat.ReceiverOptions{AppID: testAppID, Token: "neverInTheSeeds", AESKey: testAESKey})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := wechat.ParseQuery(raw)
		if err == nil {
			err = r.Check(q, time.Unix(1767225675, 0))
		}
		if !errors.Is(err, wechat.ErrRefused) {
			t.Fatalf("%q: %v", raw, err)
		}
		if _, err := r.Echo(q); err == nil {
			t.Fatalf("echoed %q", raw)
		}
		if _, err := r.Open(q, []byte(raw)); err == nil {
			t.Fatalf("opened %q", raw)
		}
	})
}
