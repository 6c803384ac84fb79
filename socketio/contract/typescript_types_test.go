package contract_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"posthouse/socketio"
	"posthouse/socketio/contract"
	"posthouse/socketio/parser"
)

type (
	item          struct{ N int }
	pageOf[T any] struct {
		Items []T `json:"items" nullable:"false"`
		Next  *T  `json:"next,omitempty"`
	}
	names  []string
	colour string
	raw    []byte
	either struct{}
	pair   struct {
		*item
		Kinds  []string `json:"kinds" enum:"a,b" nullable:"false"`
		Level  int      `json:"level" enum:"1,2"`
		Maybe  *bool    `json:"maybe" nullable:"false"`
		Colour *colour  `json:"colour" enum:"red"`
		Not    string   `json:"not" required:"false"`
	}
	tree   map[string]*branch
	branch struct {
		Tree tree `json:"tree,omitempty"`
	}
)

// Schema implements huma.SchemaProvider: a number or a text.
func (either) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeNumber}, {Type: huma.TypeString}}}
}

// MarshalJSON makes the type one that has to describe itself.
func (either) MarshalJSON() ([]byte, error) { return []byte("1"), nil }

// textOf generates the contract of an event with one argument of type T.
func textOf[T any](t *testing.T) string {
	t.Helper()
	ns := newNamespace()
	contract.Emits[T](ns, "e")
	return generate(t, ns)
}

func TestTypeScript_Types(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"bool", textOf[bool](t), "e: (arg: boolean) => void;"},
		{"pointer", textOf[*uint8](t), "e: (arg: number | null) => void;"},
		{"pointer to a pointer", textOf[**string](t), "e: (arg: string | null) => void;"},
		{"list", textOf[[]string](t), "e: (arg: string[] | null) => void;"},
		{"list of pointers", textOf[[]*int](t), "e: (arg: (number | null)[] | null) => void;"},
		{"named list", textOf[names](t), "e: (arg: string[] | null) => void;"},
		{"array", textOf[[3]int](t), "e: (arg: number[]) => void;"},
		{"array of bytes", textOf[[3]byte](t), "e: (arg: number[]) => void;"},
		{"named bytes", textOf[raw](t), "e: (arg: Binary | null) => void;"},
		{"list of bytes", textOf[[]raw](t), "e: (arg: (Binary | null)[] | null) => void;"},
		{"map with integers", textOf[map[int8]bool](t), "e: (arg: Record<string, boolean> | null) => void;"},
		{"map with texts", textOf[map[netip.Addr]time.Time](t), "e: (arg: Record<string, string> | null) => void;"},
		{"number", textOf[json.Number](t), "e: (arg: number) => void;"},
		{"duration", textOf[time.Duration](t), "e: (arg: number) => void;"},
		{"any", textOf[any](t), "e: (arg: unknown) => void;"},
		{"value", textOf[socketio.Value](t), "e: (arg: unknown) => void;"},
		{"raw", textOf[*parser.Raw](t), "e: (arg: unknown) => void;"},
		{"generic", textOf[pageOf[item]](t), "e: (arg: PageOfItem) => void;"},
		{"generic members", textOf[pageOf[item]](t), "{\n  items: Item[];\n  next?: Item;\n}"},
		{"generic of a list", textOf[pageOf[[]int]](t), "e: (arg: PageOfListInt) => void;"},
		{"own schema", textOf[either](t), "e: (arg: number | string) => void;"},
		{"list of own schema", textOf[[2]either](t), "e: (arg: (number | string)[]) => void;"},
		{"behind an embedded pointer", textOf[pair](t), "  N?: number;\n"},
		{"enum of items", textOf[pair](t), `  kinds: ("a" | "b")[];`},
		{"enum of numbers", textOf[pair](t), "  level: 1 | 2;"},
		{"nullable false", textOf[pair](t), "  maybe: boolean;"},
		{"enum with null", textOf[pair](t), `  colour: "red" | null;`},
		{"required false", textOf[pair](t), "  not?: string;"},
		{"recursion through a map", textOf[tree](t), "tree?: Record<string, Branch>;"},
		{"no name, no fields", textOf[map[string]struct{}](t), "e: (arg: Record<string, Record<string, never>> | null) => void;"},
	} {
		if !strings.Contains(c.text, c.want) {
			t.Errorf("%s: no %q in\n%s", c.name, c.want, c.text)
		}
	}
}
