package gateway

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"posthouse/socketio/access"
	"posthouse/socketio/auth"
	"posthouse/socketio/hook"
)

// Namespace is a namespace of the configuration file (docs/realtime.md §1): its clients
// are let in by tokens or by a back end, have rooms by rules, and talk to each other and
// to the back end without a program.
type Namespace struct {
	Name   string           `yaml:"-"`    // /app; /team/* and /team/{id} match one more segment
	Auth   string           `yaml:"auth"` // jwt (default), open or hook
	JWT    *NamespaceJWT    `yaml:"jwt"`  // nil: the tokens of the gateway's own login
	Rooms  []string         `yaml:"rooms"`
	Join   []string         `yaml:"join"`
	Relay  []string         `yaml:"relay"`
	Hook   *NamespaceHook   `yaml:"hook"`
	Limits *NamespaceLimits `yaml:"limits"`

	Presence []string          `yaml:"presence"` // rooms with presence
	History  *NamespaceHistory `yaml:"history"`
	Recovery string            `yaml:"recovery"` // how long a client may be away and miss nothing, such as 2m; "" for no recovery

	keys    auth.KeySource // of the key file of JWT
	secrets []hook.Secret
	rate    Rate
	keepFor time.Duration // Recovery; 0 without
}

// NamespaceJWT names the issuer of a namespace's tokens, and its keys: JWKS or KeyFile.
type NamespaceJWT struct {
	Issuer    string `yaml:"issuer"`
	Audience  string `yaml:"audience"`
	JWKS      string `yaml:"jwks"`
	KeyFile   string `yaml:"key-file"`
	ClockSkew string `yaml:"clock-skew"` // default 30s
}

// NamespaceHook names a back end.
type NamespaceHook struct {
	URL         string   `yaml:"url"`
	SecretFile  string   `yaml:"secret-file"`
	Events      []string `yaml:"events"`  // default: connect, disconnect and *
	Timeout     string   `yaml:"timeout"` // default 5s
	Fail        string   `yaml:"fail"`    // closed (default) or open
	Headers     []string `yaml:"headers"`
	Concurrency int      `yaml:"concurrency"` // default 64
	Retries     int      `yaml:"retries"`     // 0 to 5
}

// NamespaceLimits bound each socket.
type NamespaceLimits struct {
	Events string `yaml:"events"` // a rate such as 50/s
	Rooms  int    `yaml:"rooms"`  // default 256
}

// fileNamespace is a namespace of the file; linesByKey has its keys, with dots between
// those of several levels.
type fileNamespace struct {
	name       string
	yamlNode   ast.Node
	lineNumber int
	linesByKey map[string]int
}

func (f *fileSections) readNamespaces(node ast.Node) error {
	if node.Type() == ast.NullType {
		return nil
	}
	pairs, err := mappingPairs(node)
	if err != nil {
		return fmt.Errorf("namespaces: %w", err)
	}
	for _, pair := range pairs {
		f.namespaces = append(f.namespaces, newFileSection(pair.key, pair.value, pair.lineNumber))
	}
	return nil
}

func newFileSection(name string, node ast.Node, line int) fileNamespace {
	n := fileNamespace{name: name, yamlNode: node, lineNumber: line, linesByKey: map[string]int{}}
	noteLines(node, "", n.linesByKey)
	return n
}

// noteLines notes the line of every key below node.
func noteLines(node ast.Node, prefix string, lines map[string]int) {
	pairs, err := mappingPairs(node)
	if err != nil {
		return // a leaf
	}
	for _, pair := range pairs {
		lines[prefix+pair.key] = pair.lineNumber
		noteLines(pair.value, prefix+pair.key+".", lines)
	}
}

// placeIn returns FILE:LINE: for a key such as /app.jwt.issuer of one of the list, or for
// the nearest one around it.
func (f *fileSections) placeIn(list []fileNamespace, key string) string {
	for _, n := range list {
		rest, ok := strings.CutPrefix(key, n.name)
		if !ok || rest != "" && rest[0] != '.' {
			continue
		}
		line := n.lineNumber
		for rest = strings.TrimPrefix(rest, "."); rest != ""; rest = rest[:max(strings.LastIndexByte(rest, '.'), 0)] {
			if l := n.linesByKey[rest]; l > 0 {
				line = l
				break
			}
		}
		return fmt.Sprintf("%s:%d: ", f.filePath, line)
	}
	return f.filePath + ": "
}

