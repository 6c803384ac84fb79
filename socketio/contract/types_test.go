package contract_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/contract"
)

// Types that use every rule of the package.
type (
	base struct {
		ID      string    `json:"id" minLength:"1" maxLength:"36"`
		Created time.Time `json:"created"`
	}
	Node struct {
		base
		Name     string          `json:"name" maxLength:"20" pattern:"^[a-z]+$" doc:"Of the node."`
		Kind     string          `json:"kind,omitempty" enum:"file,folder"`
		Children []Node          `json:"children" nullable:"false" maxItems:"3"`
		Parent   *Node           `json:"parent,omitempty"`
		Next     *Node           `json:"next"`
		Icon     []byte          `json:"icon,omitempty" maxLength:"4"`
		Size     int32           `json:"size" minimum:"0"`
		Ratio    float64         `json:"ratio,omitempty" exclusiveMinimum:"0" maximum:"1"`
		Big      int64           `json:"big,string,omitempty"`
		Labels   map[string]int  `json:"labels,omitempty"`
		Extra    json.RawMessage `json:"extra,omitempty"`
		Address  netip.Addr      `json:"address,omitzero"`
		Home     string          `json:"home,omitempty" format:"uri"`
		Tags     []string        `json:"x-tags" minItems:"1" uniqueItems:"true"`
		Point    struct {
			X, Y int8
		} `json:"point,omitempty"`
		Secret string `json:"-"`
	}
	Saved struct {
		ID    string `json:"id"`
		Count *int   `json:"count"`
	}
)

func newNamespaces() (tree, root contract.Namespace) {
	io := socketio.NewServer(nil)
	ns := io.Of("/tree")
	socketio.Handle(ns, "save", func(context.Context, Node) (Saved, error) { return Saved{}, nil })
	socketio.Handle(ns, "find", func(context.Context, *Saved) ([]Node, error) { return nil, nil })
	socketio.Handle(ns, "count", func(context.Context, struct{}) (int, error) { return 0, nil })
	contract.Accepts[contract.Args2[string, []byte], contract.None](ns, "put file")
	socketio.Handle(ns, "log", func(context.Context, string) (contract.None, error) { return contract.None{}, nil })
	contract.Emits[Node](ns, "saved")
	contract.Emits[contract.None](ns, "tick")
	contract.Emits[contract.Args3[string, *int, any]](ns, "news")
	contract.EmitsWithAck[string, bool](ns, "ask")
	contract.EmitsWithAck[*Node, contract.None](ns, "deliver")
	socketio.Handle(io, "hello", func(context.Context, string) (map[int][]Saved, error) { return nil, nil })
	return ns, io
}
