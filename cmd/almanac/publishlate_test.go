package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// lying writes publish files of one run, with a component each that the version expects.
func lying(t *testing.T, dir, address string, run int, components ...string) {
	t.Helper()
	for i, component := range components {
		f := publishfile.File{Address: address, Artifact: "cargomedia/app", WrittenAt: time.Now(), Reason: "away"}
		f.Publication = registry.Publication{Fingerprint: fmt.Sprint("run-", run), Expect: components, Build: registry.Build{
			Component: component, Type: registry.AmazonImage, Images: []registry.Image{{Provider: "aws", Region: "eu-west-1", ID: fmt.Sprintf("ami-%d%d", run, i)}},
		}}
		if _, err := publishfile.Write(t.Context(), dir, f); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLatestThatGoesBackIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		before, since bool // another version is recorded then
		runs          int
		want          int
	}{
		"when another version was recorded since":       {since: true, runs: 1, want: 1},
		"for each version that does it":                 {since: true, runs: 2, want: 2},
		"but not when the other version is older":       {before: true, runs: 1},
		"but not because of what is sent with the file": {runs: 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := servertest.New(t)
			dir := t.TempDir()
			other := func(fingerprint string) {
				if code, _, stderr := command(t.Context(), here(s), "publish", "cargomedia/app", "--type", "aws.ami", "--image", "aws/eu-west-1/ami-0abc", "--fingerprint", fingerprint); code != exitOK {
					t.Fatal(stderr)
				}
			}
			if test.before {
				other("before")
			}
			for i := range test.runs {
				lying(t, dir, s.URL, i, "x.a", "x.b")
			}
			if test.since {
				other("since")
			}
			code, _, stderr := command(t.Context(), here(s), "publish", "--pending", dir)
			if got := strings.Count(stderr, "warning: latest of cargomedia/app is "); code != exitOK || got != test.want {
				t.Errorf("exit code %d, %d warnings, want %d: %s", code, got, test.want, stderr)
			}
		})
	}
}