// namespaces reads the namespaces of the file. Its errors name every key that is wrong.
func (f ConfigFile) namespaces() ([]Namespace, error) {
	_, file, err := readConfigFile(string(f))
	if err != nil {
		return nil, nil // accounts has said so
	}
	var errs configErrors
	var list []Namespace
	nameOfShape := map[string]string{}
	for _, from := range file.namespaces {
		n := Namespace{Name: from.name}
		key := func(name string) string { return strings.TrimSuffix("namespaces."+from.name+"."+name, ".") }
		if from.yamlNode.Type() != ast.NullType {
			decodeKeys(from.yamlNode, "", reflect.ValueOf(&n).Elem(), namespaceKeys, key, &errs)
		}
		errs.add(n.normalize(key, filepath.Dir(string(f))))
		shape := nameParameter.ReplaceAllString(n.Name, "*")
		if first, taken := nameOfShape[shape]; taken {
			errs.add(keyError(key(""), n.Name, "it matches the same names as "+first+"; keep one of them"))
		}
		nameOfShape[shape] = n.Name
		list = append(list, n)
	}
	return list, errs.joinErrors()
}

// decodeKeys gives the fields of a struct the values of a YAML mapping, each by itself:
// one wrong value hides no other, and each error names its own key. prefix is the path of
// node below its namespace, known are all keys there.
func decodeKeys(node ast.Node, prefix string, into reflect.Value, known []string, key func(string) string, errs *configErrors) {
	pairs, err := mappingPairs(node)
	if err != nil {
		errs.add(&configError{key(strings.TrimSuffix(prefix, ".")), "is not usable", wantedForms[reflect.Struct]})
		return
	}
	for _, pair := range pairs {
		name := prefix + pair.key
		field := into.FieldByNameFunc(func(field string) bool {
			of, _ := into.Type().FieldByName(field)
			return of.Tag.Get("yaml") == pair.key && pair.key != "-"
		})
		switch {
		case !field.IsValid():
			errs.add(&configError{key(name), unknown, unknownName(name, known)})
		case pair.value.Type() == ast.NullType:
		case field.Kind() == reflect.Pointer:
			if _, ok := pair.value.(ast.MapNode); !ok {
				errs.add(&configError{key(name), "is not usable", wantedForms[reflect.Struct]})
				continue
			}
			field.Set(reflect.New(field.Type().Elem()))
			decodeKeys(pair.value, name+".", field.Elem(), known, key, errs)
		case yaml.NodeToValue(pair.value, field.Addr().Interface()) != nil:
			field.SetZero()
			errs.add(&configError{key(name), "is not usable", wantedForms[field.Kind()]})
		}
	}
}

// wantedForms say how values of the file are written, by the kind of their field.
var wantedForms = map[reflect.Kind]string{
	reflect.String: "write one value, such as 30s",
	reflect.Slice:  "write a list, such as [a, b]",
	reflect.Int:    "write a whole number",
	reflect.Map:    "write names and values below it",
	reflect.Struct: "write keys and values below it",
}

// namespaceKeys are the keys of a namespace: the tags of the types above.
var namespaceKeys = keysOfType(reflect.TypeFor[Namespace]())

// keysOfType are the YAML keys of a struct, with dots between those of several levels.
func keysOfType(of reflect.Type) (keys []string) {
	var walk func(t reflect.Type, prefix string)
	walk = func(t reflect.Type, prefix string) {
		for field := range t.Fields() {
			name := field.Tag.Get("yaml")
			if name == "" || name == "-" {
				continue
			}
			keys = append(keys, prefix+name)
			if field.Type.Kind() == reflect.Pointer {
				walk(field.Type.Elem(), prefix+name+".")
			}
		}
	}
	walk(of, "")
	return keys
}

