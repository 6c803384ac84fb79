package gateway

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// SettingsDoc writes every setting with its type, default and meaning, as text or as
// the Markdown table of docs/configuration.md.
func SettingsDoc(w io.Writer, markdown bool) error {
	app, err := kong.New(&Config{})
	if err != nil {
		panic(err) // the tags of Config are wrong
	}
	flags := map[string]*kong.Flag{}
	for _, f := range app.Model.Flags {
		flags[f.Name] = f
	}
	var b strings.Builder
	if markdown {
		b.WriteString("| variable | flag | type | default | |\n|---|---|---|---|---|\n")
	}
	group := ""
	for _, f := range app.Model.Flags {
		if len(f.Envs) == 0 || flags[f.Name+"-file"] != nil && f.Hidden {
			continue // a secret that a file can hold is one line with it
		}
		if f.Group != nil && f.Group.Key != group {
			group = f.Group.Key
			if markdown {
				fmt.Fprintf(&b, "| **%s** | | | | |\n", group)
			} else {
				fmt.Fprintf(&b, "\n%s\n", group)
			}
		}
		variables := f.Envs[:1]
		if secret := flags[strings.TrimSuffix(f.Name, "-file")]; secret != f && secret != nil {
			variables = []string{secret.Envs[0], f.Envs[0]}
		}
		name := "--" + f.Name
		if f.Hidden {
			name = ""
		}
		if markdown {
			writeMarkdown(&b, f, variables, name)
		} else {
			fmt.Fprintf(&b, "  %s\n      %s\n", strings.Join(append(variables, strings.Fields(name)...), ", "), f.Help)
			fmt.Fprintf(&b, "      %s", settingType(f))
			if f.Default != "" {
				fmt.Fprintf(&b, "; default %s", f.Default)
			}
			b.WriteString("\n")
		}
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func writeMarkdown(b *strings.Builder, f *kong.Flag, variables []string, name string) {
	code := func(s string) string {
		if s == "" {
			return "–"
		}
		return "`" + s + "`"
	}
	variable := code(variables[0])
	if len(variables) > 1 {
		variable += " or `…_FILE`"
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", variable, code(name), settingType(f), code(f.Default), strings.ReplaceAll(f.Help, "|", `\|`))
}

// settingType is what kind of value a setting takes.
func settingType(f *kong.Flag) string {
	switch f.Target.Interface().(type) {
	case bool:
		return "true or false"
	case int:
		return "number"
	case []string:
		return "list"
	case Duration:
		return "duration"
	case Rate:
		return "rate"
	case Count:
		return "number or off"
	case Percent:
		return "percentage or off"
	case Networks:
		return "networks"
	case ConfigFile:
		return "file"
	case Secret:
		return "secret"
	}
	switch {
	case f.Enum != "":
		return "choice"
	case strings.HasSuffix(f.Name, "-file") || f.PlaceHolder == "FILE":
		return "file"
	case f.PlaceHolder == "URL" || strings.HasSuffix(f.Name, "-base"):
		return "URL"
	}
	return "text"
}

// accountKeys are the keys of an account in the file: the tags of Account.
var accountKeys = func() []string {
	var keys []string
	for f := range reflect.TypeFor[Account]().Fields() {
		keys = append(keys, f.Tag.Get("yaml"))
	}
	return keys
}()
