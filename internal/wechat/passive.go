package wechat

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ReplyFault says what is wrong with an answer to a push. The set is closed: it
// labels log lines.
type ReplyFault string

const (
	ReplyFormat     ReplyFault = "format"        // neither "success" nor one XML message
	ReplyEncrypted  ReplyFault = "encrypted"     // encrypted, at an account in plain mode
	ReplySignature  ReplyFault = "msg_signature" // its MsgSignature, TimeStamp or Nonce
	ReplyEnvelope   ReplyFault = "envelope"      // the key that opened the push does not open it
	ReplyReceiver   ReplyFault = "to_user"       // ToUserName is not the push's sender
	ReplySender     ReplyFault = "from_user"     // FromUserName is not the account
	ReplyCreateTime ReplyFault = "create_time"   // CreateTime is no Unix time in seconds
	ReplyType       ReplyFault = "msg_type"      // MsgType is none that an account may answer with
	ReplyContent    ReplyFault = "content"       // the type's own fields are missing or too long
)

// ReplyError is an answer that WeChat would not take: the person would read that
// the account is out of order (docs/wechat.md §2.5).
type ReplyError struct{ Fault ReplyFault }

func (e *ReplyError) Error() string {
	return fmt.Sprintf("wechat: not an answer that WeChat takes (%s)", e.Fault)
}

// passive is a passive reply. Fields are lists so that a repeated one is seen.
type passive struct {
	XMLName xml.Name `xml:"xml"`

	Encrypt   []string `xml:"Encrypt"`
	Signature []string `xml:"MsgSignature"`
	Timestamp []string `xml:"TimeStamp"`
	Nonce     []string `xml:"Nonce"`

	To       []string  `xml:"ToUserName"`
	From     []string  `xml:"FromUserName"`
	Created  []string  `xml:"CreateTime"`
	Type     []string  `xml:"MsgType"`
	Content  []string  `xml:"Content"`
	Image    []mediaID `xml:"Image"`
	Voice    []mediaID `xml:"Voice"`
	Video    []mediaID `xml:"Video"`
	Music    []mediaID `xml:"Music"`
	Count    []string  `xml:"ArticleCount"`
	Articles []struct {
		Items []struct{} `xml:"item"`
	} `xml:"Articles"`
}

type mediaID struct {
	ID []string `xml:"MediaId"`
}

// maxArticles is how many articles a news reply may have after an event; after a
// message WeChat shows the first.
const maxArticles = 8

// Passive checks an answer that another program made to the push, as WeChat checks
// it. It returns the bytes to answer: nil for "success" and for nothing to say, and
// an encrypted message where the account's mode asks for one and the answer came in
// clear. The error is a *ReplyError.
func (p *Push) Passive(answer []byte, now time.Time) ([]byte, error) {
	text := bytes.TrimRight(readable(answer), " \t\r\n")
	if len(text) == 0 || string(text) == "success" {
		return nil, nil
	}
	if p.json {
		return nil, &ReplyError{ReplyFormat}
	}
	reply, err := parsePassive(text)
	if err != nil && utf8.Valid(text) {
		// A bot that repeats what a person wrote also repeats its control characters.
		if cleaned, bad := cleanXML(text); bad == nil {
			text = cleaned
			reply, err = parsePassive(text)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case len(reply.Encrypt) > 0:
		if err := p.checkSealed(reply); err != nil {
			return nil, err
		}
		return text, nil
	}
	if err := p.checkPassive(reply); err != nil {
		return nil, err
	}
	if p.key == nil || p.mode != Secure {
		return text, nil
	}
	return p.wrap(p.key.Seal(text, p.appID), strconv.FormatInt(now.Unix(), 10)), nil
}

// parsePassive reads one <xml> element with nothing beside it.
func parsePassive(text []byte) (*passive, error) {
	if _, err := cleanXML(text); err != nil {
		return nil, &ReplyError{ReplyFormat} // a DOCTYPE
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	var reply passive
	if d.Decode(&reply) != nil {
		return nil, &ReplyError{ReplyFormat}
	}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return &reply, nil
		}
		if space, ok := token.(xml.CharData); err != nil || !ok || len(bytes.TrimSpace(space)) > 0 {
			return nil, &ReplyError{ReplyFormat}
		}
	}
}

// checkSealed checks an encrypted reply and the message in it.
func (p *Push) checkSealed(reply *passive) error {
	if p.key == nil {
		return &ReplyError{ReplyEncrypted}
	}
	sealed, one := single(reply.Encrypt)
	signature, signed := single(reply.Signature)
	timestamp, timed := single(reply.Timestamp)
	nonce, _ := single(reply.Nonce)
	sealed = strings.TrimSpace(sealed)
	if !one || !signed || !timed || !isSeconds(timestamp) || nonce == "" || signature != Sign(p.token, timestamp, nonce, sealed) {
		return &ReplyError{ReplySignature}
	}
	inner, err := p.key.Open(sealed, p.appID)
	if err != nil {
		return &ReplyError{ReplyEnvelope}
	}
	message, err := parsePassive(inner)
	if err != nil {
		return err
	}
	return p.checkPassive(message)
}

// checkPassive checks a reply in clear.
func (p *Push) checkPassive(reply *passive) error {
	to, _ := single(reply.To)
	from, _ := single(reply.From)
	created, _ := single(reply.Created)
	kind, _ := single(reply.Type)
	switch {
	case to == "" || to != p.Message.From:
		return &ReplyError{ReplyReceiver}
	case from != p.Message.To:
		return &ReplyError{ReplySender}
	case !isSeconds(created):
		return &ReplyError{ReplyCreateTime}
	}
	var whole bool
	switch kind {
	case "text":
		content, one := single(reply.Content)
		whole = one && content != "" && len(content) <= maxContent
	case "image":
		whole = hasMedia(reply.Image)
	case "voice":
		whole = hasMedia(reply.Voice)
	case "video":
		whole = hasMedia(reply.Video)
	case "music":
		whole = len(reply.Music) == 1
	case "news":
		count, _ := single(reply.Count)
		n, err := strconv.Atoi(count)
		whole = err == nil && n >= 1 && n <= maxArticles && len(reply.Articles) == 1 && len(reply.Articles[0].Items) == n
	case "transfer_customer_service":
		whole = true
	default:
		return &ReplyError{ReplyType}
	}
	if !whole {
		return &ReplyError{ReplyContent}
	}
	return nil
}

// single is the text of a field that stands exactly once.
func single(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}

func hasMedia(media []mediaID) bool {
	if len(media) != 1 {
		return false
	}
	id, _ := single(media[0].ID)
	return id != ""
}

// isSeconds reports whether s is a Unix time in seconds; milliseconds, the usual
// mistake, break the answer.
func isSeconds(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && n > 0 && len(s) <= 10
}
