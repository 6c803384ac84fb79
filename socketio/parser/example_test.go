package parser_test

import (
	"fmt"

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
