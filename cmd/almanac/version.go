package main

import "github.com/cargomedia/packer-plugin-almanac/version"

// printVersion is what --version does.
func (a *app) printVersion() error {
	v := struct {
		Version string `json:"version"`
		Commit  string `json:"commit,omitempty"`
	}{version.String(), version.Commit}
	return a.show(v, func() {
		a.printf("almanac %s", v.Version)
		if v.Commit != "" {
			a.printf(" (%s)", v.Commit)
		}
		a.printf("\n")
	})
}
