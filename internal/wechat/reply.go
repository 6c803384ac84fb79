package wechat

import (
	"encoding/xml"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxContent is how many bytes of text WeChat takes in a passive reply.
const maxContent = 2048

type cdata struct {
	Text string `xml:",cdata"` // splits "]]>" by itself
}

type textReply struct {
	XMLName xml.Name `xml:"xml"`
	To      cdata    `xml:"ToUserName"`
	From    cdata    `xml:"FromUserName"`
	Created int64    `xml:"CreateTime"`
	Type    cdata    `xml:"MsgType"`
	Content cdata    `xml:"Content"`
}

type sealedReply struct {
	XMLName   xml.Name `xml:"xml"`
	Encrypt   cdata    `xml:"Encrypt"`
	Signature cdata    `xml:"MsgSignature"`
	Timestamp string   `xml:"TimeStamp"`
	Nonce     cdata    `xml:"Nonce"`
}

// Text builds the passive reply that shows text to the person in their chat:
// encrypted with the key that opened the push, so that a rotation of keys does
// not break answers. ok is false when the push cannot be answered with a text
// (it came as JSON, or text is empty); the answer is then "success".
func (p *Push) Text(text string, now time.Time) (body []byte, ok bool) {
	if text == "" || p.json {
		return nil, false
	}
	plain, err := xml.Marshal(textReply{
		To: cdata{p.Message.From}, From: cdata{p.Message.To},
		Created: now.Unix(), Type: cdata{"text"}, Content: cdata{clip(text, maxContent)},
	})
	if err != nil {
		return nil, false
	}
	if p.key == nil {
		return plain, true
	}
	return p.wrap(p.key.Seal(plain, p.appID), strconv.FormatInt(now.Unix(), 10)), true
}

// wrap signs an Encrypt text. TimeStamp is in seconds: milliseconds break the
// answer.
func (p *Push) wrap(encrypt, timestamp string) []byte {
	out, err := xml.Marshal(sealedReply{
		Encrypt:   cdata{encrypt},
		Signature: cdata{Sign(p.token, timestamp, p.nonce, encrypt)},
		Timestamp: timestamp,
		Nonce:     cdata{p.nonce},
	})
	if err != nil {
		panic("wechat: " + err.Error()) // strings only
	}
	return out
}

// clip cuts s to at most n bytes, between runes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
