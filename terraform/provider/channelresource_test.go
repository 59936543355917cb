package provider_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// production is resource "almanac_channel" "production" of cargomedia/app.
func production(version string, more ...string) string {
	config := fmt.Sprintf("resource \"almanac_channel\" \"production\" {\n  artifact = \"cargomedia/app\"\n  name = \"production\"\n  version = %q\n", version)
	for _, line := range more {
		config += "  " + line + "\n"
	}
	return config + "}\n"
}

func (w *world) pointsTo(name string, number int64) resource.TestCheckFunc {
	return func(*terraform.State) error {
		h, err := w.admin.Channel(w.t.Context(), "cargomedia/app", name)
		if err == nil && h.Number != number {
			err = fmt.Errorf("%s points to %d, not %d", name, h.Number, number)
		}
		return err
	}
}

func TestChannelIsMadeMovedAndRemoved(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		w.app("1.0.0", "eu-west-1")
		w.app("1.1.0", "eu-west-1")
		const address = "almanac_channel.production"
		w.run(
			resource.TestStep{
				Config: production("1.0.0", `reason = "first"`),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectKnownValue(address, tfjsonpath.New("number"), knownvalue.Int64Exact(1)),
				}},
				ConfigStateChecks: attributes(address, map[string]knownvalue.Check{
					"id": text("cargomedia/app/production"), "number": knownvalue.Int64Exact(1), "previous": knownvalue.Null(),
					"moved_at": knownvalue.NotNull(), "moved_by": knownvalue.NotNull(),
				}),
				Check: w.pointsTo("production", 1),
			},
			resource.TestStep{Config: production("1.0.0", `reason = "first"`), PlanOnly: true},
			resource.TestStep{
				Config: production("fingerprint:run-1.1.0", `reason = "second"`), Check: w.pointsTo("production", 2),
				ConfigStateChecks: attributes(address, map[string]knownvalue.Check{"number": knownvalue.Int64Exact(2), "previous": text("1.0.0")}),
			},
			resource.TestStep{
				// Another way to name the same version moves nothing.
				Config: production("2", `reason = "third"`),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectKnownValue(address, tfjsonpath.New("previous"), text("1.0.0")),
				}},
				ConfigStateChecks: attributes(address, map[string]knownvalue.Check{"previous": text("1.0.0")}),
			},
			resource.TestStep{ResourceName: address, ImportState: true, ImportStateId: "cargomedia/app/production",
				ImportStateVerify: true, ImportStateVerifyIgnore: []string{"version", "reason"}},
			resource.TestStep{ResourceName: address, ImportState: true, ImportStateId: "production", ExpectError: says(`"production" must be namespace/name/channel`)},
			resource.TestStep{Config: `# gone`, Check: func(*terraform.State) error {
				if _, err := w.admin.Channel(t.Context(), "cargomedia/app", "production"); registry.KindOf(err) != registry.NotFound {
					return fmt.Errorf("the channel is still there: %v", err)
				}
				return nil
			}},
		)
	})
}

func TestChannelThatOthersMoveIsMovedBack(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		w.app("1.0.0", "eu-west-1")
		w.app("1.1.0", "eu-west-1")
		const address = "almanac_channel.production"
		w.run(
			resource.TestStep{Config: production("1")},
			resource.TestStep{
				PreConfig: func() { w.channel("cargomedia/app", "production", "2") },
				Config:    production("1"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
				}},
				Check: w.pointsTo("production", 1),
			},
			resource.TestStep{
				PreConfig: func() {
					if err := w.admin.DeleteChannel(t.Context(), "cargomedia/app", "production"); err != nil {
						t.Error(err)
					}
				},
				Config: production("1"), Check: w.pointsTo("production", 1),
			},
		)
	})
}

func TestChannelThatSomebodyMovesBetweenPlanAndApplyStays(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		w.app("1.0.0", "eu-west-1")
		w.app("1.1.0", "eu-west-1")
		w.app("1.2.0", "eu-west-1")
		meanwhile := func(ref string) resource.ConfigPlanChecks {
			return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				publishes{func() { w.channel("cargomedia/app", "production", ref) }},
			}}
		}
		w.run(
			resource.TestStep{
				Config: production("1"), ConfigPlanChecks: meanwhile("1"),
				ExpectError: says("The channel exists already", "points to 1.0.0 (number 1) since", "Take it over with:"),
			},
			resource.TestStep{
				PreConfig: func() {
					if err := w.admin.DeleteChannel(t.Context(), "cargomedia/app", "production"); err != nil {
						t.Error(err)
					}
				},
				Config: production("1"), Check: w.pointsTo("production", 1),
			},
			resource.TestStep{
				Config: production("2"), ConfigPlanChecks: meanwhile("3"),
				ExpectError: says("The channel was moved since the plan", "points to 1.2.0 (number 3) since", "not to number 1. Plan again"),
			},
			resource.TestStep{
				PreConfig: func() {
					if err := w.pointsTo("production", 3)(nil); err != nil {
						t.Error(err)
					}
				},
				Config: production("2"), Check: w.pointsTo("production", 2),
			},
			// Somebody who wants the same is in nobody's way.
			resource.TestStep{Config: production("3"), ConfigPlanChecks: meanwhile("3"), Check: w.pointsTo("production", 3)},
		)
	})
}

func TestChannelWhoseVersionIsRevokedLaterStays(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		w.app("1.0.0", "eu-west-1")
		w.run(
			resource.TestStep{Config: production("1")},
			resource.TestStep{
				PreConfig:         func() { w.revoke("cargomedia/app", "1", "openssl is too old") },
				Config:            production("1.0.0", `reason = "another word"`),
				Check:             w.pointsTo("production", 1),
				ConfigStateChecks: attributes("almanac_channel.production", map[string]knownvalue.Check{"reason": text("another word"), "version": text("1.0.0")}),
			},
		)
	})
}

func TestChannelIsRefused(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		w.app("1.0.0", "eu-west-1")
		waiting := ami("1.1.0", "eu-west-1")
		waiting.Expect = []string{"amazon-ebs.app", "amazon-ebs.other"}
		w.publish("cargomedia/app", waiting)
		w.app("1.2.0", "eu-west-1")
		w.revoke("cargomedia/app", "3", "openssl is too old")
		w.channel("cargomedia/app", "staging", "1")
		reader := w.Token(t, "reader", "read")
		w.run(
			refuse(production("1.1.0"), "Version 1.1.0 (number 2) of cargomedia/app is open: it still expects amazon-ebs.other. A channel points to complete versions alone."),
			refuse(production("1.2.0"), "Version 1.2.0 (number 3) of cargomedia/app is revoked: openssl is too old."),
			refuse(production("1.0.9"), "cargomedia/app has no version 1.0.9"),
			refuse(production("latest"), `"latest" can mean another version tomorrow`),
			resource.TestStep{
				Config: `resource "almanac_channel" "staging" {
				artifact = "cargomedia/app"
				name     = "staging"
				version  = "1.0.0"
			}`,
				ExpectError: says(`Channel staging of cargomedia/app points to 1.0.0 (number 1) since`),
			},
			resource.TestStep{
				Config:      fmt.Sprintf("provider \"almanac\" {\n  address = %q\n  token = %q\n}\n", w.URL, reader) + production("1.0.0"),
				ExpectError: says("The token may not do this (403)"),
			},
		)
	})
}
