package main

import "github.com/cargomedia/packer-plugin-almanac/version"

// versionLine is what --version prints.
func versionLine() string {
	line := "almanac " + version.String()
	if version.Commit != "" {
		line += " (" + version.Commit + ")"
	}
	return line
}
