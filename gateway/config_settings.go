package gateway

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// Settings are all settings of the gateway as flags, environment and file give them,
// with the source of each: for operators that ask what is wrong, and what is in force.
type Settings struct {
	Config Config // normalized as far as it can be

	list     []*setting
	accounts *fileAccounts
	problems []string
}

// setting is one flag of Config and what it was given.
type setting struct {
	flag   *kong.Flag
	text   string
	source string // flag, env, file or default
	place  string // --x, POSTHOUSE_X or FILE:LINE
}

// ReadSettings reads flags (as in os.Args[1:]), the environment (as of os.Environ) and
// the file they name, as serve does. Names in known, beside those of Config, are
// variables that something else reads. It opens no connection; files that hold secrets
// are read.
func ReadSettings(args, environ, known []string) *Settings {
	s := &Settings{}
	app, err := kong.New(&s.Config)
	if err != nil {
		panic(err) // the tags of Config are wrong
	}
	r := settingsReader{Settings: s, env: map[string]string{}, flags: map[string]string{}}
	for _, f := range app.Model.Flags {
		if len(f.Envs) > 0 {
			s.list = append(s.list, &setting{flag: f, text: f.Default, source: "default"})
			known = append(known, f.Envs...)
		}
	}
	r.readEnvironment(environ, known)
	r.readFlags(args)
	r.readFile()
	for _, set := range s.list {
		r.apply(set)
	}
	var joined interface{ Unwrap() []error }
	if err := s.Config.Normalize(); errors.As(err, &joined) {
		for _, err := range joined.Unwrap() {
			r.refuse(err)
		}
	}
	return s
}

// Problems are all things that are wrong, one line each: where it stands (FILE:LINE,
// POSTHOUSE_X or --x), what is wrong, and the fix.
func (s *Settings) Problems() []string { return s.problems }

// settingsReader collects what ReadSettings finds.
type settingsReader struct {
	*Settings
	env, flags map[string]string
}

func (r *settingsReader) problem(place, what, fix string) {
	line := place + ": " + what
	if fix != "" {
		line += "; " + fix
	}
	if !slices.Contains(r.problems, line) {
		r.problems = append(r.problems, line)
	}
}

func (r *settingsReader) readEnvironment(environ, known []string) {
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if value != "" { // compose files pass what is not set as empty
			r.env[name] = value
		}
		if fix := unknownVariable(name, known); fix != "" {
			r.problem(name, unknown, fix)
		}
	}
}

func (r *settingsReader) readFlags(args []string) {
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(strings.TrimPrefix(args[i], "--"), "=")
		if !strings.HasPrefix(args[i], "--") {
			r.problem(args[i], "is not a flag", "write --name=value")
			continue
		}
		set := r.named(name)
		if set == nil {
			r.problem("--"+name, unknown, unknownName(name, r.names()))
			continue
		}
		switch {
		case given:
		case set.flag.IsBool():
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i]
		default:
			r.problem("--"+name, "has no value", "write --"+name+"="+set.flag.FormatPlaceHolder())
			continue
		}
		r.flags[name] = value
	}
}

func (s *Settings) named(name string) *setting {
	for _, set := range s.list {
		if set.flag.Name == name {
			return set
		}
	}
	return nil
}

func (s *Settings) names() []string {
	names := make([]string, len(s.list))
	for i, set := range s.list {
		names[i] = set.flag.Name
	}
	return names
}