// namespaceName is a path of one or more segments, some of which may be {parameters};
// the last may be *.
var namespaceName = regexp.MustCompile(`^(/([A-Za-z0-9_.~-]+|\{[a-z][a-zA-Z0-9_]*\}))+(/\*)?$`)

// nameParameter is a parameter of a namespace's name.
var nameParameter = regexp.MustCompile(`\{[^{}]*\}`)

// maxRoomsLimit bounds limits.rooms: every room of a socket costs memory.
const maxRoomsLimit = 10_000

// reserved namespaces belong to the gateway.
var reserved = []string{"/", "/login", "/admin"}

func (n *Namespace) normalize(key func(string) string, dir string) error {
	var errs configErrors
	if !namespaceName.MatchString(n.Name) {
		errs.add(keyError("namespaces."+n.Name, n.Name, "write a path such as /app, or /team/* for one more segment"))
	}
	parameters := nameParameter.FindAllString(n.Name, -1)
	slices.Sort(parameters)
	if len(slices.Compact(slices.Clone(parameters))) < len(parameters) {
		errs.add(keyError("namespaces."+n.Name, n.Name, "a parameter occurs twice: give each its own name"))
	}
	if slices.Contains(reserved, n.Name) {
		errs.add(keyError("namespaces."+n.Name, n.Name, "it belongs to the gateway; choose another name"))
	}
	if _, err := access.Matching(n.Presence...); err != nil {
		errs.add(&configError{key("presence"), "is not usable", err.Error()})
	}
	if n.History != nil {
		errs.add(n.History.normalize(key))
	}
	errs.add(n.normalizeRecovery(key))
	switch n.Auth {
	case "":
		n.Auth = "jwt"
	case "jwt", "open", "hook":
	default:
		errs.add(keyError(key("auth"), n.Auth, "use jwt, open or hook"))
	}
	if n.JWT != nil {
		if n.Auth != "jwt" {
			errs.add(keyError(key("jwt"), "…", "it needs auth: jwt"))
		}
		errs.add(n.JWT.normalize(n, key, dir))
	}
	if n.Hook != nil {
		errs.add(n.Hook.normalize(n, key, dir))
	}
	if n.Auth == "hook" && (n.Hook == nil || !slices.Contains(n.Hook.Events, "connect")) {
		errs.add(keyError(key("hook.events"), "", "auth: hook asks the back end about each connection: name connect among the events"))
	}
	errs.add(n.normalizeRules(key))
	return errs.joinErrors()
}

func (n *Namespace) normalizeRules(key func(string) string) error {
	var errs configErrors
	maxRooms := 0 // the default
	if n.Auth == "open" && (slices.ContainsFunc(n.Rooms, hasClaim) || slices.ContainsFunc(n.Join, hasClaim)) {
		errs.add(keyError(key("auth"), "open", "clients without a token have no {claim}: use jwt or hook, or rooms without claims"))
	}
	if n.Auth == "hook" && (slices.ContainsFunc(n.Rooms, hasOtherClaim) || slices.ContainsFunc(n.Join, hasOtherClaim)) {
		errs.add(keyError(key("auth"), "hook", "the back end names the user, which is {sub}; other claims stand in tokens only"))
	}
	if n.Limits != nil {
		if n.Limits.Events != "" {
			if err := n.rate.UnmarshalText([]byte(n.Limits.Events)); err != nil {
				errs.add(keyError(key("limits.events"), n.Limits.Events, "write a rate such as 50/s"))
			}
		}
		if n.Limits.Rooms < 0 || n.Limits.Rooms > maxRoomsLimit {
			errs.add(keyError(key("limits.rooms"), strconv.Itoa(n.Limits.Rooms), "write a number from 1 to "+strconv.Itoa(maxRoomsLimit)))
		} else {
			maxRooms = n.Limits.Rooms
		}
	}
	// access knows what patterns are; its error names the option and the value.
	for name, o := range map[string]access.Options{"rooms": {Rooms: n.Rooms, MaxRooms: maxRooms}, "join": {Join: n.Join}, "relay": {Relay: n.Relay}} {
		o.Claim = auth.ClaimOf
		if _, err := access.New(&o); err != nil {
			errs.add(&configError{key(name), "is not usable", err.Error()})
		}
	}
	return errs.joinErrors()
}

