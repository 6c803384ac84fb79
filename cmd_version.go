package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker for releases (-X main.version=v1.2.3). Otherwise
// the version is the one that the Go command stamped: that of the module for
// go install …@v1.2.3, one made from the commit for go build.
var version string

// printVersion is the command "posthouse version".
type printVersion struct{}

// Run prints one line, for bug reports.
func (printVersion) Run() error {
	fmt.Println(versionLine())
	return nil
}

func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return cmp.Or(version, "development")
	}
	stamped := info.Main.Version
	if stamped == "(devel)" {
		stamped = ""
	}
	return cmp.Or(version, stamped, "development")
}

// versionLine names the version, the commit if it is known, and the Go release.
func versionLine() string {
	line := "posthouse " + buildVersion()
	if info, ok := debug.ReadBuildInfo(); ok {
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if commit := settings["vcs.revision"]; commit != "" {
			line += " commit " + commit[:min(12, len(commit))]
			if settings["vcs.modified"] == "true" {
				line += " (modified)"
			}
		}
	}
	return line + " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
}
