package contract

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Info is what an AsyncAPI document says about the server as a whole.
type Info struct {
	Title       string // default "Socket.IO server"
	Version     string // of the contract; default "1"
	Description string
	Host        string // "example.org:443"; the document names no server without it
	Path        string // of Socket.IO; default "/socket.io/"
}

// jsonObject is an object of the document; encoding/json sorts its members, so that the
// same declarations give the same bytes.
type jsonObject map[string]any

// AsyncAPI writes an AsyncAPI 3 document of the namespaces: a channel for each, an
// operation for each event, with the acknowledgement as its reply, and the types as
// schemas.
func AsyncAPI(w io.Writer, info Info, namespaces ...Namespace) error {
	s := newSchemas()
	all, err := s.fromNamespaces(namespaces)
	if err != nil {
		return err
	}
	a := &asyncAPI{schemas: s, channels: jsonObject{}, operations: jsonObject{}, components: jsonObject{}}
	for i := range all {
		a.namespace(&all[i])
	}
	for name, schema := range s.named {
		a.components[name] = documented(schema)
	}
	head := jsonObject{"title": orDefault(info.Title, "Socket.IO server"), "version": orDefault(info.Version, "1")}
	if info.Description != "" {
		head["description"] = info.Description
	}
	document := jsonObject{
		"asyncapi": "3.0.0", "info": head, "defaultContentType": "application/json",
		"channels": a.channels, "operations": a.operations, "components": jsonObject{"schemas": a.components},
	}
	if info.Host != "" {
		document["servers"] = jsonObject{"default": jsonObject{
			"host": info.Host, "pathname": orDefault(info.Path, "/socket.io/"), "protocol": "socket.io", "protocolVersion": "5",
		}}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

func orDefault(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// asyncAPI collects the parts of one document.
type asyncAPI struct {
	schemas                          *schemas
	channels, operations, components jsonObject
}

func (a *asyncAPI) namespace(n *namespaceEvents) {
	channel := identifier(n.name)
	if channel == "" {
		channel = "Root"
	}
	messages := jsonObject{}
	reference := func(message string) jsonObject {
		return jsonObject{"$ref": "#/channels/" + channel + "/messages/" + message}
	}
	for _, e := range n.events {
		action, verb := "receive", "Received"
		if e.FromServer {
			action, verb = "send", "Sent"
		}
		id := identifier(e.Name) + verb
		for n := 2; messages[id] != nil; n++ { // names that differ in signs only
			id = fmt.Sprintf("%s%s%d", identifier(e.Name), verb, n)
		}
		message := jsonObject{"name": e.Name}
		if payload := argumentsSchema(e.args); payload != nil {
			message["payload"] = payload
		}
		messages[id] = message
		operation := jsonObject{"action": action, "channel": jsonObject{"$ref": "#/channels/" + channel}, "messages": []any{reference(id)}}
		if e.Answer != nil {
			messages[id+"Answer"] = a.answer(&e)
			operation["reply"] = jsonObject{"channel": jsonObject{"$ref": "#/channels/" + channel}, "messages": []any{reference(id + "Answer")}}
		}
		a.operations[channel+id] = operation
	}
	value := jsonObject{"address": n.name, "messages": messages, "title": "Namespace " + n.name}
	if parameters := parametersOf(n.name); len(parameters) > 0 {
		value["parameters"] = parameters
	}
	a.channels[channel] = value
}

// answer is the message of an acknowledgement. That of a server can be an error.
func (a *asyncAPI) answer(e *event) jsonObject {
	message := jsonObject{"name": e.Name, "title": "Acknowledgement of " + e.Name}
	var payload any
	if e.answer != nil {
		payload = documented(e.answer)
	}
	if !e.FromServer {
		a.components["ErrorAnswer"] = errorAnswer
		payload = jsonObject{"anyOf": []any{payload, jsonObject{"$ref": refPrefix + "ErrorAnswer"}}}
	}
	if payload != nil {
		message["payload"] = payload
	}
	return message
}

var errorAnswer = jsonObject{
	"type": "object", "description": "The answer of a handler that failed.", "required": []string{"error"},
	"properties": jsonObject{"error": jsonObject{
		"type": "object", "required": []string{"code", "message"},
		"properties": jsonObject{
			"code": jsonObject{"type": "string"}, "message": jsonObject{"type": "string"},
			"retryAfter": jsonObject{"type": "integer"}, "field": jsonObject{"type": "string"},
		},
	}},
}

// argumentsSchema is the payload of a message: its argument, or the list of several.
func argumentsSchema(args []*huma.Schema) any {
	switch len(args) {
	case 0:
		return nil
	case 1:
		return documented(args[0])
	}
	var items []any
	for _, arg := range args {
		items = append(items, documented(arg))
	}
	return jsonObject{"type": "array", "items": items, "minItems": len(items), "maxItems": len(items)}
}

// documented is a schema as the document has it: null is a type of its own beside a
// reference and among the values of an enumeration, which huma does not write.
func documented(schema *huma.Schema) any {
	c := *schema
	if c.Properties != nil {
		properties := jsonObject{}
		for name, p := range c.Properties {
			properties[name] = documented(p)
		}
		c.Extensions, c.Properties = withExtension(c.Extensions, "properties", properties), nil
	}
	if c.Items != nil {
		c.Extensions, c.Items = withExtension(c.Extensions, "items", documented(c.Items)), nil
	}
	if elem, ok := c.AdditionalProperties.(*huma.Schema); ok {
		c.AdditionalProperties = documented(elem)
	}
	if c.Nullable && len(c.Enum) > 0 {
		c.Enum = append(c.Enum[:len(c.Enum):len(c.Enum)], nil)
	}
	if c.Nullable && c.Ref != "" {
		c.Nullable = false
		return jsonObject{"anyOf": []any{&c, jsonObject{"type": "null"}}}
	}
	return &c
}

func withExtension(all map[string]any, name string, value any) map[string]any {
	all = maps.Clone(all)
	if all == nil {
		all = map[string]any{}
	}
	all[name] = value
	return all
}

// parametersOf are the parts in braces of a namespace made with OfPattern.
func parametersOf(name string) jsonObject {
	parameters := jsonObject{}
	for segment := range strings.SplitSeq(name, "/") {
		if inner, ok := strings.CutPrefix(segment, "{"); ok {
			parameters[strings.TrimSuffix(inner, "}")] = jsonObject{}
		}
	}
	return parameters
}
