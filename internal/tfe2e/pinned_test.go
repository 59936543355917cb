package tfe2e

import (
	"fmt"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
)

// way is one to read an artifact. text declares it under a label for a ref, and ami is the image in eu-west-1.
type way struct {
	name string
	text func(label, ref string) string
	ami  func(label string) string
	// pinned and floating are refs of this way.
	pinned, floating string
	// address begins the address of what reads, where that is a resource.
	address string
}

func (w *world) ways(artifact string) []way {
	almanac := func(argument string) func(label, ref string) string {
		return func(label, ref string) string {
			return fmt.Sprintf("data \"almanac_artifact\" %q {\n  name = %q\n  type = \"aws.ami\"\n  %s = %q\n}\n", label, artifact, argument, ref)
		}
	}
	atlas := func(kind string) func(label, ref string) string {
		return func(label, ref string) string {
			return fmt.Sprintf("%s \"atlas_artifact\" %q {\n  provider = almanac\n  name = %q\n  type = \"aws.ami\"\n  version = %q\n}\n", kind, label, artifact, ref)
		}
	}
	expression := func(format string) func(label string) string {
		return func(label string) string { return fmt.Sprintf(format, label) }
	}
	state := func(label, ref string) string {
		return remoteState(label, w.URL+"/tf/state/"+artifact+"/aws.ami/"+ref)
	}
	stateAMI := expression(`data.terraform_remote_state.%s.outputs.ami_ids["eu-west-1"]`)
	dataAMI := expression(`data.almanac_artifact.%s.ami_ids["eu-west-1"]`)
	return []way{
		{name: "state", text: state, ami: stateAMI, pinned: "1.0.0", floating: "latest"},
		{name: "state_number", text: state, ami: stateAMI, pinned: "1", floating: "~>%201.0"},
		{name: "state_channel", text: state, ami: stateAMI, pinned: "1.0.0", floating: "channel/production"},
		{name: "version", text: almanac("version"), ami: dataAMI, pinned: "1.0.0", floating: "latest"},
		{name: "ref", text: almanac("ref"), ami: dataAMI, pinned: "1", floating: "~> 1.0"},
		{name: "channel", text: almanac("channel"), ami: dataAMI, pinned: "frozen", floating: "production"},
		{name: "atlas_data", text: atlas("data"), ami: expression("data.atlas_artifact.%s.metadata_full.region-eu-west-1"), pinned: "1", floating: "latest"},
		{name: "atlas_resource", text: atlas("resource"), ami: expression("atlas_artifact.%s.metadata_full.region-eu-west-1"), pinned: "1", floating: "any", address: "atlas_artifact."},
	}
}

// Of each way there are three machines: one with a ref that stays, one with a ref that moves, and one that ignores it.
func TestANewVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		artifact := "cargomedia/app-" + c.Name
		w.publish(t, artifact, "1.0.0", "production", "frozen")
		ways := w.ways(artifact)
		m := w.withProvider(t, c, 6, "almanac")
		m.Setenv("TF_HTTP_USERNAME", "terraform")
		m.Setenv("TF_HTTP_PASSWORD", w.reader)
		for _, way := range ways {
			pinned, floating := way.name+"_pinned", way.name+"_floating"
			m.Write(way.name+".tf", way.text(pinned, way.pinned)+way.text(floating, way.floating)+
				instance(pinned, way.ami(pinned), false)+instance(floating, way.ami(floating), false)+instance(way.name+"_guarded", way.ami(floating), true))
		}
		m.MustRun("init")
		m.MustRun("apply", "-auto-approve")
		says(t, m.MustRun("plan"), "No changes.")

		w.publish(t, artifact, "1.1.0", "production")
		p := planOf(t, m)
		says(t, p.Text, `~ ami = "ami-0e100" -> "ami-0e110" # forces replacement`)
		for _, way := range ways {
			t.Run(way.name+" pinned changes nothing", func(t *testing.T) {
				p.want(t, "aws_instance."+way.name+"_pinned", "no-op")
				if way.address != "" {
					p.want(t, way.address+way.name+"_pinned", "no-op")
				}
			})
			t.Run(way.name+" floating is replaced", func(t *testing.T) {
				p.want(t, "aws_instance."+way.name+"_floating", "delete create")
			})
			t.Run(way.name+" floating behind ignore_changes changes nothing", func(t *testing.T) {
				p.want(t, "aws_instance."+way.name+"_guarded", "no-op")
			})
		}
		t.Run("what was planned is applied", func(t *testing.T) {
			w.publish(t, artifact, "1.2.0", "production")
			m.MustRun("apply", "plan.bin")
			images := map[string]int{}
			for _, machine := range m.Instances()["eu-west-1"] {
				images[machine.AMI]++
			}
			if images["ami-0e100"] != 2*len(ways) || images["ami-0e110"] != len(ways) {
				t.Errorf("the machines run %v", images)
			}
		})
	})
}

