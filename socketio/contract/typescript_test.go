package contract_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/contract"
)

var update = flag.Bool("update", false, "write the files of testdata anew")

// compare compares text with a file of testdata.
func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; go test -update writes it anew:\n%s", path, got)
	}
}

func generate(t *testing.T, namespaces ...contract.Namespace) string {
	t.Helper()
	var out strings.Builder
	if err := contract.TypeScript(&out, namespaces...); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTypeScript_WritesEveryKindOfType(t *testing.T) {
	tree, root := newNamespaces()
	compare(t, "tree.ts", []byte(generate(t, tree)))
	compare(t, "both.ts", []byte(generate(t, tree, root)))
}

func TestTypeScript_IsTheSameEachTime(t *testing.T) {
	tree, root := newNamespaces()
	first := generate(t, tree, root)
	for range 10 {
		again, otherRoot := newNamespaces()
		if got := generate(t, again, otherRoot); got != first {
			t.Fatalf("another text:\n%s", got)
		}
	}
}

// project is a TypeScript project with the events of tree and a client.
func project(t *testing.T, events, client string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join("testdata", client))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"events.ts": events, "client.ts": string(text), "package.json": `{"type":"module"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestTypeScript_TypesAClient compiles a client whose lines with @ts-expect-error must be
// errors and whose others must not.
func TestTypeScript_TypesAClient(t *testing.T) {
	t.Parallel()
	tree, _ := newNamespaces()
	if found := testenv.TypeScript(t, project(t, generate(t, tree), "client.ts"), "--noEmit", "client.ts"); found != "" {
		t.Error(found)
	}
}

func TestTypeScript_ClientFailsWhenAHandlerChanges(t *testing.T) {
	t.Parallel()
	events := func(register func(ns *socketio.Namespace)) string {
		ns := socketio.NewServer(nil).Of("/chat")
		register(ns)
		contract.Emits[string](ns, "news")
		return generate(t, ns)
	}
	type say struct {
		Text string `json:"text"`
	}
	type sayRoom struct {
		Text string `json:"text"`
		Room string `json:"room"`
	}
	for _, c := range []struct {
		name     string
		register func(ns *socketio.Namespace)
		wrong    string // "" for a client that compiles
	}{
		{"as it was", func(ns *socketio.Namespace) {
			socketio.Handle(ns, "say", func(context.Context, say) (int, error) { return 0, nil })
		}, ""},
		{"a new field", func(ns *socketio.Namespace) {
			socketio.Handle(ns, "say", func(context.Context, sayRoom) (int, error) { return 0, nil })
		}, "'room'"},
		{"another answer", func(ns *socketio.Namespace) {
			socketio.Handle(ns, "say", func(context.Context, say) (string, error) { return "", nil })
		}, "'string'"},
		{"another name", func(ns *socketio.Namespace) {
			socketio.Handle(ns, "shout", func(context.Context, say) (int, error) { return 0, nil })
		}, `"say"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := testenv.TypeScript(t, project(t, events(c.register), "say.ts"), "--noEmit", "client.ts")
			if c.wrong == "" && found != "" || !strings.Contains(found, c.wrong) {
				t.Errorf("tsc found %q, want %q in it", found, c.wrong)
			}
		})
	}
}

type (
	opaque   struct{}
	celsius  struct{}
	Loop     []Loop
	BadField struct {
		Deep struct {
			List []chan int `json:"list"`
		} `json:"deep"`
	}
	BadTag struct {
		N int `json:"n" minimum:"low"`
	}
	BadEnum struct {
		N int `json:"n" enum:"1,two"`
	}
	BadKey    struct{ M map[float64]int }
	BadMethod struct{ E error }
	BadBytes  struct{ O opaque }
	Binary    struct{ A int }
)

func (opaque) MarshalJSON() ([]byte, error) { return []byte("1"), nil }

func (celsius) MarshalJSON() ([]byte, error)      { return []byte("1"), nil }
func (celsius) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeNumber} }
func accepts[T any](ns contract.Namespace)        { contract.Accepts[T, contract.None](ns, "e") }
func newNamespace() (ns *socketio.Namespace)      { return socketio.NewServer(nil).Of("/x") }
func declared[T any]() func(ns *socketio.Namespace) {
	return func(ns *socketio.Namespace) { accepts[T](ns) }
}
func answered[T any]() func(ns *socketio.Namespace) {
	return func(ns *socketio.Namespace) { contract.Accepts[int, T](ns, "e") }
}

