package wxsim

import (
	"strconv"
	"strings"
)

// field is one element of a message. WeChat wraps text in CDATA and leaves
// numbers bare.
type field struct {
	Name  string
	Value string
	Bare  bool
}

// message is what happened, as WeChat tells it: the common four fields and
// those of the event, in WeChat's order.
type message struct {
	to, from string
	created  int64 // Unix seconds
	kind     string
	fields   []field
}

// xml writes the message with WeChat's line breaks: one element a line, the
// first beside the root.
func (m message) xml() string {
	fields := append([]field{
		{Name: "ToUserName", Value: m.to},
		{Name: "FromUserName", Value: m.from},
		{Name: "CreateTime", Value: strconv.FormatInt(m.created, 10), Bare: true},
		{Name: "MsgType", Value: m.kind},
	}, m.fields...)
	var b strings.Builder
	b.WriteString("<xml>")
	for _, f := range fields {
		b.WriteString(f.xml())
		b.WriteByte('\n')
	}
	b.WriteString("</xml>")
	return b.String()
}

func (f field) xml() string {
	if f.Bare {
		return "<" + f.Name + ">" + f.Value + "</" + f.Name + ">"
	}
	return "<" + f.Name + ">" + cdata(f.Value) + "</" + f.Name + ">"
}

// cdata quotes text; a "]]>" inside is split over two sections.
func cdata(text string) string {
	return "<![CDATA[" + strings.ReplaceAll(text, "]]>", "]]]]><![CDATA[>") + "]]>"
}

// event builds the fields of a pushed event.
func event(name string, more ...field) []field {
	return append([]field{{Name: "Event", Value: name}}, more...)
}

// compatBody is the message and its own ciphertext in one envelope
// (docs/wechat.md §2.3).
func compatBody(plain, sealed string) string {
	return strings.TrimSuffix(plain, "</xml>") + field{Name: "Encrypt", Value: sealed}.xml() + "\n</xml>"
}

// secureBody is the ciphertext and the account it is for, nothing else.
func secureBody(to, sealed string) string {
	return "<xml>\n    " + field{Name: "ToUserName", Value: to}.xml() +
		"\n    " + field{Name: "Encrypt", Value: sealed}.xml() + "\n</xml>\n"
}
