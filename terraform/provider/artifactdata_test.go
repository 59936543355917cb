package provider_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// planned expects outputs to be known in the plan.
func planned(outputs map[string]knownvalue.Check) resource.ConfigPlanChecks {
	var checks resource.ConfigPlanChecks
	for name, value := range outputs {
		checks.PreApply = append(checks.PreApply, plancheck.ExpectKnownOutputValue(name, value))
	}
	return checks
}

func text(s string) knownvalue.Check { return knownvalue.StringExact(s) }

func texts(pairs ...string) knownvalue.Check {
	m := map[string]knownvalue.Check{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = text(pairs[i+1])
	}
	return knownvalue.MapExact(m)
}

func TestArtifactIsKnownInThePlan(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		w.app("1.0.0", "us-east-1", "eu-west-1")
		w.app("1.1.0", "eu-west-1")
		w.channel("cargomedia/app", "production", "1")
		config := look(`version = "1.0.0"`, `region = "us-east-1"`, `require_regions = ["eu-west-1"]`, `metadata = { os = "ubuntu" }`, `architecture = "x86_64"`) + `
output "ami_id" { value = data.almanac_artifact.app.ami_id }
output "ami_ids" { value = data.almanac_artifact.app.ami_ids }
output "regions" { value = data.almanac_artifact.app.regions }
output "key" { value = data.almanac_artifact.app.metadata_full.region-eu-west-1 }
output "image" { value = data.almanac_artifact.app.images[1].id }
output "for_each" { value = [for region, id in data.almanac_artifact.app.ami_ids : region] }
`
		w.run(resource.TestStep{
			Config: config,
			ConfigPlanChecks: planned(map[string]knownvalue.Check{
				"ami_id":   text(amiID("1.0.0", "us-east-1")),
				"ami_ids":  texts("eu-west-1", amiID("1.0.0", "eu-west-1"), "us-east-1", amiID("1.0.0", "us-east-1")),
				"regions":  knownvalue.ListExact([]knownvalue.Check{text("eu-west-1"), text("us-east-1")}),
				"key":      text(amiID("1.0.0", "eu-west-1")),
				"image":    text(amiID("1.0.0", "us-east-1")),
				"for_each": knownvalue.TupleExact([]knownvalue.Check{text("eu-west-1"), text("us-east-1")}),
			}),
			ConfigStateChecks: attributes("data.almanac_artifact.app", map[string]knownvalue.Check{
				"id": text("cargomedia/app/1/amazon-ebs.app"), "slug": text("cargomedia/app/amazon.image/1"), "version": text("1.0.0"),
				"number": knownvalue.Int64Exact(1), "fingerprint": text("run-1.0.0"), "component": text("amazon-ebs.app"), "architecture": text("x86_64"),
				"files": knownvalue.ListSizeExact(0), "created_at": knownvalue.NotNull(), "completed_at": knownvalue.NotNull(),
				"revoked": knownvalue.Bool(false), "revoked_at": knownvalue.Null(), "revocation_reason": knownvalue.Null(),
			}),
		}, resource.TestStep{Config: config, PlanOnly: true})
	})
}

// attributes expects values in the state.
func attributes(address string, values map[string]knownvalue.Check) []statecheck.StateCheck {
	var checks []statecheck.StateCheck
	for name, value := range values {
		checks = append(checks, statecheck.ExpectKnownValue(address, tfjsonpath.New(name), value))
	}
	return checks
}

func TestArtifactIsFoundInEveryWay(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		w.app("1.0.0", "eu-west-1")
		w.app("1.1.0", "eu-west-1", "us-east-1")
		w.channel("cargomedia/app", "production", "1")
		const config = `
locals {
  questions = [
    { version = "1" }, { version = "fingerprint:run-1.1.0" }, { version = "latest" }, { channel = "production" }, { channel = "latest" },
    { ref = "~> 1.0" }, { ref = "production" },
  ]
}
data "almanac_artifact" "app" {
  count   = length(local.questions)
  name    = "cargomedia/app"
  type    = "amazon.image"
  version = lookup(local.questions[count.index], "version", null)
  channel = lookup(local.questions[count.index], "channel", null)
  ref     = lookup(local.questions[count.index], "ref", null)
}
output "versions" { value = join(" ", data.almanac_artifact.app[*].version) }
output "only" { value = [data.almanac_artifact.app[0].ami_id, data.almanac_artifact.app[1].ami_id] }
`
		w.run(resource.TestStep{Config: config, ConfigPlanChecks: planned(map[string]knownvalue.Check{
			"versions": text("1.0.0 1.1.0 1.1.0 1.0.0 1.1.0 1.1.0 1.0.0"),
			"only":     knownvalue.TupleExact([]knownvalue.Check{text(amiID("1.0.0", "eu-west-1")), knownvalue.Null()}),
		})})
	})
}