func TestTypeScript_UnsupportedTypes(t *testing.T) {
	for name, c := range map[string]struct {
		register func(ns *socketio.Namespace)
		want     string
	}{
		"a channel in a list":     {declared[BadField](), "BadField.Deep.List[]: chan int has no JSON"},
		"a tag that is no number": {declared[BadTag](), "BadTag.N: invalid float tag 'minimum' for field 'N': low"},
		"an enum of mixed kinds":  {declared[BadEnum](), "BadEnum.N: invalid integer tag value 'two'"},
		"a float as key":          {declared[BadKey](), "BadKey.M: float64 cannot be the key of a map"},
		"an interface":            {declared[BadMethod](), "BadMethod.E: error is an interface with methods"},
		"MarshalJSON":             {declared[BadBytes](), "opaque has its own MarshalJSON"},
		"a list of itself":        {declared[Loop](), "Loop[]: contract_test.Loop contains itself"},
		"Args":                    {declared[socketio.Args](), "socketio.Args says nothing"},
		"an answer":               {answered[func()](), `func() has no JSON (event "e" of /x)`},
		"two types": {func(ns *socketio.Namespace) { accepts[int](ns); accepts[string](ns) },
			`event "e" of /x is declared twice, with different types`},
	} {
		t.Run(name, func(t *testing.T) {
			ns := newNamespace()
			c.register(ns)
			var out strings.Builder
			err := contract.TypeScript(&out, ns)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
			if out.Len() > 0 {
				t.Errorf("wrote %q", out.String())
			}
			if err := contract.AsyncAPI(&out, contract.Info{}, ns); err == nil {
				t.Error("AsyncAPI wrote it")
			}
			if err := contract.Check(ns, nil); err == nil {
				t.Error("Check took it")
			}
		})
	}
}

func TestTypeScript_NamesThatCollide(t *testing.T) {
	ns := newNamespace()
	accepts[Binary](ns)
	contract.Emits[celsius](ns, "warm")
	contract.Emits[struct{ E socketio.EventType }](ns, "types") // holds an interface
	var out strings.Builder
	if err := contract.TypeScript(&out, ns); err == nil || !strings.Contains(err.Error(), "reflect.Type") {
		t.Errorf("error %v", err)
	}
	ns = newNamespace()
	accepts[Binary](ns)
	contract.Emits[celsius](ns, "warm")
	text := generate(t, ns)
	for _, want := range []string{"interface ContractTestBinary {", "e: (arg: ContractTestBinary) => void;", "warm: (arg: number) => void;"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestTypeScript_NamespacesWithoutNameOrWithOne(t *testing.T) {
	io := socketio.NewServer(nil)
	parent := io.OfPattern("/team/{id}/*")
	socketio.Handle(parent, "join", func(context.Context, string) (int, error) { return 0, nil })
	if got := parent.Name(); got != "/team/{id}/*" {
		t.Errorf("name %q", got)
	}
	text := generate(t, parent, io)
	if !strings.Contains(text, "interface TeamIdServerToClientEvents") {
		t.Errorf("no interface for the pattern:\n%s", text)
	}
	var out strings.Builder
	for _, list := range [][]contract.Namespace{nil, {socketio.NewServer(nil).OfRegexp(regexp.MustCompile("^/x"))}, {io.Of("/a-b"), io.Of("/a_b"), io.Of("/a/b")}} {
		if err := contract.TypeScript(&out, list...); err == nil {
			t.Errorf("%d namespaces: no error", len(list))
		}
	}
}

func TestEventTypes_HandlersOfOneSocketCostNothing(t *testing.T) {
	io := socketio.NewServer(nil)
	io.OnConnection(func(s *socketio.Socket) {
		socketio.Handle(s, "mine", func(context.Context, int) (int, error) { return 0, nil })
	})
	socketio.Handle(io, "ours", func(context.Context, int8) (bool, error) { return true, nil })
	want := []socketio.EventType{{Name: "ours", Args: []reflect.Type{reflect.TypeFor[int8]()}, Answer: reflect.TypeFor[bool]()}}
	if got := io.EventTypes(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}
