package wechat

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

var (
	// ErrMalformed says that a body cannot be read as a push: not well-formed, too
	// deep, with a field twice, or without the fields every push has.
	ErrMalformed = errors.New("wechat: malformed push")
	// ErrDoctype is the ErrMalformed of a body that declares a document type. WeChat
	// sends none, so it is the one such body that is refused (docs/wechat.md §2.8).
	ErrDoctype = malformed("a DOCTYPE")
)

const (
	maxDepth      = 8
	maxAttributes = 8 // WeChat sends none
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// field returns where the named element's text goes, nil for the many that are
// not ours.
func (m *Message) field(name string, created *string) *string {
	switch name {
	case "ToUserName":
		return &m.To
	case "FromUserName":
		return &m.From
	case "CreateTime":
		return created
	case "MsgType":
		return &m.Type
	case "Event":
		return &m.Event
	case "EventKey":
		return &m.EventKey
	case "Ticket":
		return &m.Ticket
	case "MsgId":
		return &m.MsgID
	case "Content":
		return &m.Content
	case "OpenID":
		return &m.OpenID
	case "Encrypt":
		return &m.encrypt
	}
	return nil
}

// Parse reads the body of a push: XML, or JSON when it begins with a brace
// (Tencent's own worked examples are JSON; accounts get XML).
func Parse(body []byte) (Message, error) {
	m, created, err := parseFields(body)
	if err != nil {
		return Message{}, err
	}
	if created != "" {
		n, err := strconv.ParseUint(created, 10, 40)
		if err != nil {
			return Message{}, malformed("CreateTime is no number of seconds")
		}
		m.Created = time.Unix(int64(n), 0) //nolint:gosec // 40 bits
	}
	if m.To == "" || m.From == "" || m.Type == "" || m.Created.IsZero() || m.IsEvent() && m.Event == "" {
		return Message{}, malformed("a field that every push has is missing")
	}
	return m, nil
}

// parseFields is Parse without the demand for certain fields: the outside of an
// envelope has next to none.
func parseFields(body []byte) (m Message, created string, err error) {
	if isJSON(body) {
		m, err = parseJSON(body, &created)
	} else {
		m, err = parseXML(body, &created)
	}
	return m, created, err
}

func isJSON(body []byte) bool { return bytes.HasPrefix(readable(body), []byte("{")) }

// parseXML walks the tokens itself instead of unmarshalling, so that depth,
// repeats and everything that is not plain elements are refused as they come.
func parseXML(body []byte, created *string) (Message, error) {
	body, err := cleanXML(body)
	if err != nil {
		return Message{}, err
	}
	var (
		m     Message
		d     = xml.NewDecoder(bytes.NewReader(body)) // strict
		depth int
		ended bool
		into  *string // the field being read
		text  strings.Builder
		seen  = map[string]bool{}
	)
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) && ended {
			return m, nil
		}
		if err != nil {
			return Message{}, malformed("not well-formed XML")
		}
		switch t := tok.(type) {
		case xml.StartElement:
			depth++
			switch {
			case ended || depth == 1 && (t.Name.Local != "xml" || t.Name.Space != ""):
				return Message{}, malformed("the root must be one <xml>")
			case depth > maxDepth:
				return Message{}, malformed("deeper than %d", maxDepth)
			case len(t.Attr) > maxAttributes:
				return Message{}, malformed("more than %d attributes", maxAttributes)
			case into != nil:
				return Message{}, malformed("an element inside a text field")
			}
			if depth == 2 && t.Name.Space == "" {
				if into = m.field(t.Name.Local, created); into != nil {
					if seen[t.Name.Local] {
						return Message{}, malformed("a field stands twice")
					}
					seen[t.Name.Local] = true
					text.Reset()
				}
			}
		case xml.EndElement:
			if depth == 2 && into != nil {
				*into, into = text.String(), nil
			}
			depth--
			ended = depth == 0
		case xml.CharData:
			switch {
			case into != nil:
				text.Write(t)
			case depth == 0 && len(bytes.TrimSpace(t)) > 0:
				return Message{}, malformed("text outside the root")
			}
		default: // a comment would split a value in two; a directive may define entities
			return Message{}, malformed("a comment, an instruction or a directive")
		}
	}
}

// parseJSON is parseXML for the other notation, with the same refusals.
func parseJSON(body []byte, created *string) (Message, error) {
	var (
		m    Message
		d    = json.NewDecoder(bytes.NewReader(cleanJSON(body)))
		seen = map[string]bool{}
	)
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return Message{}, malformed("not JSON")
	}
	for d.More() {
		key, err := d.Token()
		name, isName := key.(string)
		if err != nil || !isName {
			return Message{}, malformed("not JSON")
		}
		value, nested, err := jsonValue(d)
		if err != nil {
			return Message{}, err
		}
		into := m.field(name, created)
		if into == nil {
			continue
		}
		if seen[name] {
			return Message{}, malformed("a field stands twice")
		}
		if nested {
			return Message{}, malformed("an element inside a text field")
		}
		seen[name], *into = true, value
	}
	if _, err := d.Token(); err != nil {
		return Message{}, malformed("not JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Message{}, malformed("text outside the root")
	}
	return m, nil
}

// jsonValue consumes one value: a text or a number is returned, anything nested
// is walked so that its depth is known.
func jsonValue(d *json.Decoder) (value string, nested bool, err error) {
	for depth := 1; ; {
		tok, err := d.Token()
		if err != nil {
			return "", false, malformed("not JSON")
		}
		switch t := tok.(type) {
		case json.Delim:
			nested = true
			if t == '{' || t == '[' {
				if depth++; depth > maxDepth {
					return "", false, malformed("deeper than %d", maxDepth)
				}
			} else {
				depth--
			}
		case string:
			value = t
		case json.Number:
			value = t.String()
		default:
			value = ""
		}
		if depth == 1 {
			return value, nested, nil
		}
	}
}
