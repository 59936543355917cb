package tfe2e

import (
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

func TestGeneratedFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(t, "cargomedia/app", "1.0.0", "production")
	reader := w.Client(t, w.reader)
	file := func(t *testing.T) string {
		t.Helper()
		r, err := reader.Resolve(t.Context(), "cargomedia/app", "production", registry.Question{Type: "aws.ami"})
		if err != nil {
			t.Fatal(err)
		}
		content, err := emit.File(r, emit.Options{Address: w.URL, Style: emit.StyleData})
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	first := file(t)
	w.publish(t, "cargomedia/app", "1.1.0", "production")
	second := file(t)
	images := tftest.Images{}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		for region, id := range amis(version) {
			images[region] = append(images[region], tftest.Image{ID: id})
		}
	}

	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		m := c.Workspace(t, 6)
		m.Setenv("AWS_REGION", "eu-west-1")
		m.SetImages(images)
		m.Write("app.tf", first)
		m.Write("main.tf", instance("app", `local.app.ami_ids["eu-west-1"]`, false)+instance("guarded", `local.app.ami_ids["eu-west-1"]`, true))
		m.MustRun("fmt", "-check", "-diff")
		m.MustRun("init")
		m.MustRun("apply", "-auto-approve")
		t.Run("changes nothing while it is not written anew", func(t *testing.T) {
			says(t, m.MustRun("plan"), "No changes.")
		})
		t.Run("replaces when it is", func(t *testing.T) {
			m.Write("app.tf", second)
			p := planOf(t, m)
			p.want(t, "aws_instance.app", "delete create")
			p.want(t, "aws_instance.guarded", "no-op")
			says(t, p.Text, `~ ami = "ami-0e100" -> "ami-0e110" # forces replacement`)
		})
	})
}
