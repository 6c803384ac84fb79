package contract_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/contract"
	"posthouse/socketio/parser"
)

func asyncAPI(t *testing.T, info contract.Info, namespaces ...contract.Namespace) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := contract.AsyncAPI(&out, info, namespaces...); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAsyncAPI_WritesOperationsAndTypes(t *testing.T) {
	tree, root := newNamespaces()
	info := contract.Info{Title: "Trees", Version: "1.2", Description: "All of them.", Host: "example.org", Path: "/ws/"}
	compare(t, "both.json", asyncAPI(t, info, tree, root))
}

func TestAsyncAPI_EventsWithSimilarNames(t *testing.T) {
	ns := socketio.NewServer(nil).OfPattern("/team/{id}")
	contract.Emits[int](ns, "a-b")
	contract.Emits[string](ns, "a b")
	var document struct {
		Channels map[string]struct {
			Address    string
			Parameters map[string]any
			Messages   map[string]struct{ Name string }
		}
	}
	if err := json.Unmarshal(asyncAPI(t, contract.Info{}, ns), &document); err != nil {
		t.Fatal(err)
	}
	channel := document.Channels["TeamId"]
	var names []string
	for _, m := range channel.Messages {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	if channel.Address != "/team/{id}" || channel.Parameters["id"] == nil || !slices.Equal(names, []string{"a b", "a-b"}) {
		t.Errorf("%+v", document)
	}
}

// TestAsyncAPI_IsValid validates documents with the JSON Schema that the AsyncAPI
// initiative publishes, and follows their references.
func TestAsyncAPI_IsValid(t *testing.T) {
	testenv.NodeDir(t, "ajv", "ajv-formats", "@asyncapi/specs")
	tree, root := newNamespaces()
	pattern := socketio.NewServer(nil).OfPattern("/team/{id}")
	contract.Emits[Node](pattern, "node")
	for name, document := range map[string][]byte{
		"two namespaces": asyncAPI(t, contract.Info{Host: "example.org", Description: "d"}, tree, root),
		"a pattern":      asyncAPI(t, contract.Info{}, pattern),
	} {
		if found := validate(t, document, samples(t)); found != "valid\n" {
			t.Errorf("%s: %s", name, found)
		}
	}
	broken := bytes.Replace(asyncAPI(t, contract.Info{}, tree), []byte(`"action": "send"`), []byte(`"action": "shout"`), 1)
	if found := validate(t, broken, "[]"); !strings.Contains(found, "action") {
		t.Errorf("the validator takes a broken document: %s", found)
	}
	for _, value := range []string{`{}`, `{"id":"1"}`} {
		if found := validate(t, asyncAPI(t, contract.Info{}, tree), `[{"schema":"Node","value":`+value+`}]`); !strings.Contains(found, "required") {
			t.Errorf("the schema takes %s: %s", value, found)
		}
	}
}

// samples are values of Node as the server writes them.
func samples(t *testing.T) string {
	t.Helper()
	one := 1
	leaf := Node{base: base{ID: "1", Created: time.Unix(1, 0)}, Name: "leaf", Tags: []string{"a"}, Children: []Node{}}
	full := Node{base: base{ID: "2", Created: time.Unix(2, 0)}, Name: "tree", Kind: "folder", Children: []Node{leaf}, Next: &leaf, Parent: &leaf,
		Size: 3, Ratio: 0.5, Big: 1 << 60, Labels: map[string]int{"a": one}, Extra: []byte(`[1]`), Home: "https://example.org/", Tags: []string{"a", "b"}}
	none := leaf
	none.Tags = nil
	var list []string
	for _, n := range []Node{leaf, full, none} {
		text, attachments, err := parser.AppendValue(nil, nil, n)
		if err != nil || len(attachments) > 0 {
			t.Fatal(err)
		}
		list = append(list, `{"schema":"Node","value":`+string(text)+`}`)
	}
	return "[" + strings.Join(list, ",") + "]"
}

// validate runs the validator on a document and on values of its types.
func validate(t *testing.T, document []byte, values string) string {
	t.Helper()
	dir := t.TempDir()
	path, other := filepath.Join(dir, "asyncapi.json"), filepath.Join(dir, "values.json")
	if err := errors.Join(os.WriteFile(path, document, 0o600), os.WriteFile(other, []byte(values), 0o600)); err != nil {
		t.Fatal(err)
	}
	return testenv.Node(t, time.Minute, filepath.Join("testdata", "asyncapi.cjs"), path, other)
}
