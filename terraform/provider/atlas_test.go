package provider_test

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// text2015 is a configuration of 2015, as it was written then, with an output in the place of an instance.
const text2015 = `
resource "atlas_artifact" "app" {
  name = "cargomedia/my-ami-artifact"
  type = "aws.ami"
}
output "ami" { value = "${atlas_artifact.app.metadata_full.region-eu-west-1}" }
`

func TestConfigurationOf2015RunsAsItIs(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		t.Setenv("ATLAS_ADDRESS", w.URL)
		t.Setenv("ATLAS_TOKEN", w.AdminToken)
		w.publish("cargomedia/my-ami-artifact", ami("1.0.0", "us-east-1", "eu-west-1"))
		first, second := amiID("1.0.0", "eu-west-1"), amiID("2.0.0", "eu-west-1")
		w.run(
			resource.TestStep{
				Config:           text2015,
				ConfigPlanChecks: planned(map[string]knownvalue.Check{"ami": text(first)}),
				ConfigStateChecks: attributes("atlas_artifact.app", map[string]knownvalue.Check{
					"id":       text("eu-west-1:" + first + ",us-east-1:" + amiID("1.0.0", "us-east-1")),
					"slug":     text("cargomedia/my-ami-artifact/amazon.image/1"),
					"file_url": text(""), "version_real": text("1"),
					"metadata_full": texts("os", "ubuntu", "ami_id", first+","+amiID("1.0.0", "us-east-1"), "region", "eu-west-1,us-east-1",
						"region-eu-west-1", first, "region-us-east-1", amiID("1.0.0", "us-east-1")),
				}),
			},
			resource.TestStep{Config: text2015, PlanOnly: true},
			resource.TestStep{
				PreConfig:        func() { w.publish("cargomedia/my-ami-artifact", ami("2.0.0", "eu-west-1")) },
				Config:           text2015,
				ConfigPlanChecks: planned(map[string]knownvalue.Check{"ami": text(second)}),
			},
			resource.TestStep{
				// The artifact may be gone: the destroy at the end of the test is not held up.
				PreConfig: func() {
					if err := w.admin.DeleteArtifact(t.Context(), "cargomedia/my-ami-artifact"); err != nil {
						t.Error(err)
					}
				},
				Config: text2015, PlanOnly: true, ExpectError: says("Artifact cargomedia/my-ami-artifact does not exist"),
			},
		)
	})
}

func TestAtlasArtifactAsResourceAndAsDataSourceAnswersTheQuestionsOf2015(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		numbered := func(version, number string) registry.Publication {
			pub := ami(version, "eu-west-1")
			pub.Build.Metadata = registry.Metadata{"build_number": number, "arch": "amd64", "created at": "noon"}
			return pub
		}
		w.publish("cargomedia/app", numbered("1.0.0", "41"))
		w.publish("cargomedia/app", numbered("1.1.0", "42"))
		other := ami("1.2.0", "us-east-1")
		w.publish("cargomedia/app", other)
		const arguments = `
  count = length(local.questions)
  name  = "cargomedia/app"
  type  = "amazon.ami"

  version       = lookup(local.questions[count.index], "version", null)
  build         = lookup(local.questions[count.index], "build", null)
  metadata      = lookup(local.questions[count.index], "metadata", null)
  metadata_keys = lookup(local.questions[count.index], "metadata_keys", null)
`
		const config = `
locals {
  questions = [
    {}, { version = "latest" }, { version = "any" }, { build = "latest" }, { version = 2 }, { build = 41 },
    { version = "any", metadata = { region = "eu-west-1" } }, { build = "any", metadata_keys = ["created at"] },
  ]
}
data "atlas_artifact" "app" {` + arguments + `}
resource "atlas_artifact" "app" {` + arguments + `}
output "numbers" { value = join(" ", data.atlas_artifact.app[*].version_real) }
output "same" { value = data.atlas_artifact.app[*].id == atlas_artifact.app[*].id && data.atlas_artifact.app[*].slug == atlas_artifact.app[*].slug }
`
		w.run(resource.TestStep{Config: config, ConfigPlanChecks: planned(map[string]knownvalue.Check{
			"numbers": text("3 3 3 3 2 1 2 2"), "same": knownvalue.Bool(true),
		})})
	})
}

