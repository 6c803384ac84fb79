package wxsim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// answer is a callback's reply as WeChat would understand it.
type answer struct {
	kind string // success, empty, or one of passiveKinds
	text string // Content, or the first article's title and description
	link string
}

// passiveKinds are the message types a callback may answer with.
var passiveKinds = []string{"text", "image", "voice", "video", "music", "news", "transfer_customer_service"}

// maxArticles is how many articles a news reply may have; after a message of a person
// WeChat shows the first (docs/wechat.md §2.5).
const maxArticles = 8

// judge reads a reply the way WeChat does. An error is an illegal answer: the
// person sees that the service is out of order.
func (a Account) judge(body []byte, openid string, key []byte) (answer, error) {
	switch string(body) {
	case "success": // never encrypted, in no mode
		return answer{kind: "success"}, nil
	case "":
		return answer{kind: "empty"}, nil
	}
	root, err := parseXML(body)
	if err != nil {
		return answer{}, fmt.Errorf("neither \"success\" nor a message (%w)", err)
	}
	switch {
	case root.has("Encrypt") && a.Mode == Plain:
		return answer{}, errors.New("an encrypted reply of an account in plain mode")
	case root.has("Encrypt"):
		if root, err = a.openReply(root, key); err != nil {
			return answer{}, err
		}
	case a.Mode == Secure:
		return answer{}, errors.New("an unencrypted reply of an account in secure mode")
	}
	return a.judgeMessage(root, openid)
}

// openReply checks and decrypts the envelope of a reply (docs/wechat.md §2.5).
func (a Account) openReply(root *node, key []byte) (*node, error) {
	for _, name := range []string{"MsgSignature", "TimeStamp", "Nonce"} {
		if root.child(name).text == "" {
			return nil, fmt.Errorf("the encrypted reply has no %s", name)
		}
	}
	timestamp, sealed := root.child("TimeStamp").text, strings.TrimSpace(root.child("Encrypt").text)
	if err := checkSeconds("TimeStamp", timestamp); err != nil {
		return nil, err
	}
	if !sameText(root.child("MsgSignature").text, signature(a.Token, timestamp, root.child("Nonce").text, sealed)) {
		return nil, errors.New("the reply's MsgSignature is wrong")
	}
	plain, err := unseal(key, sealed, a.AppID)
	if err != nil {
		return nil, errors.New("the reply cannot be decrypted with the key the push was encrypted with")
	}
	inner, err := parseXML(plain)
	if err != nil {
		return nil, fmt.Errorf("inside the encrypted reply: %w", err)
	}
	return inner, nil
}

func (a Account) judgeMessage(root *node, openid string) (answer, error) {
	out := answer{kind: root.child("MsgType").text}
	switch {
	case root.child("ToUserName").text != openid:
		return out, errors.New("ToUserName of the reply is not the person's openid")
	case root.child("FromUserName").text != a.OriginalID:
		return out, errors.New("FromUserName of the reply is not the account's original id")
	case !slices.Contains(passiveKinds, out.kind):
		return out, fmt.Errorf("MsgType %q is no passive reply", out.kind)
	}
	if err := checkSeconds("CreateTime", root.child("CreateTime").text); err != nil {
		return out, err
	}
	switch out.kind {
	case "text":
		out.text = root.child("Content").text
		if out.text == "" || len(out.text) > maxText {
			return out, fmt.Errorf("the text (Content) has %d bytes, not 1 to %d", len(out.text), maxText)
		}
	case "news":
		articles := root.child("Articles").children
		if n := len(articles); n < 1 || n > maxArticles || root.child("ArticleCount").text != strconv.Itoa(n) {
			return out, fmt.Errorf("a news reply has 1 to %d articles, as many as ArticleCount says", maxArticles)
		}
		out.text = strings.TrimSpace(articles[0].child("Title").text + "\n" + articles[0].child("Description").text)
		out.link = articles[0].child("Url").text
	case "transfer_customer_service": // the conversation goes to a human; the person reads nothing
	default:
		out.text = "[" + out.kind + "]"
	}
	return out, nil
}

// checkSeconds catches milliseconds, the usual mistake.
func checkSeconds(name, text string) error {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || len(text) > 10 || seconds <= 0 {
		return fmt.Errorf("%s %q is no Unix time in seconds", name, text)
	}
	return nil
}
