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

// Help is shown by posthouse version --help.
func (printVersion) Help() string { return "Example: posthouse version" }

// Run prints one line, for bug reports.
func (printVersion) Run() error {
	info, _ := debug.ReadBuildInfo()
	fmt.Println(versionLine(info))
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

// protocols are the revisions that servers and clients of this build speak.
const protocols = "Engine.IO 4, 3; Socket.IO 5"

// versionLine names the version, the commit, the Go release and the protocols. info is
// nil or without a commit when the binary was built outside a repository.
func versionLine(info *debug.BuildInfo) string {
	commit, changed := "unknown", ""
	if info != nil {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && s.Value != "":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				changed = " (modified)"
			}
		}
	}
	return fmt.Sprintf("posthouse %s, commit %s%s, %s %s/%s, %s",
		buildVersion(), commit, changed, runtime.Version(), runtime.GOOS, runtime.GOARCH, protocols)
}
