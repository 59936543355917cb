package provider_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
)

func TestListsAreKnownInThePlan(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		w.app("1.0.0", "eu-west-1")
		w.app("1.1.0", "eu-west-1")
		w.app("1.2.0", "eu-west-1")
		w.revoke("cargomedia/app", "3", "openssl is too old")
		w.channel("cargomedia/app", "production", "1")
		w.publish("cargomedia/web", ami("0.1.0", "eu-west-1"))
		w.publish("other/app", ami("0.1.0", "eu-west-1"))
		waiting := ami("0.2.0", "eu-west-1")
		waiting.Expect = []string{"amazon-ebs.app", "amazon-ebs.other"}
		w.publish("other/app", waiting)
		config := `
data "almanac_artifacts" "all" {}
data "almanac_artifacts" "some" {
  namespace = "cargomedia"
  type      = "aws.ami"
  q         = "app"
}
data "almanac_artifacts" "first" { limit = 2 }
data "almanac_versions" "all" { name = "cargomedia/app" }
data "almanac_versions" "offered" {
  name    = "cargomedia/app"
  offered = true
}
data "almanac_versions" "open" {
  name   = "other/app"
  status = "open"
  type   = "amazon.image"
}
output "all" { value = data.almanac_artifacts.all.names }
output "some" { value = one(data.almanac_artifacts.some.artifacts) }
output "first" { value = data.almanac_artifacts.first.names }
output "truncated" { value = [data.almanac_artifacts.first.truncated, data.almanac_artifacts.all.truncated] }
output "versions" { value = data.almanac_versions.all.versions[*].version }
output "newest" { value = data.almanac_versions.all.versions[0] }
output "offered" { value = data.almanac_versions.offered.versions[*].number }
output "open" { value = data.almanac_versions.open.versions[*].status }
`
		list := func(values ...string) knownvalue.Check {
			var checks []knownvalue.Check
			for _, value := range values {
				checks = append(checks, text(value))
			}
			return knownvalue.ListExact(checks)
		}
		w.run(
			resource.TestStep{Config: config, ConfigPlanChecks: planned(map[string]knownvalue.Check{
				"all":       list("cargomedia/app", "cargomedia/web", "other/app"),
				"first":     list("cargomedia/app", "cargomedia/web"),
				"truncated": knownvalue.TupleExact([]knownvalue.Check{knownvalue.Bool(true), knownvalue.Bool(false)}),
				"some": knownvalue.ObjectPartial(map[string]knownvalue.Check{
					"name": text("cargomedia/app"), "latest_version": text("1.1.0"), "latest_number": knownvalue.Int64Exact(2),
					"channels": texts("production", "1.0.0"), "types": list("amazon.image"), "public": knownvalue.Bool(false), "summary": knownvalue.Null(),
				}),
				"versions": list("1.2.0", "1.1.0", "1.0.0"),
				"newest": knownvalue.ObjectPartial(map[string]knownvalue.Check{
					"number": knownvalue.Int64Exact(3), "status": text("complete"), "revoked": knownvalue.Bool(true), "revocation_reason": text("openssl is too old"),
					"components": list("amazon-ebs.app"), "fingerprint": text("run-1.2.0"), "completed_at": knownvalue.NotNull(),
				}),
				"offered": knownvalue.ListExact([]knownvalue.Check{knownvalue.Int64Exact(2), knownvalue.Int64Exact(1)}),
				"open":    list("open"),
			})},
			resource.TestStep{Config: config, PlanOnly: true},
			refuse(`data "almanac_versions" "app" { name = "cargomedia/wep" }`, "In the namespace cargomedia there is cargomedia/app, cargomedia/web."),
			refuse(`data "almanac_artifacts" "app" { namespace = "v1" }`, `Namespace "v1" must`),
			refuse(`data "almanac_artifacts" "app" { limit = 0 }`, "must be between 1 and 10000"),
		)
	})
}
