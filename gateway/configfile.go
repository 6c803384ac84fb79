package gateway

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
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
	values, err := path.read()
	if err != nil {
		return err
	}
	known := []string{"accounts"}
	if err := kong.Visit(ctx.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && len(flag.Envs) > 0 {
			known = append(known, flag.Name)
		}
		return next(nil)
	}); err != nil {
		return err
	}
	for key := range values {
		if err := knownKey(key, known, string(path)+": key"); err != nil {
			return err
		}
	}
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range flag.Envs {
			if _, set := os.LookupEnv(name); set {
				return nil, nil
			}
		}
		return flagText(values[flag.Name]), nil
	}))
	return nil
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

func (f ConfigFile) read() (map[string]any, error) {
	data, err := os.ReadFile(string(f))
	if err != nil {
		return nil, fmt.Errorf("config: POSTHOUSE_CONFIG: %w", err)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(data, &values); err != nil {
		return nil, fmt.Errorf("config: %s: %w", f, err)
	}
	return values, nil
}

func (f ConfigFile) accounts() ([]Account, error) {
	data, err := os.ReadFile(string(f))
	if err != nil {
		return nil, fmt.Errorf("config: POSTHOUSE_CONFIG: %w", err)
	}
	var file struct {
		Accounts []map[string]any `yaml:"accounts"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("config: %s: %w", f, err)
	}
	accounts := make([]Account, len(file.Accounts))
	for i, keys := range file.Accounts {
		for key := range keys {
			if err := knownKey(key, accountKeys, fmt.Sprintf("%s: accounts[%d] key", f, i)); err != nil {
				return nil, err
			}
		}
		text, err := yaml.Marshal(keys)
		if err != nil {
			return nil, fmt.Errorf("config: %s: %w", f, err)
		}
		if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&accounts[i]); err != nil {
			return nil, fmt.Errorf("config: %s: accounts[%d]: %w", f, i, err)
		}
	}
	return accounts, nil
}

var accountKeys = []string{
	"name", "appid", "secret", "secret-file", "token", "token-file", "aes-key", "aes-key-file",
	"previous-token", "previous-aes-key", "original-id", "mode", "api-base", "mp-base", "title",
	"forward", "ip-allow-list", "typed-code", "unionid", "language", "phrases",
}

// CheckEnvironment refuses POSTHOUSE_ variables that no setting reads: a
// misspelt limit would otherwise be silently off. POSTHOUSE_TEST_ is free.
func CheckEnvironment(environ, known []string) error {
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "POSTHOUSE_") || strings.HasPrefix(name, "POSTHOUSE_TEST_") {
			continue
		}
		if err := knownKey(name, known, "environment variable"); err != nil {
			return err
		}
	}
	return nil
}

// knownKey returns an error that suggests the nearest known key.
func knownKey(key string, known []string, where string) error {
	nearest, distance := "", len(key)
	for _, k := range known {
		if k == key {
			return nil
		}
		d := levenshtein.ComputeDistance(key, k)
		if strings.HasPrefix(k, key) {
			d = 1 // cut short
		}
		if d < distance {
			nearest, distance = k, d
		}
	}
	if nearest == "" {
		return fmt.Errorf("config: %s %q is unknown", where, key)
	}
	return fmt.Errorf("config: %s %q is unknown; did you mean %q?", where, key, nearest)
}