// readFile reads the file that flag or environment name, and gives every setting its
// text and its source.
func (r *settingsReader) readFile() {
	file := r.named("config")
	r.choose(file, nil, "")
	values := map[string]fileValue{}
	if file.text != "" {
		var err error
		if values, r.accounts, err = readConfigFile(file.text); err != nil {
			r.problem(file.place, err.Error(), "")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if r.named(key) == nil {
			r.problem(fmt.Sprintf("%s:%d: %s", file.text, values[key].line, key), unknown, unknownName(key, append(r.names(), "accounts")))
		}
	}
	for _, set := range r.list {
		if set != file {
			r.choose(set, values, file.text)
		}
	}
}

// choose takes the first source that gives a setting: flag, environment, file.
func (r *settingsReader) choose(set *setting, values map[string]fileValue, file string) {
	name := set.flag.Name
	if text, ok := r.flags[name]; ok {
		set.text, set.source, set.place = text, "flag", "--"+name
		return
	}
	for _, variable := range set.flag.Envs {
		if text, ok := r.env[variable]; ok {
			set.text, set.source, set.place = text, "env", variable
			return
		}
	}
	if v, ok := values[name]; ok && v.text != nil {
		set.text, set.source, set.place = fmt.Sprint(v.text), "file", fmt.Sprintf("%s:%d: %s", file, v.line, name)
		return
	}
	set.place = set.flag.Envs[0]
}

// apply gives Config the value of a setting, or its default where it cannot be read.
func (r *settingsReader) apply(set *setting) {
	f := set.flag
	err := parseFlag(f, set.text)
	if err == nil && f.Enum != "" && !slices.Contains(f.EnumSlice(), set.text) {
		err = fmt.Errorf("%q is not usable; use %s", set.text, strings.Join(f.EnumSlice(), ", "))
	}
	if err == nil {
		return
	}
	r.problem(set.place, err.Error(), "")
	f.Target.SetZero()
	_ = parseFlag(f, f.Default) // a default can be read
}

func parseFlag(f *kong.Flag, text string) error {
	if text == "" {
		return nil
	}
	err := f.Parse(kong.ScanFromTokens(kong.Token{Value: text, Type: kong.FlagValueToken}), f.Target)
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "--"+f.Name+": ")) // the place says it
	}
	return nil
}

// refuse notes an error of Normalize at the place where the setting was given.
func (r *settingsReader) refuse(err error) {
	var wrong *configError
	if !errors.As(err, &wrong) {
		r.problem("config", strings.TrimPrefix(err.Error(), "config: "), "")
		return
	}
	what := strings.TrimPrefix(wrong.what, "= ")
	for _, set := range r.list {
		if slices.Contains(set.flag.Envs, wrong.key) {
			place := set.place
			// The file that holds a secret is what was given.
			if file := r.named(set.flag.Name + "-file"); file != nil && set.source == "default" && file.source != "default" {
				place = file.place
			}
			r.problem(place, what, wrong.fix)
			return
		}
	}
	r.problem(r.accounts.place(wrong.key)+wrong.key, what, wrong.fix)
}

// passwords are those inside of URLs.
var passwords = regexp.MustCompile(`(://[^:/@\s]*):[^@\s]*@`)

func maskPasswords(s string) string { return passwords.ReplaceAllString(s, "$1:***@") }

// Show writes the settings in force, one line each: the flag's name, the value and its
// source, which is flag, env, file or default. Secrets are ***.
func (s *Settings) Show(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value, source string) {
		if value == "" {
			value = `""`
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", name, maskPasswords(value), source) // Flush has the error
	}
	for _, set := range s.list {
		value := set.text
		if set.flag.Target.Type() == reflect.TypeFor[Secret]() && value != "" {
			value = "***"
		}
		line(set.flag.Name, value, set.source)
	}
	for _, a := range s.Config.Accounts {
		if a.Name == "default" {
			continue // those are flags
		}
		v := reflect.ValueOf(a)
		for i := range v.NumField() {
			name, field := v.Type().Field(i).Tag.Get("yaml"), v.Field(i)
			if !field.IsZero() && name != "name" {
				source := "file"
				if !s.accounts.has(a.Name, name) {
					source = "default"
				}
				line("accounts."+a.Name+"."+name, fmt.Sprint(field.Interface()), source)
			}
		}
	}
	return t.Flush()
}
