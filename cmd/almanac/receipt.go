package main

import (
	"strconv"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func (a *app) showReceipt(r registry.Receipt) {
	a.printf("%s %s has the build %s of type %s.\n", clean(string(r.Artifact)), clean(versionText(r.VersionID)), clean(r.Component), clean(string(r.Type)))
	a.showProgress(r)
	for _, waiting := range r.Waiting {
		a.printf("  %s\n", clean(waiting))
	}
	if len(r.Waiting) > 0 && r.Type == registry.AmazonImage {
		a.printf("Look again: almanac aws verify %s %s\n", clean(string(r.Artifact)), strconv.FormatInt(r.Number, 10))
	}
	for _, c := range r.Channels {
		if c.Points {
			a.printf("Channel %s points to it.\n", clean(c.Name))
		} else {
			a.printf("Channel %s does not point to it: %s\n", clean(c.Name), clean(c.Note))
		}
	}
	a.printf("Fingerprint: %s\n", clean(r.Fingerprint))
}

// showProgress says what keeps a version from being offered. A list of images follows it if the build
// has some that wait.
func (a *app) showProgress(r registry.Receipt) {
	missing := clean(strings.Join(r.Missing, ", "))
	waiting := len(r.Waiting) > 0
	switch {
	case r.Status == registry.StatusFailed && waiting:
		a.printf("It failed and is not offered, because of these images:\n")
	case r.Status == registry.StatusFailed:
		a.printf("It failed and is not offered: an image of another build cannot be used.\n")
	case r.Status == registry.StatusOpen && missing != "" && waiting:
		a.printf("It is open until these are published, too: %s, and until these images are available:\n", missing)
	case r.Status == registry.StatusOpen && missing != "":
		a.printf("It is open until these are published, too: %s\n", missing)
	case r.Status == registry.StatusOpen && waiting:
		a.printf("It is open until these images are available:\n")
	case r.Status == registry.StatusOpen:
		a.printf("It is open until it is released, or the images of its other builds are available.\n")
	case waiting:
		a.printf("It is offered, but for these images:\n")
	}
}