func TestArtifactOfOtherTypesAndOfSeveralBuilds(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		file := w.upload("cargomedia/web", "web.tar.gz", "content")
		w.publish("cargomedia/web", registry.Publication{Fingerprint: "1", Version: "1.0.0", Build: registry.Build{
			Component: "file.web", Type: registry.Archive, Files: []registry.File{file},
		}})
		for _, p := range []string{"virtualbox", "libvirt"} {
			w.publish("cargomedia/box", registry.Publication{Fingerprint: "1", Version: "1.0.0", Expect: []string{"libvirt", "virtualbox"}, Build: registry.Build{
				Component: p, Type: registry.VagrantBox, Provider: p, Files: []registry.File{w.upload("cargomedia/box", p+".box", p)},
			}})
		}
		both := ami("1.0.0", "eu-west-1")
		both.Expect = []string{"amazon-ebs.app", "amazon-ebs.us"}
		w.publish("cargomedia/app", both)
		both.Build.Component, both.Build.Architecture = "amazon-ebs.us", "arm64"
		both.Build.Images = []registry.Image{
			{Provider: "aws", Region: "us-east-1", ID: "ami-0a1"}, {Provider: "aws", Region: "us-west-2", ID: "ami-0a2"},
		}
		w.publish("cargomedia/app", both)
		w.run(
			resource.TestStep{
				Config: `data "almanac_artifact" "app" {
				name    = "cargomedia/web"
				type    = "archive"
				version = "1.0.0"
			}`,
				ConfigStateChecks: attributes("data.almanac_artifact.app", map[string]knownvalue.Check{
					"ami_ids": knownvalue.MapSizeExact(0), "ami_id": knownvalue.Null(), "images": knownvalue.ListSizeExact(0), "architecture": knownvalue.Null(),
					"files": knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectExact(map[string]knownvalue.Check{
						"name": text("web.tar.gz"), "size": knownvalue.Int64Exact(7), "sha256": text(string(file.SHA256)),
					})}),
				}),
			},
			resource.TestStep{
				Config: `data "almanac_artifact" "app" {
				name         = "cargomedia/box"
				type         = "vagrant.box"
				channel      = "latest"
				box_provider = "libvirt"
			}`,
				ConfigStateChecks: attributes("data.almanac_artifact.app", map[string]knownvalue.Check{"component": text("libvirt"), "box_provider": text("libvirt")}),
			},
			refuse(`data "almanac_artifact" "app" {
				name    = "cargomedia/box"
				type    = "vagrant.box"
				version = "1.0.0"
			}`, "More than one build fits", "The argument for the provider of a box is box_provider."),
			refuse(look(`version = "1.0.0"`), "More than one build fits", "component amazon-ebs.us, type amazon.image, architecture arm64"),
			resource.TestStep{Config: look(`version = "1.0.0"`, `region = "us-west-2"`), ConfigStateChecks: attributes("data.almanac_artifact.app", map[string]knownvalue.Check{
				"component": text("amazon-ebs.us"), "ami_id": text("ami-0a2"), "images": knownvalue.ListSizeExact(2),
			})},
			resource.TestStep{Config: look(`version = "1.0.0"`, `component = "amazon-ebs.app"`), ConfigStateChecks: attributes("data.almanac_artifact.app", map[string]knownvalue.Check{
				"ami_id": text(amiID("1.0.0", "eu-west-1")),
			})},
			refuse(look(`version = "1.0.0"`, `region = "ap-south-1"`), `has no image in region "ap-south-1"; it has: eu-west-1, us-east-1, us-west-2`),
		)
	})
}

