package wxsim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxXMLDepth is far above what any passive reply needs (news has 4).
const maxXMLDepth = 8

// node is one element of a reply.
type node struct {
	name     string
	text     string
	children []*node
}

// child is the first element of that name, or an empty one.
func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return &node{}
}

func (n *node) has(name string) bool {
	for _, c := range n.children {
		if c.name == name {
			return true
		}
	}
	return false
}

// parseXML reads a reply as strictly as WeChat's own side must be read:
// root "xml", no declarations of types or entities, no doubled fields.
func parseXML(body []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	var root *node
	var stack []*node
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("not XML: %w", err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, errors.New("a DOCTYPE is refused")
		case xml.StartElement:
			n := &node{name: t.Name.Local}
			switch {
			case len(stack) == 0 && root != nil:
				return nil, errors.New("more than one root element")
			case len(stack) == 0 && n.name != "xml":
				return nil, fmt.Errorf("the root element is <%s>, not <xml>", n.name)
			case len(stack) == maxXMLDepth:
				return nil, errors.New("nested too deep")
			case len(stack) == 0:
				root = n
			default:
				parent := stack[len(stack)-1]
				if len(stack) == 1 && parent.has(n.name) {
					return nil, fmt.Errorf("<%s> appears twice", n.name)
				}
				parent.children = append(parent.children, n)
			}
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(t)
			} else if strings.TrimSpace(string(t)) != "" {
				return nil, errors.New("text outside the root element")
			}
		}
	}
	if root == nil {
		return nil, errors.New("no <xml> element")
	}
	return root, nil
}
