package msgpack_test

import (
	"fmt"
	"time"

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

// An envelope as Node's Redis adapter publishes it: the order of keys counts.
func ExampleAppendMapHeader() {
	b := msgpack.AppendMapHeader(nil, 6)
	b = msgpack.AppendString(b, "uid")
	b = msgpack.AppendBinary(b, []byte{1, 2})
	b = msgpack.AppendString(b, "local")
	b = msgpack.AppendBool(b, false)
	b = msgpack.AppendString(b, "rooms")
	b = msgpack.AppendNil(b)
	b = msgpack.AppendString(b, "n")
	b = msgpack.AppendInt(b, -1)
	b = msgpack.AppendString(b, "ratio")
	b = msgpack.AppendNumber(b, 0.5)
	b = msgpack.AppendString(b, "at")
	b = msgpack.AppendTime(b, time.UnixMilli(1500).UTC())
	json, attachments, err := msgpack.JSON(b)
	fmt.Printf("%s %v %v\n", json, attachments, err)
	// Output: {"uid":{"_placeholder":true,"num":0},"local":false,"rooms":null,"n":-1,"ratio":0.5,"at":"1970-01-01T00:00:01.500Z"} [[1 2]] <nil>
}

func ExampleAppendUint() {
	fmt.Printf("%x %x %x\n", msgpack.AppendUint(nil, 127), msgpack.AppendUint(nil, 255), msgpack.AppendUint(nil, 1<<40))
	// Output: 7f ccff cf0000010000000000
}

func ExampleKind() {
	r := msgpack.NewReader([]byte{0xc0, 0x2a, 0xa2, 'h', 'i'})
	for r.Kind() != msgpack.End {
		k := r.Kind()
		raw, err := r.Skip()
		fmt.Println(k, len(raw), err)
	}
	// Output:
	// nil 1 <nil>
	// integer 1 <nil>
	// string 3 <nil>
}
