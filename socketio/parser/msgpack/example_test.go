package msgpack_test

import (
	"fmt"

	"posthouse/socketio/parser/msgpack"
)

func ExampleAppendValue() {
	b := msgpack.AppendArrayHeader(nil, 2)
	b = msgpack.AppendString(b, "uid")
	b, err := msgpack.AppendValue(b, []byte(`{"n":[1,{"_placeholder":true,"num":0}]}`), [][]byte{{7}})
	fmt.Printf("%x %v\n", b, err)
	// Output: 92a375696481a16e9201c40107 <nil>
}

func ExampleReader() {
	r := msgpack.NewReader([]byte{0x92, 0xa3, 'u', 'i', 'd', 0x81, 0xa1, 'n', 0x92, 0x01, 0xc4, 0x01, 0x07})
	n, _ := r.ArrayHeader()
	uid, _ := r.Text()
	json, attachments, _ := r.AppendJSON(nil, nil)
	fmt.Printf("%d %s %s %v %v\n", n, uid, json, attachments, r.Done())
	// Output: 2 uid {"n":[1,{"_placeholder":true,"num":0}]} [[7]] <nil>
}

func ExampleJSON() {
	json, _, err := msgpack.JSON([]byte{0x81, 0xa1, 't', 0xd6, 0xff, 0, 0, 0, 0})
	fmt.Println(string(json), err)
	// Output: {"t":"1970-01-01T00:00:00.000Z"} <nil>
}
