package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// A versionCommand is "sneck version".
type versionCommand struct{ jsonFlag }

// Run prints what the program was built from.
func (c *versionCommand) Run(con *console) error {
	version, revision := "(devel)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value + revision
			case s.Key == "vcs.modified" && s.Value == "true":
				revision += "+changes"
			}
		}
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	line := fmt.Sprintf("sneck %s %s %s", version, runtime.Version(), platform)
	if revision != "" {
		line += " " + revision
	}
	return writeDone(con, c.JSON, map[string]string{
		"version": version, "revision": revision, "go": runtime.Version(), "platform": platform,
	}, line)
}
