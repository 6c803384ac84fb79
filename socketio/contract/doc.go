// Package contract makes one description of a namespace's events serve both ends: from
// the Go types of its handlers and of what it emits, it writes TypeScript interfaces for
// socket.io-client and an AsyncAPI 3 document, and it checks what clients send against
// the same types. It is for teams whose pages are written in TypeScript, and for servers
// that want to refuse a wrong payload with the name of the field (docs/contract.md).
//
//	chat := io.Of("/chat")
//	socketio.Handle(chat, "say", say)           // func(context.Context, Say) (Said, error)
//	contract.Emits[Message](chat, "message")    // the server sends it
//	err := contract.Check(chat, nil)            // refuses what does not fit Say
//	err = contract.TypeScript(file, chat)       // in a program for go generate
//
// # Types
//
// A type means what it is on the wire: the members of a struct are those that package
// parser writes, tags of encoding/json included. A field is optional when its tag says
// omitempty or omitzero; pointers, slices and maps that can be null are "| null" unless
// the tag nullable:"false" promises otherwise. A []byte anywhere is binary, time.Time
// and every encoding.TextMarshaler a string, a map with string or integer keys a Record,
// json.RawMessage, socketio.Value and any are unknown. A named struct is an interface of
// its own, so that recursive types work. A type without JSON (channels, functions, complex
// numbers) and a type with a MarshalJSON of its own are errors that name the field; the
// latter describes itself with a method Schema(huma.Registry) *huma.Schema.
//
// Bounds are struct tags with the names that JSON Schema gives them, read by
// github.com/danielgtaylor/huma, as in package api: minimum, maximum, exclusiveMinimum,
// exclusiveMaximum, multipleOf, minLength, maxLength, pattern, format, minItems,
// maxItems, enum (values separated by commas), doc, required and nullable.
//
// # Cost
//
// Declarations are read when a document is written or Check is called. A namespace
// without Check pays nothing per event. With it an event is read once more, without being
// decoded, up to the first field that is wrong. The package starts no goroutine.
package contract