func TestAtlasArtifactWithoutOneMatch(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		both := ami("1.0.0", "eu-west-1")
		both.Expect = []string{"amazon-ebs.app", "amazon-ebs.arm"}
		w.publish("cargomedia/app", both)
		both.Build.Component, both.Build.Images = "amazon-ebs.arm", []registry.Image{{Provider: "aws", Region: "eu-west-1", ID: "ami-0a1"}}
		w.publish("cargomedia/app", both)
		ask := func(kind, question string) string {
			return kind + ` "atlas_artifact" "app" {
			name = "cargomedia/app"
			` + question + "\n}"
		}
		w.run(
			refuse(ask("data", `type = "aws.ami"`), "Got 2 results for 'cargomedia/app', only one is allowed", "has these builds that fit: amazon-ebs.app, amazon-ebs.arm."),
			refuse(ask("resource", `type = "vagrant.box"`), "No matching artifact for 'cargomedia/app'"),
			refuse(ask("resource", "type = \"aws.ami\"\n version = 7"), "You asked for cargomedia/app, type aws.ami, version 7. Its newest versions of type aws.ami are 1.0.0 (number 1)."),
			refuse(ask("data", "type = \"aws.ami\"\n version = \"~> 1\""), `"~> 1" must be a number`),
			refuse(ask("resource", "type = \"aws.ami\"\n metadata_keys = [\"created-at\"]"), "No matching artifact", "If created-at is from metadata_full"),
			refuse(ask("resource", "type = \"aws.ami\"\n metadata_keys = [null]"), "metadata_keys = [null]", "contains a null value"),
			refuse(ask("data", "type = \"aws.ami\"\n metadata = { os = null }"), "metadata = { os = null }", "contains a null value"),
			refuse(ask("data", "type = \"aws.ami\"\n build = \"green\""), `"green" must be a number, latest or any`),
		)
	})
}

func TestAtlasArtifactHasTheAddressOfItsFile(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		file := w.upload("cargomedia/web", "web.tar.gz", "content")
		w.publish("cargomedia/web", registry.Publication{Fingerprint: "1", Version: "1.0.0", Build: registry.Build{
			Component: "file.web", Type: registry.Archive, Files: []registry.File{file},
		}})
		w.run(resource.TestStep{
			Config: `resource "atlas_artifact" "web" {
			name = "cargomedia/web"
			type = "application.archive"
		}`,
			ConfigStateChecks: attributes("atlas_artifact.web", map[string]knownvalue.Check{
				"file_url": text(w.URL + "/v1/blobs/" + string(file.SHA256)), "id": text("file.web"),
			}),
		})
	})
}

func TestAtlasArtifactWithUnknownInputsIsLookedUpDuringApply(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		w.app("1.0.0", "eu-west-1")
		w.run(resource.TestStep{
			Config: `
			resource "terraform_data" "name" { input = "cargomedia/app" }
			resource "atlas_artifact" "app" {
				name = terraform_data.name.output
				type = "aws.ami"
			}
			output "ami" { value = atlas_artifact.app.metadata_full.region-eu-west-1 }`,
			ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectUnknownOutputValue("ami")}},
			ConfigStateChecks: attributes("atlas_artifact.app", map[string]knownvalue.Check{"version_real": text("1")}),
		})
	})
}

func TestPlanOfAnAtlasArtifactIsNotCarriedOutWithAnotherVersion(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		w.app("1.0.0", "eu-west-1")
		const config = `resource "atlas_artifact" "app" {
		name = "cargomedia/app"
		type = "aws.ami"
	}`
		w.run(
			resource.TestStep{
				Config: config,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					publishes{func() { w.app("1.1.0", "eu-west-1") }},
				}},
				ExpectError: says("inconsistent final plan"),
			},
			resource.TestStep{
				Config:            config,
				ConfigStateChecks: attributes("atlas_artifact.app", map[string]knownvalue.Check{"version_real": text("2")}),
			},
		)
	})
}

// publishes is a check that lets something happen between the plan and the apply.
type publishes struct{ do func() }

// CheckPlan does it.
func (p publishes) CheckPlan(context.Context, plancheck.CheckPlanRequest, *plancheck.CheckPlanResponse) {
	p.do()
}