func TestANewVersionOfAModule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	door := w.TLS(t)
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		artifact := "cargomedia/app-" + c.Name
		w.publish(t, artifact, "1.0.0")
		m := c.Workspace(t, 6)
		m.TrustCA(door.CA)
		m.Configure(func(c *tftest.Config) { c.Tokens = map[string]string{door.Host: w.reader} })
		m.Setenv("AWS_REGION", "eu-west-1")
		call := func(version string) {
			m.Write("main.tf", moduleCall(door, artifact, version, `region = "eu-west-1"`)+
				instance("app", "module.app.ami_id", false)+instance("guarded", "module.app.ami_id", true))
			m.MustRun("init")
		}
		call("1.0.0")
		m.MustRun("apply", "-auto-approve")

		t.Run("changes nothing under an exact version, also by init -upgrade", func(t *testing.T) {
			w.publish(t, artifact, "1.1.0")
			m.MustRun("init", "-upgrade")
			says(t, m.MustRun("plan"), "No changes.")
		})
		t.Run("replaces when the version in the code is another", func(t *testing.T) {
			call("1.1.0")
			p := planOf(t, m)
			p.want(t, "aws_instance.app", "delete create")
			p.want(t, "aws_instance.guarded", "no-op")
			says(t, p.Text, `~ ami = "ami-0e100" -> "ami-0e110" # forces replacement`)
		})
	})
}

// The recipe of docs/terraform.md for machines with state.
func TestMachinesWithState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		artifact := "cargomedia/db-" + c.Name
		w.publish(t, artifact, "1.0.0", "production")
		m := c.Workspace(t, 6)
		m.Setenv("AWS_REGION", "eu-west-1")
		m.Setenv("TF_HTTP_USERNAME", "terraform")
		m.Setenv("TF_HTTP_PASSWORD", w.reader)
		m.Write("main.tf", remoteState("db", w.URL+"/tf/state/"+artifact+"/aws.ami/production")+`
variable "generation" {
  default = 1
}
resource "terraform_data" "generation" {
  input = var.generation
}
resource "aws_instance" "db" {
  ami = data.terraform_remote_state.db.outputs.ami_ids["eu-west-1"]
  lifecycle {
    ignore_changes       = [ami]
    replace_triggered_by = [terraform_data.generation]
  }
}
`)
		m.MustRun("init")
		m.MustRun("apply", "-auto-approve")
		w.publish(t, artifact, "1.1.0", "production")

		t.Run("stay when there is a new version", func(t *testing.T) {
			says(t, m.MustRun("plan"), "No changes.")
		})
		t.Run("move to it when their generation does", func(t *testing.T) {
			m.Setenv("TF_VAR_generation", "2")
			p := planOf(t, m)
			p.want(t, "aws_instance.db", "delete create")
			says(t, p.Text, `"ami-0e100" -> "ami-0e110"`)
		})
	})
}

// The trap that the documentation of the data source warns of.
func TestDependsOnHidesTheImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(t, "cargomedia/app", "1.0.0")
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		m := w.withProvider(t, c, 6, "almanac")
		app := func(generation int) {
			m.Write("main.tf", fmt.Sprintf(`resource "terraform_data" "before" {
  input = %d
}
data "almanac_artifact" "app" {
  name       = "cargomedia/app"
  type       = "aws.ami"
  version    = "1.0.0"
  depends_on = [terraform_data.before]
}
`, generation)+instance("app", `data.almanac_artifact.app.ami_ids["eu-west-1"]`, false))
		}
		app(1)
		m.MustRun("init")
		m.MustRun("apply", "-auto-approve")
		says(t, m.MustRun("plan"), "No changes.")
		app(2)
		p := planOf(t, m)
		says(t, p.Text, "data.almanac_artifact.app will be read during apply")
		p.want(t, "aws_instance.app", "delete create")
	})
}
