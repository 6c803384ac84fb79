package gateway

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ConfigFile is the path of the YAML configuration file. Its keys are the long
// names of the flags (`redis-url`, `origins`, …) and `accounts`, a list of
// Account. Flags and environment win over it.
type ConfigFile string

// BeforeResolve makes the file's keys the last source of values.
func (f ConfigFile) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path, _ := ctx.FlagValue(trace.Flag).(ConfigFile)
	if path == "" {
		return nil
	}
	values, _, err := readConfigFile(string(path))
	if err != nil {
		return &configError{"POSTHOUSE_CONFIG", "= " + strconv.Quote(string(path)) + " is not usable", err.Error()}
	}
	known := slices.Clone(sectionNames)
	if err := kong.Visit(ctx.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && len(flag.Envs) > 0 {
			known = append(known, flag.Name)
		}
		return next(nil)
	}); err != nil {
		return err
	}
	for key := range values {
		if fix := unknownName(key, known); fix != "" {
			return &configError{string(path) + ": key " + strconv.Quote(key), unknown, fix}
		}
	}
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range flag.Envs {
			if _, set := os.LookupEnv(name); set {
				return nil, nil
			}
		}
		return values[flag.Name].rawText, nil
	}))
	return nil
}

// fileValue is a setting of the file.
type fileValue struct {
	rawText    any // what a flag would have been given; nil: nothing
	lineNumber int
}

// flagText turns a YAML value into what a flag would have been given.
func flagText(v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = fmt.Sprint(e)
		}
		return strings.Join(parts, ",")
	default:
		return fmt.Sprint(v)
	}
}

// readConfigFile returns the settings of a file and its accounts. What it refuses is no
// YAML mapping; unknown keys are for the caller.
func readConfigFile(path string) (map[string]fileValue, *fileSections, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, nil, errors.New(yaml.FormatError(err, false, false))
	}
	values, sections := map[string]fileValue{}, &fileSections{filePath: path}
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType {
			continue
		}
		pairs, err := mappingPairs(doc.Body)
		if err != nil {
			return nil, nil, err
		}
		for _, pair := range pairs {
			if slices.Contains(sectionNames, pair.key) {
				if err := sections.readSection(pair); err != nil {
					return nil, nil, err
				}
				continue
			}
			var v any
			if err := yaml.NodeToValue(pair.value, &v); err != nil {
				return nil, nil, err
			}
			values[pair.key] = fileValue{flagText(v), pair.lineNumber}
		}
	}
	return values, sections, nil
}

// yamlPair is one key of a YAML mapping.
type yamlPair struct {
	key        string
	value      ast.Node
	lineNumber int
}

func mappingPairs(node ast.Node) ([]yamlPair, error) {
	m, ok := node.(ast.MapNode)
	if !ok {
		return nil, fmt.Errorf("line %d: write keys and values, such as addr: \":3000\"", node.GetToken().Position.Line)
	}
	var pairs []yamlPair
	for i := m.MapRange(); i.Next(); {
		token := i.Key().GetToken()
		pairs = append(pairs, yamlPair{token.Value, i.Value(), token.Position.Line})
	}
	return pairs, nil
}

// sectionNames are the keys of a file that are no flags.
var sectionNames = []string{"accounts", "namespaces", "clients", "session", "compat", "login-hook"}

// fileSections are the parts of a file that are no flags, with the line of each of their
// keys.
type fileSections struct {
	filePath   string
	list       []fileAccount
	namespaces []fileNamespace
	clients    []fileNamespace // named by their ids
	session    []fileNamespace // one at most
	compat     []fileNamespace // one at most
	loginHook  []fileNamespace // one at most
}

func (f *fileSections) readSection(pair yamlPair) error {
	switch pair.key {
	case "accounts":
		return f.readAccounts(pair.value)
	case "namespaces":
		return f.readNamespaces(pair.value)
	case "clients":
		return f.readClients(pair.value)
	}
	section := newFileSection(pair.key, pair.value, pair.lineNumber)
	list := map[string]*[]fileNamespace{"session": &f.session, "compat": &f.compat, "login-hook": &f.loginHook}[pair.key]
	*list = append(*list, section)
	return nil
}

type fileAccount struct {
	name       string
	yamlNode   ast.Node
	lineNumber int
	linesByKey map[string]int
}

