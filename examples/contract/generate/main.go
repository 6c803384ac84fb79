// Generate writes the contract of the board for its page: go generate ./examples/contract
package main

import (
	"bytes"
	"errors"
	"log"
	"os"

	"posthouse/examples/contract/board"
	"posthouse/socketio"
	"posthouse/socketio/contract"
)

func main() {
	ns := board.Register(socketio.NewServer(nil))
	var events, document bytes.Buffer
	err := errors.Join(
		contract.TypeScript(&events, ns),
		contract.AsyncAPI(&document, contract.Info{Title: "Board", Version: "1"}, ns),
	)
	if err == nil {
		err = errors.Join(os.WriteFile("page/events.ts", events.Bytes(), 0o644), os.WriteFile("page/asyncapi.json", document.Bytes(), 0o644))
	}
	if err != nil {
		log.Fatal(err)
	}
}