func hasClaim(s string) bool { return strings.Contains(s, "{") }

// hasOtherClaim reports a claim besides the user's.
func hasOtherClaim(s string) bool { return hasClaim(strings.ReplaceAll(s, "{sub}", "")) }

func (j *NamespaceJWT) normalize(n *Namespace, key func(string) string, dir string) error {
	var errs configErrors
	if j.Issuer == "" {
		errs.add(keyError(key("jwt.issuer"), "", "name the claim iss of the tokens; without jwt the gateway's own tokens are asked for"))
	}
	if j.Audience == "" {
		errs.add(keyError(key("jwt.audience"), "", "name the claim aud of the tokens: an issuer signs for others too"))
	}
	if j.ClockSkew == "" {
		j.ClockSkew = "30s"
	}
	if d, err := parseDuration(j.ClockSkew); err != nil || d > 10*time.Minute {
		errs.add(keyError(key("jwt.clock-skew"), j.ClockSkew, "write a time up to 10m, such as 30s or 0s"))
	}
	var err error
	switch {
	case (j.JWKS == "") == (j.KeyFile == ""):
		errs.add(keyError(key("jwt.jwks"), j.JWKS, "name either the issuer's JWKS or a key-file"))
	case j.JWKS != "":
		if _, err = auth.NewJWKS(j.JWKS, nil); err != nil {
			errs.add(keyError(key("jwt.jwks"), j.JWKS, "write an https URL, or http on a loopback address"))
		}
	default:
		if n.keys, err = auth.ReadKeys(beside(dir, j.KeyFile)); err != nil {
			errs.add(keyError(key("jwt.key-file"), j.KeyFile, err.Error()))
		}
	}
	return errs.joinErrors()
}

func (h *NamespaceHook) normalize(n *Namespace, key func(string) string, dir string) error {
	var errs configErrors
	if len(h.Events) == 0 {
		h.Events = []string{"connect", "disconnect", "*"}
	}
	if u, err := url.Parse(h.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs.add(keyError(key("hook.url"), h.URL, "write a whole http or https URL"))
	}
	if h.SecretFile == "" {
		errs.add(keyError(key("hook.secret-file"), "", "name a file with whsec_ and the base64 of 24 to 64 bytes in a line, the newest first"))
	} else if text, err := os.ReadFile(beside(dir, h.SecretFile)); err != nil {
		errs.add(keyError(key("hook.secret-file"), h.SecretFile, err.Error()))
	} else if n.secrets, err = hook.ParseSecrets(cleanText(string(text))); err != nil {
		errs.add(keyError(key("hook.secret-file"), h.SecretFile, err.Error()))
	}
	if n.Auth == "jwt" && slices.ContainsFunc(h.Headers, func(name string) bool { return strings.EqualFold(name, "authorization") }) {
		errs.add(keyError(key("hook.headers"), "authorization", "with auth: jwt this header is the token, which the back end does not get; its claims stand in each request"))
	}
	if h.Timeout == "" {
		h.Timeout = "5s"
	}
	if d, err := parseDuration(h.Timeout); err != nil || d == 0 || d > time.Minute {
		errs.add(keyError(key("hook.timeout"), h.Timeout, "write a time up to 1m, such as 5s"))
	}
	if h.Fail != "" && h.Fail != "open" && h.Fail != "closed" {
		errs.add(keyError(key("hook.fail"), h.Fail, "use closed or open"))
	}
	if h.Retries < 0 || h.Retries > 5 {
		errs.add(keyError(key("hook.retries"), strconv.Itoa(h.Retries), "use 0 to 5"))
	}
	if h.Concurrency < 0 || h.Concurrency > 10_000 {
		errs.add(keyError(key("hook.concurrency"), strconv.Itoa(h.Concurrency), "use 1 to 10000"))
	}
	return errs.joinErrors()
}

// beside makes a path of the file relative to the folder of the file.
func beside(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func parseDuration(text string) (time.Duration, error) {
	var d Duration
	err := d.UnmarshalText([]byte(text))
	return time.Duration(d), err
}
