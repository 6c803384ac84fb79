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

	settings     []*setting
	accounts     *fileSections
	problemTexts []string
}

// setting is one flag of Config and what it was given.
type setting struct {
	flag       *kong.Flag
	valueText  string
	sourceKind string // flag, env, file or default
	place      string // --x, POSTHOUSE_X or FILE:LINE
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
	r := settingsReader{Settings: s, environment: map[string]string{}, flags: map[string]string{}}
	for _, f := range app.Model.Flags {
		if len(f.Envs) > 0 {
			s.settings = append(s.settings, &setting{flag: f, valueText: f.Default, sourceKind: "default"})
			known = append(known, f.Envs...)
		}
	}
	r.readEnvironment(environ, known)
	r.readFlags(args)
	r.readFile()
	for _, set := range s.settings {
		r.applySetting(set)
	}
	var joined interface{ Unwrap() []error }
	if err := s.Config.Normalize(); errors.As(err, &joined) {
		for _, err := range joined.Unwrap() {
			r.noteRefusal(err)
		}
	}
	return s
}

// Problems are all things that are wrong, one line each: where it stands (FILE:LINE,
// POSTHOUSE_X or --x), what is wrong, and the fix.
func (s *Settings) Problems() []string { return s.problemTexts }

// settingsReader collects what ReadSettings finds.
type settingsReader struct {
	*Settings
	environment, flags map[string]string
}

func (r *settingsReader) addProblem(place, what, fix string) {
	line := place + ": " + what
	if fix != "" {
		line += "; " + fix
	}
	if !slices.Contains(r.problemTexts, line) {
		r.problemTexts = append(r.problemTexts, line)
	}
}

func (r *settingsReader) readEnvironment(environ, known []string) {
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if value != "" { // compose files pass what is not set as empty
			r.environment[name] = value
		}
		if fix := unknownVariable(name, known); fix != "" {
			r.addProblem(name, unknown, fix)
		}
	}
}

func (r *settingsReader) readFlags(args []string) {
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(strings.TrimPrefix(args[i], "--"), "=")
		if !strings.HasPrefix(args[i], "--") {
			r.addProblem(args[i], "is not a flag", "write --name=value")
			continue
		}
		set := r.settingNamed(name)
		if set == nil {
			r.addProblem("--"+name, unknown, unknownName(name, r.settingNames()))
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
			r.addProblem("--"+name, "has no value", "write --"+name+"="+set.flag.FormatPlaceHolder())
			continue
		}
		r.flags[name] = value
	}
}

func (s *Settings) settingNamed(name string) *setting {
	for _, set := range s.settings {
		if set.flag.Name == name {
			return set
		}
	}
	return nil
}

func (s *Settings) settingNames() []string {
	names := make([]string, len(s.settings))
	for i, set := range s.settings {
		names[i] = set.flag.Name
	}
	return names
}

// readFile reads the file that flag or environment name, and gives every setting its
// text and its source.
func (r *settingsReader) readFile() {
	file := r.settingNamed("config")
	r.chooseSource(file, nil, "")
	values := map[string]fileValue{}
	if file.valueText != "" {
		var err error
		if values, r.accounts, err = readConfigFile(file.valueText); err != nil {
			r.addProblem(file.place, err.Error(), "")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if r.settingNamed(key) == nil {
			r.addProblem(fmt.Sprintf("%s:%d: %s", file.valueText, values[key].lineNumber, key), unknown, unknownName(key, append(r.settingNames(), sectionNames...)))
		}
	}
	for _, set := range r.settings {
		if set != file {
			r.chooseSource(set, values, file.valueText)
		}
	}
}

// chooseSource takes the first source that gives a setting: flag, environment, file.
func (r *settingsReader) chooseSource(set *setting, values map[string]fileValue, file string) {
	name := set.flag.Name
	if text, ok := r.flags[name]; ok {
		set.valueText, set.sourceKind, set.place = text, "flag", "--"+name
		return
	}
	for _, variable := range set.flag.Envs {
		if text, ok := r.environment[variable]; ok {
			set.valueText, set.sourceKind, set.place = text, "env", variable
			return
		}
	}
	if v, ok := values[name]; ok && v.rawText != nil {
		set.valueText, set.sourceKind, set.place = fmt.Sprint(v.rawText), "file", fmt.Sprintf("%s:%d: %s", file, v.lineNumber, name)
		return
	}
	set.place = set.flag.Envs[0]
}

// applySetting gives Config the value of a setting, or its default where it cannot be read.
func (r *settingsReader) applySetting(set *setting) {
	f := set.flag
	err := parseFlag(f, set.valueText)
	if err == nil && f.Enum != "" && !slices.Contains(f.EnumSlice(), set.valueText) {
		err = fmt.Errorf("%q is not usable; use %s", set.valueText, strings.Join(f.EnumSlice(), ", "))
	}
	if err == nil {
		return
	}
	r.addProblem(set.place, err.Error(), "")
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

// noteRefusal notes an error of Normalize at the place where the setting was given.
func (r *settingsReader) noteRefusal(err error) {
	var wrong *configError
	if !errors.As(err, &wrong) {
		r.addProblem("config", strings.TrimPrefix(err.Error(), "config: "), "")
		return
	}
	what := strings.TrimPrefix(wrong.problem, "= ")
	for _, set := range r.settings {
		if slices.Contains(set.flag.Envs, wrong.settingName) {
			place := set.place
			// The file that holds a secret is what was given.
			if file := r.settingNamed(set.flag.Name + "-file"); file != nil && set.sourceKind == "default" && file.sourceKind != "default" {
				place = file.place
			}
			r.addProblem(place, what, wrong.fixAdvice)
			return
		}
	}
	r.addProblem(r.accounts.placeOf(wrong.settingName)+wrong.settingName, what, wrong.fixAdvice)
}

// passwords are those inside of URLs, of which a list has several. A password may hold @.
var passwords = regexp.MustCompile(`(://[^:/@\s]*):[^\s,]*@`)

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
	for _, set := range s.settings {
		value := set.valueText
		if set.flag.Target.Type() == reflect.TypeFor[Secret]() && value != "" {
			value = "***"
		}
		line(set.flag.Name, value, set.sourceKind)
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
				if !s.accounts.hasKey(a.Name, name) {
					source = "default"
				}
				line("accounts."+a.Name+"."+name, fmt.Sprint(field.Interface()), source)
			}
		}
	}
	return t.Flush()
}
