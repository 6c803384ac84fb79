package parser_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

func ExampleDefault() {
	codec := parser.Default(&parser.Options{MaxDepth: 8})
	decoder := codec.NewDecoder() // one per connection
	p, err := decoder.Add(engineio.Message{Data: []byte(`2/chat,7["join","lobby"]`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	name, args := parser.SplitEvent(p.Data)
	fmt.Printf("%s %s(%s) wants acknowledgement %d\n", p.Namespace, name, args, *p.ID)
	// Output: /chat join("lobby") wants acknowledgement 7
}

func ExampleMessagePack() {
	p := &parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(`["hi"]`)}
	messages, err := parser.MessagePack(nil).Encode(nil, p)
	fmt.Printf("%x %v\n", messages[0].Data, err)
	// Output: 83a47479706502a46461746191a26869a36e7370a12f <nil>
}

func ExampleAppendArgs() {
	list, attachments, err := parser.AppendArgs(nil, nil, "upload", map[string]any{"file": []byte{1, 2}, "size": 2})
	p := &parser.Packet{Type: parser.Event, Namespace: "/", Data: append(append([]byte("["), list...), ']'), Attachments: attachments}
	text, _ := parser.AppendText(nil, p)
	fmt.Printf("%s %v %v\n", text, attachments, err)
	// Output: 51-["upload",{"file":{"_placeholder":true,"num":0},"size":2}] [[1 2]] <nil>
}

func ExampleBind() {
	var upload struct {
		Name string `json:"name"`
		File []byte `json:"file"`
	}
	err := parser.Bind([]byte(`{"name":"a.png","file":{"_placeholder":true,"num":0}}`), [][]byte{{1, 2}}, &upload)
	fmt.Println(upload.Name, upload.File, err)
	// Output: a.png [1 2] <nil>
}

func ExampleElements() {
	for e := range parser.Elements(parser.List([]byte(`["a",{"b":[1,2]},3]`))) {
		fmt.Println(string(e))
	}
	// Output:
	// "a"
	// {"b":[1,2]}
	// 3
}

func ExampleReserved() {
	fmt.Println(parser.Reserved("disconnect"), parser.Reserved("error"))
	// Output: true false
}

// logged is the codec of the protocol with an eye on what comes in.
type logged struct{ parser.Codec }

func (l logged) NewDecoder() parser.Decoder { return loggedDecoder{l.Codec.NewDecoder()} }

type loggedDecoder struct{ parser.Decoder }

func (d loggedDecoder) Add(m engineio.Message) (*parser.Packet, error) {
	p, err := d.Decoder.Add(m)
	if p != nil {
		fmt.Printf("type %d, %d attachments\n", p.Type, len(p.Attachments))
	}
	return p, err
}

// A codec of one's own: give it to socketio.Options.Codec.
func ExampleCodec() {
	var codec parser.Codec = logged{parser.Default(nil)}
	decoder := codec.NewDecoder()
	decoder.Add(engineio.Message{Data: []byte(`51-["file",{"_placeholder":true,"num":0}]`)})
	decoder.Add(engineio.Message{Data: []byte{1, 2, 3}, Binary: true})
	// Output: type 2, 1 attachments
}

func ExampleDecoder() {
	decoder := parser.Default(nil).NewDecoder()
	for _, hostile := range []string{`2"not an array"`, `9`, `51-["a",{"_placeholder":true,"num":7}]`, `2/` + strings.Repeat("n", 300)} {
		_, err := decoder.Add(engineio.Message{Data: []byte(hostile)})
		fmt.Println(errors.Is(err, parser.ErrInvalid))
		decoder = parser.Default(nil).NewDecoder() // an error is final
	}
	// Output:
	// true
	// true
	// true
	// true
}

func ExampleType() {
	for _, t := range []parser.Type{parser.Connect, parser.Event, parser.Ack} {
		p := &parser.Packet{Type: t, Namespace: "/chat", Data: []byte(`[]`)}
		text, err := parser.AppendText(nil, p)
		fmt.Printf("%s %v\n", text, err)
	}
	// Output:
	// 0/chat,[] <nil>
	// 2/chat,[] <nil>
	// 3/chat,[] <nil>
}

func ExampleRaw() {
	// Received in one packet, sent on in another: nothing is decoded.
	received := parser.Raw{JSON: []byte(`{"file":{"_placeholder":true,"num":0}}`), Attachments: [][]byte{{7}}}
	list, attachments, err := parser.AppendArgs(nil, nil, "relayed", []byte{6}, received)
	fmt.Printf("%s %v %v\n", list, attachments, err)
	// Output: "relayed",{"_placeholder":true,"num":0},{"file":{"_placeholder":true,"num":1}} [[6] [7]] <nil>
}

func ExampleAppendValue() {
	text, _, err := parser.AppendValue(nil, nil, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	fmt.Printf("%s %v\n", text, err)
	// Output: "2026-01-02T03:04:05.000Z" <nil>
}

func ExampleAppendMessagePack() {
	b, err := parser.AppendMessagePack(nil, &parser.Packet{Type: parser.Disconnect, Namespace: "/chat"})
	fmt.Printf("%q %v\n", b, err)
	// Output: "\x82\xa4type\x01\xa3nsp\xa5/chat" <nil>
}

func ExampleNextElement() {
	list := parser.List([]byte(`["move",{"x":1}]`))
	name, list, _ := parser.NextElement(list)
	argument, _, ok := parser.NextElement(list)
	fmt.Println(string(name), string(argument), ok)
	// Output: "move" {"x":1} true
}

func ExampleMembers() {
	type Upload struct {
		Name string `json:"name"`
		File []byte `json:"file,omitempty"`
	}
	var member parser.Member
	for _, member = range parser.Members(reflect.TypeFor[Upload]()) {
		fmt.Println(member.Name, member.Optional, parser.IsBinary(member.Field.Type))
	}
	// Output:
	// name false false
	// file true true
}