func TestArtifactThatIsNotThereSaysWhatIs(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		w.app("1.0.0", "us-east-1", "eu-west-1")
		w.app("1.1.0", "eu-west-1")
		w.channel("cargomedia/app", "production", "1")
		canary := ami("1.1.1", "eu-west-1")
		canary.Fingerprint = "canary"
		w.publish("cargomedia/app", canary)
		w.revoke("cargomedia/app", "3", "only a canary")
		waiting := ami("1.2.0", "eu-west-1")
		waiting.Expect = []string{"amazon-ebs.app", "amazon-ebs.other"}
		w.publish("cargomedia/app", waiting)
		w.run(
			refuse(`data "almanac_artifact" "app" {
			name    = "cargomedia/wep"
			type    = "aws.ami"
			version = "1.0.0"
		}`, "Not found in the registry (404)", "Artifact cargomedia/wep does not exist", "In the namespace cargomedia there is cargomedia/app. `almanac artifacts` lists all"),
			refuse(look(`version = "1.0.1"`), "cargomedia/app has no version 1.0.1; the latest is 1.1.0 (number 2).", `You asked for version "1.0.1" of cargomedia/app, type aws.ami. Its newest versions of type aws.ami are 1.1.0 (number 2), 1.0.0 (number 1). `+
				"Its channels are production -> 1.0.0 (number 1). `almanac versions cargomedia/app` lists all versions."),
			refuse(look(`channel = "staging"`), `has no channel or fingerprint "staging"; its channels are: production`),
			refuse(look(`channel = "canary"`), `cargomedia/app has no channel "canary". It has a version with this fingerprint, which is version = "fingerprint:canary".`),
			refuse(look(`version = "1.2.0"`), "Version 1.2.0 (number 4) of cargomedia/app is open: it still expects amazon-ebs.other"),
			refuse(look(`version = "1.1.0"`, `region = "us-east-1"`), `cargomedia/app 1.1.0 (number 2) has no image in region "us-east-1"; it has: eu-west-1.`),
			refuse(look(`version = "1.1.0"`, `require_regions = ["us-east-1", "ap-south-1", "eu-west-1"]`),
				"cargomedia/app 1.1.0 (number 2) has no image in ap-south-1, us-east-1; it has: eu-west-1. Copy the image there"),
			refuse(look(`version = "1.1.0"`, `metadata = { os = "debian" }`), "has no build with type aws.ami, metadata os=debian; it has: component amazon-ebs.app"),
			refuse(look(`version = "1.1.0"`, `metadata = { region-eu-west-1 = "ami-1" }`), "If region-eu-west-1 is from metadata_full"),
		)
	})
}

func TestArtifactWithABadQuestionIsRefusedBeforeItIsAsked(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.run(
			refuse(look(), "One of version, channel and ref must be given, and none is."),
			refuse(look(`version = "1.0.0"`, `channel = "production"`), "Exactly one of version, channel and ref must be given; given are version and channel."),
			refuse(look(`channel = "production"`, `ref = "latest"`), "given are channel and ref."),
			refuse(look(`version = "~> 1.0"`), `"~> 1.0" can mean another version tomorrow; write a number, an exact version such as 1.4.0, or fingerprint:F. A channel belongs into channel`),
			refuse(look(`channel = "1.0.0"`), `Channel name "1.0.0" must start with a letter`),
			refuse(look(`version = "1.0.0"`, `metadata = { os = null }`), "metadata = { os = null }", "contains a null value"),
			refuse(look(`version = "1.0.0"`, `require_regions = ["eu-west-1", null]`), `require_regions = ["eu-west-1", null]`, "contains a null value"),
			refuse(look(`version = "1.0.0"`, `on_revoked = "panic"`), `value must be one of: ["warn" "error" "ignore"]`),
			refuse(`data "almanac_artifact" "app" {
			name    = "app"
			type    = "ami"
			version = "1.0.0"
		}`, `Artifact name "app" must be namespace/name`),
			refuse(`data "almanac_artifact" "app" {
			name    = "cargomedia/app"
			type    = "ami"
			version = "1.0.0"
		}`, `Type "ami" is unknown; use amazon.image (or its alias aws.ami)`),
		)
	})
}

func TestRevokedArtifact(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		w.app("1.0.0", "eu-west-1")
		w.revoke("cargomedia/app", "1", "openssl is too old")
		known := attributes("data.almanac_artifact.app", map[string]knownvalue.Check{
			"revoked": knownvalue.Bool(true), "revoked_at": knownvalue.NotNull(), "revocation_reason": text("openssl is too old"),
			"ami_id": text(amiID("1.0.0", "eu-west-1")),
		})
		w.run(
			resource.TestStep{Config: look(`version = "1.0.0"`), ConfigStateChecks: known},
			resource.TestStep{Config: look(`version = "1.0.0"`, `on_revoked = "ignore"`), ConfigStateChecks: known},
			refuse(look(`version = "1.0.0"`, `on_revoked = "error"`), "cargomedia/app 1.0.0 is revoked", "Version 1.0.0 (number 1) was revoked by", "openssl is too old"),
		)
	})
}