func (f *fileSections) readAccounts(node ast.Node) error {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		return fmt.Errorf("line %d: accounts is a list: write a - before each account", node.GetToken().Position.Line)
	}
	for _, node := range list.Values {
		pairs, err := mappingPairs(node)
		if err != nil {
			return err
		}
		a := fileAccount{yamlNode: node, lineNumber: node.GetToken().Position.Line, linesByKey: map[string]int{}}
		for i, pair := range pairs {
			if i == 0 {
				a.lineNumber = pair.lineNumber
			}
			if pair.key == "name" {
				a.name = pair.value.GetToken().Value
			}
			a.linesByKey[pair.key] = pair.lineNumber
		}
		f.list = append(f.list, a)
	}
	return nil
}

func (f *fileSections) hasKey(account, key string) bool {
	for _, a := range f.list {
		if a.name == account && a.linesByKey[key] > 0 {
			return true
		}
	}
	return false
}

// ofAccount are the keys of errors about accounts: accounts.shop.token, accounts[1].name.
var ofAccount = regexp.MustCompile(`^accounts(?:\.([a-z0-9_-]+)|\[(\d+)\])\.(\S+)$`)

// placeOf returns FILE:LINE: for the key of an error; "" when it is not of the file.
func (f *fileSections) placeOf(key string) string {
	if f == nil {
		return ""
	}
	if rest, ok := strings.CutPrefix(key, "namespaces."); ok {
		return f.placeIn(f.namespaces, rest)
	}
	if rest, ok := strings.CutPrefix(key, "clients."); ok {
		return f.placeIn(f.clients, rest)
	}
	if strings.HasPrefix(key, "compat.") {
		return f.placeIn(f.compat, key)
	}
	if strings.HasPrefix(key, "login-hook.") {
		return f.placeIn(f.loginHook, key)
	}
	if strings.HasPrefix(key, "session.") {
		return f.placeIn(f.session, key)
	}
	m := ofAccount.FindStringSubmatch(key)
	if m == nil {
		return ""
	}
	for i, a := range f.list {
		if m[1] == a.name && a.name != "" || m[2] == strconv.Itoa(i) {
			line := a.lineNumber
			if l := a.linesByKey[m[3]]; l > 0 {
				line = l
			}
			return fmt.Sprintf("%s:%d: ", f.filePath, line)
		}
	}
	return f.filePath + ": "
}

func (f ConfigFile) accounts() ([]Account, error) {
	_, file, err := readConfigFile(string(f))
	if err != nil {
		return nil, &configError{"POSTHOUSE_CONFIG", "= " + strconv.Quote(string(f)) + " is not usable", err.Error()}
	}
	var errs configErrors
	accounts := make([]Account, len(file.list))
	for i, a := range file.list {
		known := true
		for key := range a.linesByKey {
			if fix := unknownName(key, accountKeys); fix != "" {
				errs.add(&configError{fmt.Sprintf("accounts[%d].%s", i, key), unknown, fix})
				known = false
			}
		}
		if err := yaml.NodeToValue(a.yamlNode, &accounts[i]); err != nil && known {
			errs.add(&configError{fmt.Sprintf("accounts[%d]", i), "is not usable", err.Error()})
		}
	}
	return accounts, errs.joinErrors()
}

// CheckEnvironment refuses POSTHOUSE_ variables that no setting reads: a
// misspelt limit would otherwise be silently off. POSTHOUSE_TEST_ is free.
func CheckEnvironment(environ, known []string) error {
	var errs configErrors
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if fix := unknownVariable(name, known); fix != "" {
			errs.add(&configError{"environment variable " + strconv.Quote(name), unknown, fix})
		}
	}
	return errs.joinErrors()
}

func unknownVariable(name string, known []string) (fix string) {
	if !strings.HasPrefix(name, "POSTHOUSE_") || strings.HasPrefix(name, "POSTHOUSE_TEST_") {
		return ""
	}
	return unknownName(name, known)
}

// unknownName returns what to do about a name that is not among the known ones; "" when
// it is one of them.
func unknownName(name string, known []string) (fix string) {
	nearest, distance := "", len(name)
	for _, k := range known {
		if k == name {
			return ""
		}
		d := levenshtein.ComputeDistance(name, k)
		if strings.HasPrefix(k, name) {
			d = 1 // cut short
		}
		if d < distance {
			nearest, distance = k, d
		}
	}
	if nearest == "" {
		return "remove it; posthouse config doc lists all"
	}
	return "did you mean " + strconv.Quote(nearest) + "?"
}
